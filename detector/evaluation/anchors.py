"""The fit of anchors: the best IoU of a person with an anchor, at the places where the model puts anchors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from detector.annotations.coco import AnnotatedImage
from detector.annotations.pictures import image_size
from detector.errors import DetectorError
from detector.models.presets import STRIDES, Architecture
from detector.records import areas, intersections, sides

_Array = NDArray[np.float64]

FOREGROUND = 0.7  # IoU from which torchvision's RPN counts an anchor as a person
_FIT_PERSONS = 5000  # more change a suggestion by less than a pixel, and take longer
_STEPS = (1.5, 1.2, 1.1, 1.05)  # factors by which the search changes a size or a ratio, coarse to fine


@dataclass(frozen=True, eq=False)
class ScaledPersons:
    """The persons of a data set at the scale of a model.

    Attributes:
        boxes: float64 (n, 4), xyxy in pixels of the scaled image.
        padded: float64 (n, 2), width and height of the scaled and padded image of each box.

    """

    boxes: _Array
    padded: _Array

    @property
    def sides(self) -> _Array:
        """Widths and heights, float64 (n, 2), in pixels."""
        return sides(self.boxes)


def scale_persons(images: Sequence[AnnotatedImage], architecture: Architecture) -> ScaledPersons:
    """The persons of `images` as `architecture` scales whole images.

    The size of an image is read from its file if it is not annotated.

    Raises:
        DetectorError: no persons; or an image's size is not annotated, and its file cannot be read.

    """
    if not any(len(image.boxes) for image in images):
        raise DetectorError(f"no persons in these {len(images)} images; the anchors need some to fit")
    boxes, padded = [], []
    step = architecture.size_divisible
    for image in images:
        size = np.array(image.size or image_size(image.path))
        scaled = np.array(architecture.resize.size(*size.tolist()))
        boxes.append(image.boxes * np.tile(scaled / size, 2))
        padded.append(np.tile(np.ceil(scaled / step) * step, (len(image.boxes), 1)))
    return ScaledPersons(np.concatenate(boxes), np.concatenate(padded))


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> _Array:
    """Widths and heights, float64 (sizes · ratios, 2), of a level's anchors, rounded as torchvision rounds them.

    torchvision rounds the corners around the centre to whole pixels (`AnchorGenerator.generate_anchors`): sides are
    even. The anchor of size 8 and ratio 3 is 4 x 14 px, not 4.6 x 13.9.
    """
    roots = np.sqrt(np.asarray(ratios, np.float64))[:, None]
    exact = np.stack([np.asarray(sizes) / roots, np.asarray(sizes) * roots], axis=-1)
    return 2 * np.round(exact.reshape(-1, 2) / 2)


def anchor_ious(persons: ScaledPersons, anchors: _Array, stride: int) -> _Array:
    """Each person's best IoU with each of a level's anchors, float64 (n, a), over all places of that level's grid.

    The anchors' centres are at multiples of `stride` from 0 on. Of equal anchors the one whose centre is nearest
    overlaps most, so that no other place need be tried.

    Args:
        persons: n persons.
        anchors: (a, 2) widths and heights, as `cell_anchors` gives them.
        stride: pixels between neighbouring centres.

    """
    centres = (persons.boxes[:, :2] + persons.boxes[:, 2:]) / 2
    nearest = np.clip(np.round(centres / stride), 0, persons.padded // stride - 1) * stride
    placed = np.concatenate([nearest[:, None] - anchors / 2, nearest[:, None] + anchors / 2], axis=-1)
    common = intersections(persons.boxes[:, None], placed)
    return np.asarray(common / (areas(persons.boxes)[:, None] + anchors.prod(axis=-1) - common))


def best_ious(persons: ScaledPersons, architecture: Architecture) -> _Array:
    """Each person's best IoU, float64 (n,), with any anchor of `architecture` on its grid."""
    return np.max(
        [
            anchor_ious(persons, cell_anchors(sizes, architecture.anchor_ratios), stride).max(axis=1)
            for sizes, stride in zip(architecture.anchor_sizes, STRIDES[architecture.preset], strict=True)
        ],
        axis=0,
    )


def suggest(persons: ScaledPersons, architecture: Architecture) -> Architecture:
    """`architecture` with other anchors, the same number, chosen by a search to fit `persons`.

    Our choice: the search maximises the mean of min(best IoU, 0.7). Overlap beyond the RPN's threshold gains
    nothing, and without that limit the many would be fitted at the cost of the smallest persons. k-means over
    widths and heights would ignore that a level's anchors come only every 4, 8, … px. The search starts from the
    anchors of `architecture`, changes one size or ratio at a time while that helps, and keeps the sizes sorted.
    """
    chosen = np.random.default_rng(0).permutation(len(persons.boxes))[:_FIT_PERSONS]
    sample = ScaledPersons(persons.boxes[chosen], persons.padded[chosen])
    strides = STRIDES[architecture.preset]
    count, per_level = sum(map(len, architecture.anchor_sizes)), len(architecture.anchor_sizes[0])

    @cache
    def level_ious(level: int, sizes: tuple[int, ...], ratios: tuple[float, ...]) -> _Array:
        return anchor_ious(sample, cell_anchors(sizes, ratios), strides[level]).max(axis=1)

    def anchors(values: _Array) -> tuple[tuple[tuple[int, ...], ...], tuple[float, ...]]:
        sizes, ratios = np.rint(values[:count]).astype(int).tolist(), np.round(values[count:], 1).tolist()
        return tuple(tuple(sizes[n : n + per_level]) for n in range(0, count, per_level)), tuple(ratios)

    def fit(values: _Array) -> float:
        sizes, ratios = anchors(values)
        flat = [size for level in sizes for size in level]
        if min(flat) < 1 or flat != sorted(flat) or min(ratios) <= 0:
            return -1.0
        best = np.max([level_ious(level, sizes[level], ratios) for level in range(len(sizes))], axis=0)
        return float(np.minimum(best, FOREGROUND).mean())

    start = np.array([*np.ravel(architecture.anchor_sizes), *architecture.anchor_ratios], np.float64)
    sizes, ratios = anchors(_climb(start, fit))
    return architecture.model_copy(update={"anchor_sizes": sizes, "anchor_ratios": ratios})


def _climb(values: _Array, fit: Callable[[_Array], float]) -> _Array:
    """Change one of `values` at a time, by ever smaller factors, as long as `fit` rises."""
    best = fit(values)
    for step in _STEPS:
        rising = True
        while rising:
            rising = False
            for place in range(len(values)):
                for factor in (step, 1 / step):
                    changed = values.copy()
                    changed[place] *= factor
                    if (found := fit(changed)) > best + 1e-6:
                        values, best, rising = changed, found, True
    return values
