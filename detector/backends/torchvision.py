"""torchvision as a backend: the default, with weights of this project or of torchvision."""

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.ops import nms

from detector.backends.images import Prepared, scaled, to_original
from detector.config import DetectorConfig, Resize
from detector.errors import DetectorError
from detector.models.checkpoint import load_checkpoint, load_into, load_torchvision
from detector.models.faster_rcnn import build
from detector.models.presets import Architecture
from detector.models.weights import WeightsSource, source_of
from detector.records import Detections

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Predictor:
    """Finds persons; `preprocess` may run in other threads than `predict`, and both in several at once.

    Attributes:
        batch_size: images that `predict` should get at once.
        workers: threads that should call `predict` at once: on a CPU one per core, since two forward passes
            beside each other waste less than one that is spread over two cores.
        device: where the model is.
        precision: of its arithmetic: fp32, fp16 or bf16.

    """

    def __init__(self, model: nn.Module, rule: Resize, config: DetectorConfig) -> None:
        self.device = _device(config.device)
        self.precision = _precision(config.precision, self.device)
        on_gpu = self.device.type == "cuda"
        self.batch_size = config.batch_size or (16 if on_gpu else 1)
        self.workers = 1 if on_gpu else cores()
        self._rule, self._config = config.resize or rule, config
        # In mixed precision a GPU's fast convolutions need channels last, which changes the last bits.
        order = torch.preserve_format if self.precision == "fp32" else torch.channels_last
        self._model = model.to(self.device).to(memory_format=order).eval()

    @classmethod
    def load(cls, config: DetectorConfig, source: WeightsSource | None = None) -> "Predictor":
        """The predictor that `config` describes, with the weights it names (or `source`).

        Raises:
            DetectorError: the weights do not exist, are damaged or of another architecture; or no such device.

        """
        model, architecture = load_model(config, source or source_of(config))
        return cls(model, architecture.resize, config)

    def preprocess(self, image: NDArray[np.uint8]) -> Prepared:
        """Scale `image` (uint8 (H, W, 3) RGB) for the model; safe in any thread.

        Raises:
            ValueError: `image` has another type or shape.

        """
        prepared = scaled(image, self._rule)
        if self.device.type == "cuda":
            prepared = replace(prepared, tensor=prepared.tensor.pin_memory())
        return prepared

    def predict(self, batch: Sequence[Prepared]) -> list[Detections]:
        """The persons in each image: boxes in pixels of the original, from the floor up, best first.

        The result of an image does not depend on the others: only images of one size form a batch, since with
        padding to a common size a neighbour's size would change the result. On a CPU with several `workers`,
        torch is set to one thread for the calling thread.
        """
        found = [Detections.empty()] * len(batch)
        alike: dict[torch.Size, list[int]] = {}
        for place, image in enumerate(batch):
            if not image.too_small:
                alike.setdefault(image.tensor.shape, []).append(place)
        for places in alike.values():
            outputs = self._forward([batch[place].tensor for place in places])
            for place, output in zip(places, outputs, strict=True):
                persons = _one_box_a_person(output, self._config.nms_iou)
                boxes, scores = (persons[name].float().cpu().numpy() for name in ("boxes", "scores"))
                found[place] = to_original(boxes, scores, batch[place])
        return found

    def _forward(self, tensors: list[Tensor]) -> list[dict[str, Tensor]]:
        if self.workers > 1 and torch.get_num_threads() != 1:
            torch.set_num_threads(1)
        images = [tensor.to(self.device, non_blocking=True) for tensor in tensors]
        mixed = self.precision != "fp32"
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, _DTYPES[self.precision], enabled=mixed),
        ):
            outputs: list[dict[str, Tensor]] = self._model(images)
        return outputs


def load_model(config: DetectorConfig, source: WeightsSource) -> tuple[FasterRCNN, Architecture]:
    """The model with the weights of `source` and the thresholds of `config`, and its architecture.

    Raises:
        DetectorError: the weights are damaged, or of another architecture.

    """
    if source.kind == "torchvision":
        checkpoint = load_torchvision(source.path, source.architecture.preset)
    else:
        checkpoint = load_checkpoint(source.path)
    model = build(checkpoint.architecture, classes=checkpoint.classes)
    load_into(model, checkpoint, source.path)
    return with_thresholds(model, config), checkpoint.architecture


def with_thresholds(model: FasterRCNN, config: DetectorConfig) -> FasterRCNN:
    """`model` with the thresholds of `config`."""
    heads = model.roi_heads
    heads.score_thresh = config.floor
    heads.nms_thresh = config.nms_iou
    heads.detections_per_img = config.max_detections
    return model


def _one_box_a_person(output: dict[str, Tensor], nms_iou: float) -> dict[str, Tensor]:
    """NMS over classes: if several are persons, as pedestrian and people, a person may have a box of each."""
    if (output["labels"] == output["labels"][:1]).all():
        return output
    kept = nms(output["boxes"], output["scores"], nms_iou)
    return {name: values[kept] for name, values in output.items()}


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise DetectorError(
            f"device '{name}': no such usable NVIDIA GPU here (uavpipe doctor); take device: auto or cpu"
        )
    return torch.device(name)


def _precision(name: str, device: torch.device) -> str:
    if name == "auto":
        return "fp16" if device.type == "cuda" else "fp32"
    if name != "fp32" and device.type != "cuda":
        raise DetectorError(f"precision '{name}' needs a CUDA device; on a CPU it is slower than fp32")
    return name


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
