"""ONNX Runtime as a backend, for detectors that other tools have trained and exported."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import nms

from detector.annotations.persons import choose_persons
from detector.backends.images import scaled
from detector.backends.letterbox import Placed, place
from detector.backends.onnx_export import FORMAT
from detector.backends.onnx_layouts import Candidates, Facts, Layout, Outputs, recognise
from detector.backends.onnx_runtime import OnnxModel, open_model
from detector.backends.torchvision import cores
from detector.config import DetectorConfig, Resize
from detector.errors import DetectorError
from detector.models.exported import header_of, require_answers
from detector.models.weights import WeightsSource
from detector.records import Detections

_MEAN = np.array([123.675, 116.28, 103.53], np.float32)[:, None, None]  # ImageNet's, of RGB from 0 to 255
_STD = np.array([58.395, 57.12, 57.375], np.float32)[:, None, None]
_RANGES: dict[str, Callable[[NDArray[np.float32]], NDArray[Any]]] = {
    "0-255": lambda rgb: rgb,
    "0-1": lambda rgb: rgb / 255,
    "-1-1": lambda rgb: rgb / 127.5 - 1,
    "imagenet": lambda rgb: (rgb - _MEAN) / _STD,
}
_GREY = 0.5  # of the image by whose answer a layout is recognised; of bytes, 128
# The class of persons by the number of classes, for models that name none: COCO's 80 classes, or its 91 numbers,
# of which the first is no class.
_PERSON = {1: 0, 80: 0, 91: 1}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Usage:
    """How a model is used: by its own description, by its layout, or by the settings.

    Attributes:
        what: for people.
        place: an image in the model's input.
        colours: `rgb` or `bgr`.
        range: of the pixels' values; see `_RANGES`.
        decode: the candidates in each image of a batch.
        persons: numbers of the classes that are persons.
        doubt: what to know before trusting it; empty if there is nothing.

    """

    what: str
    place: Callable[[NDArray[np.uint8]], Placed]
    colours: str
    range: str
    decode: Callable[[Outputs], list[Candidates]]
    persons: tuple[int, ...]
    doubt: str = ""


def load_onnx(config: DetectorConfig, source: WeightsSource) -> "OnnxPredictor":
    """The detector that `config` describes; warns where its classes have no names. Raises as `open_onnx`."""
    predictor = open_onnx(config, source)
    if predictor.doubt:
        _log.warning("%s: %s", source.path, predictor.doubt)
    return predictor


def open_onnx(config: DetectorConfig, source: WeightsSource) -> "OnnxPredictor":
    """The detector that `config` describes.

    Raises:
        DetectorError: ONNX Runtime is not installed, the model is damaged, or its file and the settings do not say
            how to use it.

    """
    if config.precision != "auto" or config.preset is not None:
        raise DetectorError(
            "backend onnx: an ONNX model has its own precision and architecture; take precision: auto and no preset"
        )
    model = open_model(source.path, config.device)
    usage = _of_uavpipe(model, config) if model.metadata.get("format") == FORMAT else _of_others(model, config)
    return OnnxPredictor(model, usage, config)


def input_of(config: DetectorConfig, source: WeightsSource) -> tuple[Resize, bool]:
    """How images are scaled for the model, and whether all its inputs have one size.

    Raises:
        DetectorError: as `open_onnx`.

    """
    model = open_model(source.path, config.device)
    if model.metadata.get("format") == FORMAT:
        return config.resize or header_of(model.metadata, model.path).architecture.resize, False
    width, height = _size(model, config)
    return Resize(width=width, height=height), True


class OnnxPredictor:
    """Finds persons through ONNX Runtime; see `detector.backends.protocol.PersonDetector`.

    Attributes:
        batch_size: images that `predict` should get at once.
        workers: threads that should call `predict` at once.
        runtime: what computes, for the record.
        what: how the model is used, for people.
        doubt: what to know before trusting it; empty if there is nothing.
        values: order of its channels, and range of its values; None where the model does not leave a choice.

    """

    def __init__(self, model: OnnxModel, usage: _Usage, config: DetectorConfig) -> None:
        on_gpu = model.device == "cuda"
        self.batch_size = model.batch or config.batch_size or (16 if on_gpu else 1)
        self.workers = 1 if on_gpu else cores()
        self.runtime = f"{model.device} (ONNX Runtime {version('onnxruntime')})"
        self.what, self.doubt = usage.what, usage.doubt
        ours = model.metadata.get("format") == FORMAT
        self.values = None if ours or model.dtype == np.uint8 else (usage.colours, usage.range)
        self._model, self._usage, self._config = model, usage, config

    def preprocess(self, image: NDArray[np.uint8]) -> Placed:
        """Place `image` (uint8 (H, W, 3) RGB) in the model's input; safe in any thread.

        Raises:
            ValueError: `image` has another type or shape.

        """
        return self._usage.place(image)

    def predict(self, batch: Sequence[Placed]) -> list[Detections]:
        """The persons in each image: boxes in pixels of the original, from the floor up, best first.

        Raises:
            DetectorError: ONNX Runtime cannot run the model, or its scores are not from 0 to 1.

        """
        size = self._model.batch or max(1, len(batch))
        found: list[Detections] = []
        for first in range(0, len(batch), size):
            found += self._of_batch(batch[first : first + size])
        return found

    def _of_batch(self, batch: Sequence[Placed]) -> list[Detections]:
        images = _values(np.stack([image.pixels for image in batch]), self._usage, self._model)
        missing = (self._model.batch or len(batch)) - len(batch)
        images = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
        candidates = self._usage.decode(self._model.answer(images))
        candidates += [_NOTHING] * (len(batch) - len(candidates))  # NMS inside: the last images may have no rows
        return [self._persons(*each) for each in zip(candidates[: len(batch)], batch, strict=True)]

    def _persons(self, candidates: Candidates, image: Placed) -> Detections:
        if image.too_small:
            return Detections.empty()
        if not candidates.is_sound:
            raise DetectorError(
                f"{self._model.path}: gives scores that are not from 0 to 1, or classes that are no numbers; "
                "the layout is another one (detector.onnx.layout)"
            )
        boxes, scores = candidates.of(self._usage.persons)
        sure = scores >= self._config.floor
        found = image.to_original(boxes[sure], scores[sure].clip(0, 1))
        kept = nms(torch.from_numpy(found.boxes), torch.from_numpy(found.scores), self._config.nms_iou).numpy()
        return found[kept[: self._config.max_detections]]


_NOTHING = Candidates(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0))


def _values(pixels: NDArray[np.uint8], usage: _Usage, model: OnnxModel) -> NDArray[Any]:
    """What the model takes for `pixels`, (b, 3, h, w) RGB."""
    values = pixels if model.dtype == np.uint8 else _RANGES[usage.range](pixels.astype(np.float32))
    return values if usage.colours == "rgb" else values[:, ::-1]


def _of_uavpipe(model: OnnxModel, config: DetectorConfig) -> _Usage:
    """Of a model that `uavpipe detector export` wrote: it takes images of any size, already scaled."""
    header = header_of(model.metadata, model.path)
    require_answers(header.answers, config, model.path)
    rule = config.resize or header.architecture.resize

    def decode(outputs: Outputs) -> list[Candidates]:
        return [Candidates(outputs["boxes"], outputs["scores"][:, None])]

    what = f"uavpipe's {header.architecture.preset}"
    return _Usage(what, lambda image: Placed.of(scaled(image, rule)), "rgb", "0-255", decode, (0,))


def _of_others(model: OnnxModel, config: DetectorConfig) -> _Usage:
    task = model.metadata.get("task", "detect")
    if task != "detect":
        raise DetectorError(
            f"{model.path}: a model for the task '{task}'; expected one that was exported for 'detect'"
        )
    width, height = _size(model, config)
    facts = Facts(width, height, len(model.names) or None, model.takes_size)
    grey = np.full((model.batch or 1, 3, height, width), 128 if model.dtype == np.uint8 else _GREY, model.dtype)
    layout = recognise(model.answer(grey), facts, config.onnx.layout, str(model.path))
    colours, fit = config.onnx.colours or layout.colours, config.onnx.fit or layout.fit
    values = _range(layout, model, config)
    persons, reason, doubt = _persons_of(layout, model, config)
    what = (
        f"{layout.what}; input {width} x {height}, {colours.upper()}, {values}, {fit}; "
        f"persons: {', '.join(map(str, persons))} ({reason})"
    )
    return _Usage(
        what, lambda image: place(image, width, height, fit), colours, values, layout.decode, persons, doubt
    )


def _size(model: OnnxModel, config: DetectorConfig) -> tuple[int, int]:
    """Width and height of the input, px."""
    rule = config.resize
    given = (rule.width, rule.height) if rule is not None else None
    if given == (None, None) or (rule is not None and not rule.keep_aspect):
        raise DetectorError(f"{model.path}: backend onnx takes width and height in detector.resize; see onnx.fit")
    of_file = (model.width, model.height)
    if given and any(own not in (None, wanted) for own, wanted in zip(of_file, given, strict=True)):
        raise DetectorError(
            f"{model.path}: takes images of {_sides(of_file)}, but detector.resize is {_sides(given)}"
        )
    said, none = model.image_size, (None, None)
    width, height = (a or b or c for a, b, c in zip(of_file, given or none, said or none, strict=True))
    if width is None or height is None:
        raise DetectorError(
            f"{model.path}: takes images of any size; give the size that it was trained with, as in "
            "detector.resize={width: 640, height: 640}"
        )
    return width, height


def _sides(size: tuple[int | None, int | None]) -> str:
    return " x ".join("any" if each is None else str(each) for each in size)


def _range(layout: Layout, model: OnnxModel, config: DetectorConfig) -> str:
    if model.dtype == np.uint8:
        if config.onnx.range not in (None, "0-255"):
            raise DetectorError(
                f"{model.path}: takes bytes, from 0 to 255, but detector.onnx.range is {config.onnx.range}"
            )
        return "0-255"
    values = config.onnx.range or layout.range
    if values is None:
        raise DetectorError(
            f"{model.path}: {layout.what}: the file does not say which values of pixels it takes; set "
            "detector.onnx.range: 0-1 (RT-DETR) or imagenet (Deformable DETR, DINO)"
        )
    return values


def _persons_of(layout: Layout, model: OnnxModel, config: DetectorConfig) -> tuple[tuple[int, ...], str, str]:
    """The numbers of the classes that are persons, why, and a doubt to warn of."""
    names, wanted = model.names, [str(each) for each in config.onnx.persons]
    if layout.classes is not None and names and (len(names) != layout.classes or max(names) >= layout.classes):
        raise DetectorError(f"{model.path}: names {len(names)} classes, but has outputs for {layout.classes}")
    if names:
        chosen = choose_persons(names, wanted, str(model.path), "detector.onnx.persons")
        return tuple(chosen), ", ".join(names[each] for each in chosen), ""
    if wanted:
        numbers = [int(each) for each in wanted if each.isdecimal()]
        if len(numbers) < len(wanted) or max(numbers) >= (layout.classes or np.inf):
            raise DetectorError(
                f"{model.path}: names none of its classes; detector.onnx.persons is {', '.join(wanted)}, expected "
                f"numbers of classes, {f'0 to {layout.classes - 1}' if layout.classes else 'from 0'}"
            )
        return tuple(numbers), "by detector.onnx.persons", ""
    person = _PERSON.get(layout.classes or 80)
    if person is None:
        raise DetectorError(
            f"{model.path}: names none of its {layout.classes} classes; set detector.onnx.persons to the numbers "
            "of those that are persons, as in [0, 1]"
        )
    reason = "its only class" if layout.classes == 1 else "as in COCO"
    doubt = f"names no classes; class {person} is taken as persons ({reason}); detector.onnx.persons names others"
    return (person,), reason, doubt
