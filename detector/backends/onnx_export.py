"""Detectors as ONNX models: the way to ONNX Runtime, TensorRT and OpenVINO."""

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
_EXAMPLE = (320, 480)  # px: any size will do, height and width are free


def onnx_bytes(config: DetectorConfig, source: WeightsSource) -> bytes:
    """The detector that `config` describes, with the weights `source`, as an ONNX model.

    It takes `image`, uint8 (1, 3, h, w) RGB of any size, scaled already, and gives `boxes`, float32 (n, 4) xyxy in
    pixels of it, and `scores`, float32 (n,), best first. Floor, NMS and the largest number of boxes are in it.

    Raises:
        DetectorError: damaged weights, or such of another architecture.

    """
    model, architecture = load_model(config, source)
    persons = _Persons(model, architecture, config.nms_iou).eval()
    with TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of tracing, and that a newer exporter exists: it fails at NMS
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
    """Write what `onnx_bytes` gives to `path`, with what it is in its metadata.

    Raises:
        DetectorError: damaged weights, such of another architecture, or a package is missing.

    """
    try:
        import onnx
    except ImportError:
        raise DetectorError(f"{path}: the package onnx is missing; pip install onnx onnxruntime") from None
    model = onnx.load_from_string(onnx_bytes(config, source))
    onnx.helper.set_model_props(model, describe_export(config, source.architecture, source.sha256, FORMAT))
    onnx.save(model, path)


def compare_onnx(
    path: Path, config: DetectorConfig, source: WeightsSource, images: Iterable[NDArray[np.uint8]]
) -> tuple[int, float, float]:
    """Run the ONNX model `path` in ONNX Runtime, and the detector it was made of, on `images` (H, W, 3).

    Returns:
        The number of boxes; the largest distance of a coordinate, px of the image, and of a score.

    Raises:
        DetectorError: ONNX Runtime is missing, or does not find as many persons.

    """
    try:
        import onnxruntime
    except ImportError:
        raise DetectorError(f"{path}: comparing it takes ONNX Runtime; pip install onnxruntime") from None
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    plain = config.model_copy(
        update={"backend": "torchvision", "tiles": None, "device": "cpu", "precision": "fp32"}
    )
    predictor = Predictor.load(plain, source)
    count, distance, gap = 0, 0.0, 0.0
    for image in images:
        prepared = scaled(image, config.resize or source.architecture.resize)
        boxes, scores = session.run(["boxes", "scores"], {"image": prepared.tensor[None].contiguous().numpy()})
        theirs = to_original(boxes, scores, prepared)
        ours = predictor.predict([predictor.preprocess(image)])[0]
        if len(ours) != len(theirs):
            raise DetectorError(f"{path}: finds {len(theirs)} persons where the checkpoint finds {len(ours)}")
        count += len(ours)
        distance, gap = max(distance, _distance(ours, theirs)), max(gap, _gap(ours, theirs))
    return count, distance, gap


def _distance(ours: Detections, theirs: Detections) -> float:
    """Of each box to the nearest of the other: two of all but the same score may come in any order."""
    if not len(ours):
        return 0.0
    return float(np.abs(ours.boxes[:, None] - theirs.boxes).max(axis=2).min(axis=1).max())


def _gap(ours: Detections, theirs: Detections) -> float:
    return float(np.abs(ours.scores - theirs.scores).max(initial=0.0))


class _Persons(nn.Module):
    """A detector that takes one image as a tensor and gives tensors."""

    def __init__(self, model: FasterRCNN, architecture: Architecture, nms_iou: float) -> None:
        super().__init__()
        self._model, self._nms_iou = model, nms_iou
        self._several = architecture.person_classes > 1

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (n, 4) and scores (n,) of the persons in `image`, uint8 (1, 3, h, w)."""
        found: dict[str, Any] = self._model([image[0]])[0]
        boxes, scores = found["boxes"], found["scores"]
        if self._several:  # one may have a box of each class
            kept = nms(boxes, scores, self._nms_iou)
            boxes, scores = boxes[kept], scores[kept]
        return boxes, scores
