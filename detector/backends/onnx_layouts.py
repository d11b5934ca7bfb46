"""The forms of the outputs of exported detectors: recognised by shapes and values, and turned into boxes.

A layout is recognised from what the model answers to a grey image. Shapes alone do not tell YOLOX, whose boxes
are relative to their cells, from YOLOv6, whose boxes are in pixels; values do: boxes in pixels follow the cells.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from detector.backends.letterbox import Fit
from detector.errors import DetectorError

Outputs = Mapping[str, NDArray[Any]]  # by name, float32 but for labels
_STRIDES = ((8, 16, 32), (4, 8, 16, 32), (8, 16, 32, 64), (16, 32))  # of the levels of a model, px of its input
_NANODET_BINS = 8  # of a distance to a side of the box
_NANODET_STRIDES = (8, 16, 32, 64)
_FOLLOWS = 0.8  # correlation from which centres of boxes follow the centres of the cells
_FLAT = 1e-6
_TOLERANCE = 1e-3  # of scores and shares, for models in half precision


@dataclass(frozen=True, eq=False)
class Candidates:
    """Boxes in one image, of all classes.

    Attributes:
        boxes: (n, 4), xyxy in px of the input.
        scores: (n, classes); or (n,), then `labels` has the classes.
        labels: (n,); None where each box has a score for each class.

    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[Any] | None = None

    def of(self, classes: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The boxes (n, 4) of `classes` and their scores (n,): of the best of these classes."""
        if self.labels is None:
            return self.boxes, self.scores[:, list(classes)].max(axis=1)
        chosen = np.isin(self.labels, classes)
        return self.boxes[chosen], self.scores[chosen]

    @property
    def is_sound(self) -> bool:
        """Whether scores are in [0, 1] and labels whole: else the numbers mean something else."""
        whole = self.labels is None or bool((self.labels == np.floor(self.labels)).all())
        return whole and _are_shares(self.scores)


@dataclass(frozen=True, eq=False)
class Layout:
    """How to use a model.

    Attributes:
        name: as in the configuration.
        what: for people.
        decode: the candidates of each image of a batch.
        classes: number of classes; None where the outputs do not show it.
        colours: order of the channels that models of this layout are trained with; None: there is no usual one.
        range: values of the pixels; None: there are no usual ones.
        fit: place of the image in the input.

    """

    name: str
    what: str
    decode: Callable[[Outputs], list[Candidates]]
    classes: int | None
    colours: Literal["rgb", "bgr"]
    range: Literal["0-1", "0-255", "imagenet"] | None
    fit: Fit


@dataclass(frozen=True)
class Facts:
    """What is known of a model beside its outputs.

    Attributes:
        width: of its input, px.
        height: of its input, px.
        classes: number of classes that its metadata name; None: they name none.
        takes_size: whether it also takes the size of the original image.

    """

    width: int
    height: int
    classes: int | None = None
    takes_size: bool = False


def recognise(outputs: Outputs, facts: Facts, wanted: str, place: str) -> Layout:
    """The layout of `outputs`, the answer to a grey image.

    Args:
        outputs: by name.
        facts: of the model.
        wanted: name of a layout, or `auto`.
        place: the file, for an error.

    Raises:
        DetectorError: no layout fits, or more than one; names the shapes and the settings.

    """
    shapes = ", ".join(f"{name} {_shape(array)}" for name, array in outputs.items())
    if wanted != "auto":
        layout = _READERS[wanted](outputs, facts, True)
        if layout is None or not _is_sound(layout, outputs):
            raise DetectorError(
                f"{place}: outputs {shapes} for an input of {facts.width} x {facts.height} are not of "
                f"detector.onnx.layout {wanted}: expected {_EXPECTED[wanted]}"
            )
        return layout
    found = [layout for read in _READERS.values() if (layout := read(outputs, facts, False)) is not None]
    found = [layout for layout in found if _is_sound(layout, outputs)]
    if len(found) != 1:
        fitting = " and ".join(layout.name for layout in found)
        raise DetectorError(
            f"{place}: outputs {shapes} for an input of {facts.width} x {facts.height} "
            f"{f'fit {fitting}' if found else 'are of no known layout'}; "
            f"set detector.onnx.layout: {', '.join(_READERS)}"
        )
    return found[0]


def _shape(array: NDArray[Any]) -> str:
    return f"({', '.join(map(str, array.shape))})"


def _is_sound(layout: Layout, outputs: Outputs) -> bool:
    return all(image.is_sound for image in layout.decode(outputs))


def _are_shares(values: NDArray[Any]) -> bool:
    """Whether all are in [0, 1]; False for values that are not finite."""
    return bool(((values >= -_TOLERANCE) & (values <= 1 + _TOLERANCE)).all())


def _xyxy(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Boxes (…, 4) of centre, width and height as corners."""
    half = boxes[..., 2:] / 2
    return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=-1)


