"""Sliced inference: the model runs on overlapping tiles, and their boxes are joined into one set.

A person at a tile's edge is cut there and, if the overlap is large enough, whole in the neighbour. Boxes that end
at an inner edge are therefore replaced by whole ones, or, if no tile has the person whole, joined with each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import nms

from detector.backends.protocol import PersonDetector
from detector.config import DetectorConfig, Resize, Tiles
from detector.models.presets import Architecture
from detector.records import Detections, areas, intersections
from detector.scores import ScoreLine

_EDGE = 2.0  # px of the original: a box that ends this near to a tile's edge counts as cut there
_COVERED = 0.5  # share of the smaller of two boxes inside the other, from which they are one person


@dataclass(frozen=True, eq=False)
class _Piece:
    """A part of an image, prepared for the model.

    Attributes:
        box: float32 (4,), its place in the image, xyxy in px.
        prepared: the output of the inner predictor's `preprocess`.

    """

    box: NDArray[np.float32]
    prepared: Any


@dataclass(frozen=True, eq=False)
class TiledImage:
    """An image as pieces: the tiles and, if configured, the whole image."""

    pieces: tuple[_Piece, ...]
    width: int
    height: int


class TiledPredictor:
    """A detector that runs another one on tiles; see `detector.backends.protocol.PersonDetector`."""

    def __init__(
        self, inner: PersonDetector, config: DetectorConfig, architecture: Architecture | None = None
    ) -> None:
        """A detector of `inner` on tiles; `architecture` says what `inner`'s scores mean there."""
        assert isinstance(config.tiles, Tiles)
        self.batch_size, self.workers, self.runtime = inner.batch_size, inner.workers, inner.runtime
        self._inner, self._config, self._tiles, self._architecture = inner, config, config.tiles, architecture

    def preprocess(self, image: NDArray[np.uint8]) -> TiledImage:
        """Cut `image` (uint8 (H, W, 3) RGB) and scale each piece for the model.

        Raises:
            ValueError: `image` has another type or shape.

        """
        height, width = image.shape[:2]
        pieces = [
            _Piece(box.astype(np.float32), self._inner.preprocess(image[box[1] : box[3], box[0] : box[2]]))
            for box in pieces_of(width, height, self._tiles)
        ]
        return TiledImage(tuple(pieces), width, height)

    def predict(self, batch: Sequence[TiledImage]) -> list[Detections]:
        """The persons in each image: boxes in pixels of the original, best first."""
        prepared = [piece.prepared for image in batch for piece in image.pieces]
        found: list[Detections] = []
        size = self._inner.batch_size
        for first in range(0, len(prepared), size):
            found += self._inner.predict(prepared[first : first + size])
        result, start = [], 0
        for image in batch:
            stop = start + len(image.pieces)
            result.append(self._together(image, found[start:stop]))
            start = stop
        return result

    def _together(self, image: TiledImage, found: Sequence[Detections]) -> Detections:
        line, floor = self._line(image), self._config.floor
        sure = [one.above(line.inverse(floor) if line else floor) for one in found]
        boxes = [one.boxes + np.tile(piece.box[:2], 2) for piece, one in zip(image.pieces, sure, strict=True)]
        cut = [
            is_cut(part, piece.box, image.width, image.height)
            for part, piece in zip(boxes, image.pieces, strict=True)
        ]
        joined = join(
            np.concatenate(boxes),
            np.concatenate([one.scores for one in sure]),
            np.concatenate(cut),
            nms_iou=self._config.nms_iou,
        )[: self._config.max_detections]
        if line is None:
            return joined
        return Detections(joined.boxes, line(joined.scores).astype(np.float32)).above(floor)

    def _line(self, image: TiledImage) -> ScoreLine | None:
        """What scores mean in the pieces of `image`; None: what they mean in whole images."""
        architecture = self._architecture
        if architecture is None or architecture.tile_scores is None:
            return None
        rule = self._config.resize or architecture.resize
        return architecture.tile_scores.at(enlargement(image.width, image.height, self._tiles, rule))


