"""Export of detectors to ONNX, for ONNX Runtime, TensorRT and OpenVINO."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.ops import nms

from detector.backends.images import scaled, to_original
from detector.backends.torchvision import Predictor, load_model
from detector.config import DetectorConfig
from detector.errors import DetectorError
from detector.models.exported import describe_export
from detector.models.presets import Architecture
from detector.models.weights import WeightsSource
from detector.records import Detections

FORMAT = "uavpipe.detector.onnx.1"
_OPSET = 17
_EXAMPLE = (320, 480)  # px: any size works, height and width are dynamic


def onnx_bytes(config: DetectorConfig, source: WeightsSource) -> bytes:
    """The detector that `config` describes, with the weights `source`, as an ONNX model.

    Its input is `image`, uint8 (1, 3, h, w) RGB of any size, already scaled. Its outputs are `boxes`, float32
    (n, 4) xyxy in pixels of the input, and `scores`, float32 (n,), best first. It applies the floor, NMS and the
    maximum number of boxes.

    Raises:
        DetectorError: the weights are damaged, or of another architecture.

    """
    model, architecture = load_model(config, source)
    persons = _Persons(model, architecture, config.nms_iou).eval()
    with TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about tracing, and about a newer exporter, which fails at NMS
        path = Path(folder, "model.onnx")
        torch.onnx.export(
            persons,
            (torch.zeros((1, 3, *_EXAMPLE), dtype=torch.uint8),),
            path,
            opset_version=_OPSET,
            dynamo=False,
            input_names=["image"],
            output_names=["boxes", "scores"],
            dynamic_axes={"image": {2: "height", 3: "width"}, "boxes": {0: "persons"}, "scores": {0: "persons"}},
        )
        return path.read_bytes()


def export_onnx(config: DetectorConfig, source: WeightsSource, path: Path) -> None:
    """Write the ONNX model of `onnx_bytes` to `path`, with a description in its metadata.

    Raises:
        DetectorError: the weights are damaged, or of another architecture; or a package is missing.

    """
    try:
        import onnx
    except ImportError:
        raise DetectorError(f"{path}: onnx is missing; pip install 'uavpipe[onnx]'") from None
    model = onnx.load_from_string(onnx_bytes(config, source))
    onnx.helper.set_model_props(model, describe_export(config, source, FORMAT))
    onnx.save(model, path)


def compare_onnx(
    path: Path, config: DetectorConfig, source: WeightsSource, images: Iterable[NDArray[np.uint8]]
) -> tuple[int, float, float]:
    """Run the ONNX model `path` in ONNX Runtime, and the detector it was exported from, on `images` (H, W, 3).

    Returns:
        The number of boxes; the largest distance of a coordinate, px of the image, and of a score.

    Raises:
        DetectorError: ONNX Runtime is missing, or finds another number of persons.

    """
    try:
        import onnxruntime
    except ImportError:
        raise DetectorError(f"{path}: ONNX Runtime is missing; pip install 'uavpipe[onnx]'") from None
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    plain = config.model_copy(
        update={"backend": "torchvision", "tiles": None, "device": "cpu", "precision": "fp32"}
    )
    predictor = Predictor.load(plain, source)
    count, distance, gap = 0, 0.0, 0.0
    for image in images:
        prepared = scaled(image, config.resize or source.checkpoint_architecture.resize)
        boxes, scores = session.run(["boxes", "scores"], {"image": prepared.tensor[None].contiguous().numpy()})
        theirs = to_original(boxes, scores, prepared)
        ours = predictor.predict([predictor.preprocess(image)])[0]
        if len(ours) != len(theirs):
            raise DetectorError(f"{path}: finds {len(theirs)} persons where the checkpoint finds {len(ours)}")
        count += len(ours)
        distance, gap = max(distance, _distance(ours, theirs)), max(gap, _gap(ours, theirs))
    return count, distance, gap


def _distance(ours: Detections, theirs: Detections) -> float:
    """From each box to the nearest of the other's: boxes of almost equal scores may come in any order."""
    if not len(ours):
        return 0.0
    return float(np.abs(ours.boxes[:, None] - theirs.boxes).max(axis=2).min(axis=1).max())


def _gap(ours: Detections, theirs: Detections) -> float:
    return float(np.abs(ours.scores - theirs.scores).max(initial=0.0))


class _Persons(nn.Module):
    """A detector with one image as a tensor for input, and tensors for output."""

    def __init__(self, model: FasterRCNN, architecture: Architecture, nms_iou: float) -> None:
        super().__init__()
        self._model, self._nms_iou = model, nms_iou
        self._several = architecture.person_classes > 1

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (n, 4) and scores (n,) of the persons in `image`, uint8 (1, 3, h, w)."""
        found: dict[str, Any] = self._model([image[0]])[0]
        boxes, scores = found["boxes"], found["scores"]
        if self._several:  # a person may have a box of each class
            kept = nms(boxes, scores, self._nms_iou)
            boxes, scores = boxes[kept], scores[kept]
        return boxes, scores