def _cells(facts: Facts, count: int, anchors: int = 1, strides: tuple[tuple[int, ...], ...] = _STRIDES) -> Any:
    """The cells of all levels, (count, 3): column, row, stride; None for any number of cells but `count`."""
    for levels in strides:
        parts = []
        for stride in levels:
            rows, columns = np.mgrid[: -(-facts.height // stride), : -(-facts.width // stride)]
            level = np.stack([columns.ravel(), rows.ravel(), np.full(rows.size, stride)], axis=1)
            parts.append(np.tile(level, (anchors, 1)))
        cells = np.concatenate(parts).astype(np.float32)
        if len(cells) == count:
            return cells
    return None


def _grid_of(centres: NDArray[np.float32], cells: NDArray[np.float32]) -> Literal["px", "shares", "none"]:
    """How `centres` (n, 2) follow the centres of their `cells` (n, 3): in px, in another unit, or not at all."""
    expected = (cells[:, :2] + 0.5) * cells[:, 2:]
    found = []
    for given, place in zip(centres.T, expected.T, strict=True):
        if not np.isfinite(given).all() or min(given.std(), place.std()) < _FLAT:
            return "none"
        correlation = np.corrcoef(given, place)[0, 1]
        in_px = 0.5 < correlation * given.std() / place.std() < 2
        found.append("none" if correlation < _FOLLOWS else "px" if in_px else "shares")
    return "px" if found == ["px", "px"] else "none" if "none" in found else "shares"


def _only(outputs: Outputs) -> NDArray[np.float32] | None:
    """The output (b, n, m), if it is the only one."""
    (array,) = outputs.values() if len(outputs) == 1 else (None,)
    return array if array is not None and array.ndim == 3 else None


def _yolox(outputs: Outputs, facts: Facts, given: bool) -> Layout | None:
    rows = _only(outputs)
    if rows is None or rows.shape[2] < 6 or not _are_shares(rows[..., 4:]):
        return None
    cells = _cells(facts, rows.shape[1])
    if cells is None:
        return None
    grid = _grid_of(rows[0, :, :2], cells)
    in_cells = grid == "none" and bool(np.median(np.abs(rows[0, :, :2])) < 2)
    if not in_cells and (grid != "px" or not given):  # in pixels, YOLOv6 has the same form
        return None

    def decode(outputs: Outputs) -> list[Candidates]:
        (rows,) = outputs.values()
        boxes = rows[..., :4]
        if in_cells:
            centres, sides = (boxes[..., :2] + cells[:, :2]) * cells[:, 2:], np.exp(boxes[..., 2:]) * cells[:, 2:]
            boxes = np.concatenate([centres, sides], axis=-1)
        return _dense(_xyxy(boxes), rows[..., 4:5] * rows[..., 5:])

    what = f"YOLOX, boxes in {'cells' if in_cells else 'px'}"
    return Layout("yolox", what, decode, rows.shape[2] - 5, "bgr", "0-255", "top-left")


def _yolov5(outputs: Outputs, facts: Facts, given: bool) -> Layout | None:
    rows = _only(outputs)
    if rows is None or rows.shape[2] < 6 or facts.classes not in (None, rows.shape[2] - 5):
        return None
    cells = _cells(facts, rows.shape[1], anchors=3)
    if cells is None and given:
        cells = _cells(facts, rows.shape[1])  # YOLOv6
    if cells is None or _grid_of(rows[0, :, :2], cells) != "px":
        return None

    def decode(outputs: Outputs) -> list[Candidates]:
        (rows,) = outputs.values()
        return _dense(_xyxy(rows[..., :4]), rows[..., 4:5] * rows[..., 5:])

    return Layout("yolov5", "YOLO with objectness", decode, rows.shape[2] - 5, "rgb", "0-1", "centre")


def _yolov8(outputs: Outputs, facts: Facts, given: bool) -> Layout | None:
    rows = _only(outputs)
    if rows is None:
        return None
    turned = rows.shape[1] < rows.shape[2]
    rows = rows.transpose(0, 2, 1) if turned else rows
    classes = rows.shape[2] - 4
    # As rows of boxes and without names, a class more is as likely a column of objectness.
    if classes < 1 or facts.classes not in (None, classes) or not (turned or given or facts.classes):
        return None
    cells = _cells(facts, rows.shape[1])
    if cells is None or _grid_of(rows[0, :, :2], cells) != "px":
        return None

    def decode(outputs: Outputs) -> list[Candidates]:
        (rows,) = outputs.values()
        rows = rows.transpose(0, 2, 1) if turned else rows
        return _dense(_xyxy(rows[..., :4]), rows[..., 4:])

    return Layout("yolov8", "YOLO without objectness", decode, classes, "rgb", "0-1", "centre")


def _yolo_nms(outputs: Outputs, facts: Facts, given: bool) -> Layout | None:
    decode: Callable[[Outputs], list[Candidates]]
    named = {"num_dets", "det_boxes", "det_scores", "det_classes"}
    if named <= set(outputs):
        decode = _counted
    elif len(outputs) != 1:
        return None
    else:
        (rows,) = outputs.values()
        in_one = rows.ndim == 2 and rows.shape[1] == 7
        if not in_one and (rows.ndim != 3 or rows.shape[2] != 6):
            return None
        if not in_one and any(_cells(facts, rows.shape[1], anchors) is not None for anchors in (1, 3)):
            return None  # a row a cell: before NMS, of one class
        decode = _of_batch if in_one else _of_image
    return Layout("yolo-nms", "YOLO with NMS inside", decode, None, "rgb", "0-1", "centre")


def _counted(outputs: Outputs) -> list[Candidates]:
    counts = outputs["num_dets"].reshape(-1).astype(int)
    boxes, scores, labels = (outputs[f"det_{name}"] for name in ("boxes", "scores", "classes"))
    return [Candidates(boxes[i, :n], scores[i, :n], labels[i, :n]) for i, n in enumerate(counts)]


def _of_image(outputs: Outputs) -> list[Candidates]:
    """Rows (b, n, 6): box, score, class."""
    (rows,) = outputs.values()
    return [Candidates(image[:, :4], image[:, 4], image[:, 5]) for image in rows]


def _of_batch(outputs: Outputs) -> list[Candidates]:
    """Rows (n, 7): image, box, class, score."""
    (rows,) = outputs.values()
    images = [rows[rows[:, 0] == number] for number in range(int(rows[:, 0].max(initial=0)) + 1)]
    return [Candidates(image[:, 1:5], image[:, 6], image[:, 5]) for image in images]


def _detr(outputs: Outputs, facts: Facts, given: bool) -> Layout | None:
    if facts.takes_size:
        return _sized_detr(outputs)
    if len(outputs) == 2:
        return _two_headed_detr(outputs, facts)
    rows = _only(outputs)
    if (
        rows is None
        or rows.shape[2] < 5
        or not _are_shares(rows[..., :4])
        or _cells(facts, rows.shape[1]) is not None
    ):
        return None
    sides = _sides(facts)

    def decode(outputs: Outputs) -> list[Candidates]:
        (rows,) = outputs.values()
        return _dense(_xyxy(rows[..., :4]) * sides, rows[..., 4:])

    return Layout("detr", "RT-DETR", decode, rows.shape[2] - 4, "rgb", "0-1", "stretch")


def _sized_detr(outputs: Outputs) -> Layout | None:
    if not {"labels", "boxes", "scores"} <= set(outputs):
        return None

    def decode(outputs: Outputs) -> list[Candidates]:
        parts = zip(*(outputs[name] for name in ("boxes", "scores", "labels")), strict=True)
        return [Candidates(boxes, scores, labels) for boxes, scores, labels in parts]

    return Layout("detr", "RT-DETR with its own postprocessing", decode, None, "rgb", "0-1", "stretch")


def _two_headed_detr(outputs: Outputs, facts: Facts) -> Layout | None:
    widths = [(array.shape[-1], name) for name, array in outputs.items() if array.ndim == 3]
    boxes = [name for width, name in widths if width == 4]
    logits = [name for width, name in widths if width != 4]
    if len(boxes) != 1 or len(logits) != 1 or not _are_shares(outputs[boxes[0]]):
        return None
    answer = outputs[logits[0]]
    if answer.shape[:2] != outputs[boxes[0]].shape[:2] or _are_shares(answer):
        return None
    # Softmax with "no object" last: that is what nearly all queries see in a grey image.
    nothing = float((answer[..., -1] > 0).mean())
    if 0.1 <= nothing <= 0.9:
        return None
    exclusive, sides = nothing > 0.9, _sides(facts)

    def decode(outputs: Outputs) -> list[Candidates]:
        values = outputs[logits[0]]
        scores = softmax(values, axis=-1)[..., :-1] if exclusive else expit(values)
        return _dense(_xyxy(outputs[boxes[0]]) * sides, scores)

    normalised = exclusive or "dets" in outputs  # DETR, and RF-DETR
    what = f"DETR, {'softmax' if exclusive else 'sigmoid'}"
    classes = answer.shape[2] - exclusive
    return Layout("detr", what, decode, classes, "rgb", "imagenet" if normalised else None, "stretch")


def _nanodet(outputs: Outputs, facts: Facts, given: bool) -> Layout | None:
    rows = _only(outputs)
    classes = 0 if rows is None else rows.shape[2] - 4 * _NANODET_BINS
    if rows is None or classes < 1 or _are_shares(rows[..., classes:]):
        return None
    cells = _cells(facts, rows.shape[1], strides=(_NANODET_STRIDES,))
    if cells is None:
        return None
    bins, signs = np.arange(_NANODET_BINS, dtype=np.float32), np.array([-1, -1, 1, 1], np.float32)

    def decode(outputs: Outputs) -> list[Candidates]:
        (rows,) = outputs.values()
        parts = softmax(rows[..., classes:].reshape(*rows.shape[:2], 4, _NANODET_BINS), axis=-1)
        corners = (np.tile(cells[:, :2], 2) + signs * (parts @ bins)) * cells[:, 2:]
        return _dense(corners, rows[..., :classes])

    return Layout("nanodet", "NanoDet-Plus", decode, classes, "bgr", "imagenet", "stretch")


def _sides(facts: Facts) -> NDArray[np.float32]:
    return np.array([facts.width, facts.height] * 2, np.float32)


def _dense(boxes: NDArray[Any], scores: NDArray[Any]) -> list[Candidates]:
    return [Candidates(*image) for image in zip(boxes, scores, strict=True)]


_READERS: Mapping[str, Callable[[Outputs, Facts, bool], Layout | None]] = {
    "yolox": _yolox,
    "yolov5": _yolov5,
    "yolov8": _yolov8,
    "yolo-nms": _yolo_nms,
    "detr": _detr,
    "nanodet": _nanodet,
}
_EXPECTED = {
    "yolox": "(n, cells, 5 + classes), boxes in cells or px, scores from 0 to 1",
    "yolov5": "(n, cells or 3 x cells, 5 + classes), boxes in px, scores from 0 to 1",
    "yolov8": "(n, 4 + classes, cells) or (n, cells, 4 + classes), boxes in px, scores from 0 to 1",
    "yolo-nms": "(n, boxes, 6), (boxes, 7), or num_dets, det_boxes, det_scores and det_classes",
    "detr": "logits and boxes in shares of the input, (n, queries, 4 + classes), or labels, boxes and scores",
    "nanodet": "(n, cells, classes + 32), scores from 0 to 1, strides 8 to 64",
}
