"""Tracklets of one person with a gap between them become one: the later begins where the earlier would be by then.

The tracker continues a tracklet only where boxes overlap. Here whole tracklets are compared: place and course on
both sides of the gap, and the mean descriptors. As before, purity counts more than length: where two tracklets
could be the continuation of one, or a person like this one is near, nothing is joined.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from detector.records import Detections
from pipeline.config.models import TracksConfig

_COURSE_S = 1.0  # a person's course is that of the last or first second
_FASTEST = 2.0  # heights a second; what is measured faster is noise
_REACH, _REACH_A_SECOND = 0.3, 0.5  # heights that a person may be from where the course leads
_GROWTH = 1.35  # ratio of heights on both sides of the gap
_NEAR = 1.0  # heights within which another person could be mistaken for this one,
_UNLIKE = 0.05  # unless the descriptors are this much less similar than those on both sides of the gap
_MARGIN = 0.5  # by how much less the best continuation has to cost than the second best


@dataclass(frozen=True, eq=False)
class _Side:
    """A tracklet where it ends or begins.

    Attributes:
        frame: its last or first.
        time: of that frame, seconds.
        middle: float64 (2,), pixels.
        course: float64 (2,), pixels a second, the camera's motion taken out.
        height: median of the last or first detections, pixels.
        look: float64 (d,), the mean descriptor near this side, of length 1; or zeros.

    """

    frame: int
    time: float
    middle: NDArray[np.float64]
    course: NDArray[np.float64]
    height: float
    look: NDArray[np.float64]


@dataclass(frozen=True)
class _Pair:
    """Two tracklets that may be one; `cost` is that of `_cost`."""

    cost: float
    first: int
    second: int


def join(
    table: pd.DataFrame,
    detections: Mapping[int, Detections],
    motion: Mapping[int, NDArray[np.float32]],
    times: Mapping[int, float],
    looks: pd.DataFrame,
    config: TracksConfig,
) -> pd.DataFrame:
    """Join the tracklets of one person.

    Args:
        table: `tracklet`, `frame`, `rank`, as `link` and `split_at_jumps` give it.
        detections: by frame index.
        motion: float32 (2, 3) by frame index, as `pipeline.stages.motion.read_motion` gives it.
        times: seconds of every frame that was decoded, by frame index, rising.
        looks: `frame`, `rank`, `look`, as `stages.appearance.read_descriptors` gives it.
        config: settings.

    Returns:
        The same rows; joined tracklets have one number, and numbers rise with their begin from 0.

    """
    if not config.join_gap_s or table.empty:
        return table
    steps = _Steps(motion, times)
    described = table.merge(looks, on=["frame", "rank"], how="left")
    begins: dict[int, _Side] = {}
    ends: dict[int, _Side] = {}
    present = _Present()
    for name, rows in described.groupby("tracklet", sort=True):
        number, boxes = int(str(name)), _boxes(rows, detections)
        begins[number], ends[number] = _sides(rows, boxes, steps, config.window)
        present.add(number, rows, boxes)
    pairs = _certain(_direct(list(_pairs(begins, ends, present, steps, config))))
    earlier = {pair.second: pair.first for pair in pairs}
    group: dict[int, int] = {}
    for number in sorted(begins, key=lambda number: begins[number].frame):
        group[number] = group[earlier[number]] if number in earlier else number
    joined = table.assign(tracklet=table["tracklet"].map(group)).sort_values(["tracklet", "frame"])
    order = joined.groupby("tracklet")[["frame", "rank"]].first().sort_values(["frame", "rank"]).index
    renumbered = joined["tracklet"].map({number: place for place, number in enumerate(order)})
    return joined.assign(tracklet=renumbered).sort_values(["tracklet", "frame"], ignore_index=True)


class _Steps:
    """The camera's motion between any two frames."""

    def __init__(self, motion: Mapping[int, NDArray[np.float32]], times: Mapping[int, float]) -> None:
        self.times = times
        self.frames = list(times)
        self.place = {frame: place for place, frame in enumerate(self.frames)}
        self._steps = np.tile(np.eye(3), (len(self.frames), 1, 1))
        for place, frame in enumerate(self.frames):
            if place and frame in motion:
                self._steps[place, :2] = motion[frame]

    def onward(self, frame: int) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """The frames after `frame`, and the motion (3, 3) from it into each."""
        matrix = np.eye(3)
        for place in range(self.place[frame] + 1, len(self.frames)):
            matrix = self._steps[place] @ matrix
            yield self.frames[place], matrix

    def between(self, first: int, last: int) -> dict[int, NDArray[np.float64]]:
        """The motion (3, 3) from frame `first` into each up to `last`, itself included."""
        into = {first: np.eye(3)}
        for frame, matrix in self.onward(first):
            if frame > last:
                break
            into[frame] = matrix
        return into