def pieces_of(width: int, height: int, tiles: Tiles) -> NDArray[np.int64]:
    """The tiles of an image, row by row and evenly spread, and the whole image last if configured.

    Returns:
        int64 (n, 4) xyxy in pixels; neighbours share at least `tiles.overlap` of a tile. An image that fits into
        one tile is one piece.

    """
    columns, rows = _spread(width, tiles), _spread(height, tiles)
    boxes = [(left, top, right, bottom) for top, bottom in rows for left, right in columns]
    if tiles.full_image and len(boxes) > 1:
        boxes.append((0, 0, width, height))
    return np.array(boxes, np.int64)


def _spread(length: int, tiles: Tiles) -> list[tuple[int, int]]:
    if length <= tiles.size:
        return [(0, length)]
    count = 1 + int(np.ceil((length - tiles.size) / (tiles.size * (1 - tiles.overlap))))
    return [(int(start), int(start) + tiles.size) for start in np.linspace(0, length - tiles.size, count)]


def enlargement(width: int, height: int, tiles: Tiles, rule: Resize) -> float:
    """How many times as large as in the whole image persons are in the tiles of an image of `width` x `height` px.

    `rule` scales the tiles and the whole image for the model; the geometric mean of both sides.
    """
    left, top, right, bottom = (int(edge) for edge in pieces_of(width, height, tiles)[0])
    scales = [
        np.sqrt(np.prod(rule.size(*sides)) / np.prod(sides))
        for sides in ((right - left, bottom - top), (width, height))
    ]
    return float(scales[0] / scales[1])


def is_cut(boxes: NDArray[np.float32], piece: NDArray[np.float32], width: int, height: int) -> NDArray[np.bool_]:
    """Mask of the `boxes` ((n, 4) xyxy of the image) that end at an edge of `piece` inside the image: (n,)."""
    inner = piece != np.array([0, 0, width, height])
    at_edge: NDArray[np.bool_] = np.abs(boxes - piece) <= _EDGE
    return np.asarray((at_edge & inner).any(axis=1))


def join(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], cut: NDArray[np.bool_], *, nms_iou: float
) -> Detections:
    """One set of detections from the boxes of all pieces.

    Args:
        boxes: float32 (n, 4) xyxy in pixels of the image.
        scores: float32 (n,).
        cut: bool (n,), from `is_cut`.
        nms_iou: if two boxes overlap more than this, only the better one is kept.

    """
    whole, whole_scores = boxes[~cut], scores[~cut]
    parts, part_scores = boxes[cut], scores[cut]
    unseen = ~(_share_inside(parts, whole) >= _COVERED).any(axis=1)
    unions, union_scores = _unite(parts[unseen], part_scores[unseen])
    boxes, scores = np.concatenate([whole, unions]), np.concatenate([whole_scores, union_scores])
    kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores), nms_iou).numpy()
    return Detections(boxes[kept], scores[kept])


def _unite(
    boxes: NDArray[np.float32], scores: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each box joined with the worse ones that it mostly covers or that mostly cover it, with the best score."""
    order = np.argsort(-scores, kind="stable")
    boxes, scores = boxes[order], scores[order]
    inside = _share_inside(boxes, boxes)
    alike = np.maximum(inside, inside.T) >= _COVERED
    free = np.ones(len(boxes), np.bool_)
    unions, best = [], []
    for index in range(len(boxes)):
        if free[index]:
            group = alike[index] & free
            free &= ~group
            unions.append(np.concatenate([boxes[group, :2].min(axis=0), boxes[group, 2:].max(axis=0)]))
            best.append(scores[index])
    return np.array(unions, np.float32).reshape(-1, 4), np.array(best, np.float32)


def _share_inside(boxes: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """The share of the area of each of n `boxes` inside each of m `others`: (n, m)."""
    common = intersections(boxes[:, None], others)
    return np.asarray(common / areas(boxes).clip(1e-6)[:, None], np.float32)
