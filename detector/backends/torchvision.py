"""torchvision as a backend: the default, with weights of this project or of torchvision."""

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import nms

from detector.backends.images import Prepared, scaled, to_original
from detector.config import DetectorConfig, Resize
from detector.device import device_errors, name_of, usable_device
from detector.errors import DetectorError
from detector.models.checkpoint import load_checkpoint, load_into, load_torchvision
from detector.models.faster_rcnn import build
from detector.models.presets import Architecture
from detector.models.weights import WeightsSource, source_of
from detector.precision import precision_of
from detector.records import Detections

GPU_BATCH = 16  # images per forward pass
_REMEDY = "set a lower detector.batch_size"
_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Predictor:
    """Finds persons; `preprocess` may run in other threads than `predict`, and both in several at once.

    Attributes:
        batch_size: images that `predict` should get at once.
        workers: threads that should call `predict` at once: on a CPU one per core, since two forward passes
            beside each other waste less than one that is spread over two cores.
        device: where the model is.
        precision: of its arithmetic: fp32, fp16 or bf16.
        runtime: precision, device and versions, for the record: they decide the last bits of the result.

    """

    def __init__(self, model: nn.Module, rule: Resize, config: DetectorConfig) -> None:
        self.device = usable_device(config.device)
        self.precision = precision_of(config)
        if self.precision != "fp32" and self.device.type != "cuda":
            raise DetectorError(
                f"precision '{self.precision}' needs a CUDA device; on a CPU it is slower than fp32"
            )
        self.runtime = f"{self.precision} on {name_of(self.device)}"
        on_gpu = self.device.type == "cuda"
        self.batch_size = config.batch_size or (GPU_BATCH if on_gpu else 1)
        self.workers = 1 if on_gpu else cores()
        self._rule, self._config = config.resize or rule, config
        # In mixed precision a GPU's fast convolutions need channels last, which changes the last bits.
        order = torch.preserve_format if self.precision == "fp32" else torch.channels_last
        with device_errors(_REMEDY):
            self._model = model.to(self.device).to(memory_format=order).eval()
        for module in self._model.modules():
            if isinstance(module, (RPNHead, FastRCNNPredictor)):
                module.register_forward_hook(self._require_finite)
            if self.precision != "fp32" and isinstance(module, (nn.Conv2d, nn.Linear)):
                module.to(_DTYPES[self.precision])  # here once; autocast would round them for each batch

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
            with device_errors(_REMEDY):
                prepared = replace(prepared, tensor=prepared.tensor.pin_memory())
        return prepared

    def predict(self, batch: Sequence[Prepared]) -> list[Detections]:
        """The persons in each image: boxes in pixels of the original, from the floor up, best first.

        The result of an image does not depend on the others: only images of one size form a batch, since with
        padding to a common size a neighbour's size would change the result. On a CPU with several `workers`,
        torch is set to one thread for the calling thread.

        Raises:
            DetectorError: a GPU fails or has too little memory, or the network's numbers are not finite.

        """
        found = [Detections.empty()] * len(batch)
        alike: dict[torch.Size, list[int]] = {}
        for place, image in enumerate(batch):
            if not image.too_small:
                alike.setdefault(image.tensor.shape, []).append(place)
        for places in alike.values():
            with device_errors(_REMEDY):
                outputs = self._forward([batch[place].tensor for place in places])
            for place, (boxes, scores, labels) in zip(places, outputs, strict=True):
                kept = _one_box_a_person(boxes, scores, labels, self._config.nms_iou)
                found[place] = to_original(boxes[kept].numpy(), scores[kept].numpy(), batch[place])
        return found

    def _forward(self, tensors: list[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Boxes (n, 4), scores (n,) and labels (n,) of each image, on the CPU."""
        if self.workers > 1 and torch.get_num_threads() != 1:
            torch.set_num_threads(1)
        images = [tensor.to(self.device, non_blocking=True) for tensor in tensors]
        mixed = self.precision != "fp32"
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, _DTYPES[self.precision], enabled=mixed),
        ):
            outputs: list[dict[str, Tensor]] = self._model(images)
        counts = [len(output["boxes"]) for output in outputs]
        # One copy for the whole batch: each would wait for the GPU.
        columns = [torch.cat([output[name] for output in outputs]) for name in ("boxes", "scores", "labels")]
        rows = torch.column_stack([column.float() for column in columns]).cpu()
        return [(part[:, :4], part[:, 4], part[:, 5]) for part in torch.split(rows, counts)]

    def _require_finite(self, module: nn.Module, inputs: object, outputs: Sequence[Tensor | list[Tensor]]) -> None:
        """Torchvision drops what is not a number without a word: an overflow would be a video without persons."""
        tensors = [level for output in outputs for level in ([output] if isinstance(output, Tensor) else output)]
        # The sum of finite numbers is finite here, and takes less memory than asking each of them.
        if not bool(torch.stack([tensor.sum(dtype=torch.float64) for tensor in tensors]).isfinite().all()):
            raise DetectorError(
                f"the network's numbers are not finite in {self.precision}: its weights are damaged, or too large "
                "for this precision; take detector.precision: bf16 or fp32"
            )


def load_model(config: DetectorConfig, source: WeightsSource) -> tuple[FasterRCNN, Architecture]:
    """The model with the weights of `source` and the thresholds of `config`, and its architecture.

    Raises:
        DetectorError: the weights are damaged, or of another architecture.

    """
    if source.kind == "torchvision":
        checkpoint = load_torchvision(source.path, source.checkpoint_architecture.preset)
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


def _one_box_a_person(boxes: Tensor, scores: Tensor, labels: Tensor, nms_iou: float) -> Tensor:
    """Indices (m,) of the boxes to keep: if several classes are persons, a person may have a box of each."""
    if bool((labels == labels[:1]).all()):
        return torch.arange(len(labels))
    kept: Tensor = nms(boxes, scores, nms_iou)
    return kept


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