class _Present:
    """The tracklets in each frame: where they are, and their mean descriptors."""

    def __init__(self) -> None:
        self._middles: dict[int, dict[int, NDArray[np.float64]]] = defaultdict(dict)
        self._looks: dict[int, NDArray[np.float64]] = {}

    def add(self, number: int, rows: pd.DataFrame, boxes: NDArray[np.float64]) -> None:
        """The tracklet `number` of `rows` with its `boxes` (n, 4)."""
        self._looks[number] = _mean(list(rows["look"]))
        for frame, middle in zip(rows["frame"].tolist(), (boxes[:, :2] + boxes[:, 2:]) / 2, strict=True):
            self._middles[frame][number] = middle

    def mistakable(self, end: _Side, begin: _Side, pair: tuple[int, int]) -> bool:
        """Whether on a side of the gap between `pair` somebody else is near who is similar to this person."""
        likeness = _likeness(end.look, begin.look)
        return any(
            _likeness(self._looks[number], side.look) > likeness - _UNLIKE
            for side in (end, begin)
            for number, middle in self._middles[side.frame].items()
            if number not in pair and np.hypot(*(middle - side.middle)) < _NEAR * side.height
        )


def _boxes(rows: pd.DataFrame, detections: Mapping[int, Detections]) -> NDArray[np.float64]:
    frames, ranks = rows["frame"].tolist(), rows["rank"].tolist()
    return np.array([detections[frame].boxes[rank] for frame, rank in zip(frames, ranks, strict=True)], np.float64)


def _sides(rows: pd.DataFrame, boxes: NDArray[np.float64], steps: _Steps, window: int) -> tuple[_Side, _Side]:
    """Begin and end of the tracklet of `rows`."""
    frames = rows["frame"].tolist()
    at = np.array([steps.times[frame] for frame in frames])
    middles, heights = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 3] - boxes[:, 1]
    looks = list(rows["look"])
    sides = []
    for near, turn in ((at <= at[0] + _COURSE_S, 1), (at >= at[-1] - _COURSE_S, -1)):
        chosen = np.flatnonzero(near)[::turn]
        some = chosen[:window]
        place = chosen[0]
        sides.append(
            _Side(
                frames[place],
                float(at[place]),
                middles[place],
                _course([frames[one] for one in chosen], middles[chosen], at[chosen], steps, float(heights[place])),
                float(np.median(heights[some])),
                _mean([looks[one] for one in some]),
            )
        )
    return sides[0], sides[1]


def _course(
    frames: list[int], middles: NDArray[np.float64], at: NDArray[np.float64], steps: _Steps, height: float
) -> NDArray[np.float64]:
    """Pixels a second in the first of `frames`, which rise or fall: the slope of a line through the middles."""
    if len(frames) < 3:
        return np.zeros(2)
    into = steps.between(min(frames), max(frames))
    here = [
        _moved(into[frames[0]] @ np.linalg.pinv(into[frame]), middle)
        for frame, middle in zip(frames, middles, strict=True)
    ]
    since = at - at.mean()
    slope = np.asarray((since[:, None] * np.array(here)).sum(axis=0) / max(float((since**2).sum()), 1e-9))
    return slope * min(1.0, _FASTEST * height / max(float(np.hypot(*slope)), 1e-9))


