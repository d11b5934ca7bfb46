"""`tiles: auto`: whether a flight is detected in tiles, and in which, by the height of its persons.

Tiles help with persons that are too small at the model's input, and cost time in proportion to the pixels that the
model sees. So the largest scale is taken that costs at most `MOST_COST` times the whole image, or nearly that scale
where it costs less, and only where persons are small. How many persons are found does not decide: scores mean
something else in tiles of another size.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from detector.backends.load import load_predictor
from detector.backends.onnx import input_of
from detector.backends.tiled import pieces_of
from detector.config import DetectorConfig, Resize, Tiles
from detector.models.weights import WeightsSource
from detector.records import Detections

MOST_COST = 5.0  # of the whole image's model time
SMALL = 32.0  # px at the model's input: from this median height on, tiles found hardly more (docs/benchmarks.md)
_SURE = 0.5  # score from which a box of the first look counts
_AS_LARGE = 0.95  # of the largest scale: what costs less with so much of it is taken
_SIDES = 8  # columns or rows of tiles that are considered, at most


@dataclass(frozen=True)
class Option:
    """The tiles that are affordable for images of one size.

    Attributes:
        tiles: with the largest scale, or nearly so.
        cost: pixels that the model sees; those of the whole image are 1.
        whole_scale: pixels of the model's input per pixel of the image, for the whole image.
        tile_scale: the same for a tile.

    """

    tiles: Tiles
    cost: float
    whole_scale: float
    tile_scale: float


@dataclass(frozen=True)
class Choice:
    """What `tiles: auto` means for a flight.

    Attributes:
        tiles: None: the whole image.
        cost: of the model, the whole image is 1.
        why: for the user.

    """

    tiles: Tiles | None
    cost: float
    why: str

    def __str__(self) -> str:
        what = "whole images" if self.tiles is None else f"tiles of {self.tiles.size} px and the whole image"
        return f"{what}, {self.cost:.1f} × the model time of whole images: {self.why}"


def affordable(width: int, height: int, rule: Resize, *, padded: bool = False) -> Option | None:
    """The cheapest tiles for images of `width` x `height` px with nearly the largest scale at `MOST_COST` or less.

    None where no tiles have a larger scale than the whole image. `padded`: the model's input has one size for all
    images, so that each piece costs as much.
    """
    whole = rule.size(width, height)
    scale, options = min(whole[0] / width, whole[1] / height), list[Option]()
    overlap = Tiles().overlap
    sizes = {ceil(side / (1 + count * (1 - overlap))) for side in (width, height) for count in range(_SIDES)}
    for size in sorted(size for size in sizes if 64 <= size < max(width, height)):
        tiles = Tiles(size=size)
        boxes = pieces_of(width, height, tiles)
        inputs = [rule.size(int(right - left), int(bottom - top)) for left, top, right, bottom in boxes]
        pixels = sum(across * down for across, down in inputs) / (whole[0] * whole[1])
        cost = len(boxes) if padded else pixels
        tile_scale = inputs[0][1] / int(boxes[0][3] - boxes[0][1])
        if cost <= MOST_COST and tile_scale > scale:
            options.append(Option(tiles, cost, scale, tile_scale))
    most = max((option.tile_scale for option in options), default=0)
    large = [option for option in options if option.tile_scale >= _AS_LARGE * most]
    return min(large, key=lambda option: (option.cost, -option.tile_scale), default=None)


def by_height(option: Option | None, person_px: float, source: str) -> Choice:
    """The choice where persons are about `person_px` px tall in the image; `source`: how that is known."""
    if option is None:
        return _too_dear()
    at_input = person_px * option.whole_scale
    known = f"{source}, persons are {person_px:.0f} px tall, {at_input:.0f} px at the model's input"
    if at_input >= SMALL:
        return Choice(None, 1.0, f"{known}; from {SMALL:.0f} px on, tiles do not help")
    return Choice(option.tiles, option.cost, f"{known}, and {person_px * option.tile_scale:.0f} px in tiles")


def by_look(option: Option | None, whole: Sequence[Detections], tiled: Sequence[Detections]) -> Choice:
    """The choice by what was found in some frames, in `whole` images and in `tiled` ones."""
    if option is None:
        return _too_dear()
    heights = [_heights(each) for each in (whole, tiled)]
    frames = "1 frame" if len(tiled) == 1 else f"{len(tiled)} frames"
    looked = f"in {frames} with {len(heights[0])} persons in whole images, {len(heights[1])} in tiles"
    if not len(heights[1]):
        return Choice(None, 1.0, looked)
    return by_height(option, float(np.median(heights[1])), looked)


def _heights(found: Sequence[Detections]) -> NDArray[np.float32]:
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(each.above(_SURE).boxes for each in found)])
    return np.asarray(boxes[:, 3] - boxes[:, 1], np.float32)


def _too_dear() -> Choice:
    return Choice(None, 1.0, f"no tiles show persons larger at {MOST_COST:.0f} × the model time or less")


def affordable_for(width: int, height: int, config: DetectorConfig, source: WeightsSource) -> Option | None:
    """As `affordable`, for the input of the detector that `config` describes.

    Raises:
        DetectorError: an ONNX model cannot be opened, or neither its file nor `config` has the size of its input.

    """
    if source.architecture is None:
        rule, padded = input_of(config, source)
    else:
        rule, padded = config.resize or source.architecture.resize, False
    return affordable(width, height, rule, padded=padded)


def look(config: DetectorConfig, source: WeightsSource, images: Iterable[NDArray[np.uint8]]) -> Choice:
    """The choice by a first look at `images` (uint8 (H, W, 3) RGB, of one size), whole and in tiles.

    Raises:
        DetectorError: as `load_predictor` and `affordable_for`.

    """
    option, whole, tiled = None, list[Detections](), list[Detections]()
    for number, image in enumerate(images):
        if not number:
            option = affordable_for(image.shape[1], image.shape[0], config, source)
            if option is None:
                return _too_dear()
            detectors = [
                load_predictor(config.model_copy(update={"tiles": tiles}), source) for tiles in (None, option.tiles)
            ]
        for found, detector in zip((whole, tiled), detectors, strict=True):
            found += detector.predict([detector.preprocess(image)])
    return by_look(option, whole, tiled) if tiled else Choice(None, 1.0, "no frame could be looked at")