def _mean(looks: list[object]) -> NDArray[np.float64]:
    known = [np.asarray(look, np.float64) for look in looks if isinstance(look, np.ndarray)]
    if not known:
        return np.zeros(1)
    total = np.sum(known, axis=0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-9))


def _likeness(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Cosine of two mean descriptors; 0 where one is not known."""
    return float(one @ other) if one.shape == other.shape else 0.0


def _moved(matrix: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(matrix[:2, :2] @ point + matrix[:2, 2])


def _pairs(
    begins: Mapping[int, _Side],
    ends: Mapping[int, _Side],
    present: _Present,
    steps: _Steps,
    config: TracksConfig,
) -> Iterator[_Pair]:
    """Each tracklet with those that may continue it."""
    starting = defaultdict(list)
    for number, begin in begins.items():
        starting[begin.frame].append(number)
    for number, end in ends.items():
        for frame, matrix in steps.onward(end.frame):
            if steps.times[frame] - end.time > config.join_gap_s:
                break
            for other in starting.get(frame, []):
                begin = begins[other]
                cost = _cost(end, begin, matrix, config.join_above)
                if cost < np.inf and not present.mistakable(end, begin, (number, other)):
                    yield _Pair(cost, number, other)


def _cost(end: _Side, begin: _Side, matrix: NDArray[np.float64], alike: float) -> float:
    """How ill `begin` continues `end`: 0 where place and descriptors agree, up to 2; infinite where it cannot.

    Args:
        end: of the earlier tracklet.
        begin: of the later one.
        matrix: the camera's motion (3, 3) between them.
        alike: minimum similarity of their descriptors.

    """
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    heights = end.height * scale, begin.height
    likeness = _likeness(end.look, begin.look)
    if max(heights) > _GROWTH * min(heights) or likeness < alike:
        return np.inf
    gap = begin.time - end.time
    there, course = _moved(matrix, end.middle), matrix[:2, :2] @ end.course
    missed = max(
        _distance(begin.middle, there, course * gap), _distance(there, begin.middle, -begin.course * gap)
    ) / max(heights)
    reach = _REACH + _REACH_A_SECOND * gap
    if missed > reach:
        return np.inf
    return missed / reach + (1 - likeness) / max(1 - alike, 1e-9)


def _distance(point: NDArray[np.float64], start: NDArray[np.float64], way: NDArray[np.float64]) -> float:
    """From `point` to the nearest place between `start` and `start + way`: a person may slow down or stop."""
    share = float(np.clip((point - start) @ way / max(float(way @ way), 1e-9), 0, 1))
    return float(np.hypot(*(point - start - share * way)))


def _direct(pairs: list[_Pair]) -> list[_Pair]:
    """Those that do not leave out a tracklet in between: of first, second and third not first and third."""
    after, before = defaultdict(set), defaultdict(set)
    for pair in pairs:
        after[pair.first].add(pair.second)
        before[pair.second].add(pair.first)
    return [pair for pair in pairs if after[pair.first].isdisjoint(before[pair.second])]


def _certain(pairs: list[_Pair]) -> list[_Pair]:
    """Those that are the best of both their tracklets, by a margin; so no tracklet is in two as first or second."""
    costs = defaultdict(list)
    for pair in pairs:
        costs["first", pair.first].append(pair.cost)
        costs["second", pair.second].append(pair.cost)
    return [
        pair
        for pair in pairs
        if all(
            sum(cost < pair.cost + _MARGIN for cost in costs[side]) == 1
            for side in (("first", pair.first), ("second", pair.second))
        )
    ]
