"""A track of CVAT: boxes at keyframes, and what they mean for the frames between."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from annotate.exchange.records import DECIMALS
from annotate.records import Box

_SAME = 1.0  # px; exports round, and old ones round to whole pixels


@dataclass(frozen=True)
class Shape:
    """A box of a track in a frame; `outside`: the person is not visible from here on."""

    frame: int
    box: Box
    outside: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> bool:
        """Whether it is a keyframe; a file that does not tell has only those."""
        return bool(self.extra.get("keyframe", True))


_Known = tuple[Shape, dict[str, str]]  # with the attributes


def fill(shapes: Sequence[_Known], has: Callable[[int], bool], most: int) -> tuple[list[_Known] | None, int]:
    """The boxes of one track in every frame where its person is visible, and how many were stale.

    CVAT writes the boxes between keyframes too, with `keyframe="0"`, and takes them from the keyframes when it
    reads a file. One that differs from these is left from before somebody moved a keyframe: it is replaced, and
    counted.

    Args:
        shapes: the boxes, with attributes.
        has: whether a frame is annotated; boxes are not made up for others.
        most: None is returned instead of more than so many boxes.

    """
    ordered = sorted(shapes, key=lambda each: each[0].frame)
    keys = [each for each in ordered if each[0].key]
    extent = sum(after[0].frame - before[0].frame for before, after in pairwise(keys) if not before[0].outside)
    if len(ordered) + extent > most:
        return None, 0
    visible = {each[0].frame: each for each in _between(keys, has)}
    stale = 0
    starts = [shape.frame for shape, _ in keys]
    for known in ordered:
        shape = known[0]
        if shape.key:
            continue
        before = bisect_right(starts, shape.frame) - 1
        if before < 0 or (before + 1 == len(keys) and _continues(keys[before][0], shape)):
            if not shape.outside:
                visible[shape.frame] = known
        elif shape.frame not in visible:
            stale += not shape.outside
        elif shape.outside or not _same(shape.box, visible[shape.frame][0].box):
            stale += 1
        elif not visible[shape.frame][0].key:
            visible[shape.frame] = known
    doubled = [each for each in keys if not each[0].outside and visible[each[0].frame] is not each]
    return sorted([*visible.values(), *doubled], key=lambda each: each[0].frame), stale


def _continues(last: Shape, shape: Shape) -> bool:
    """Whether a box after the last keyframe is that one's."""
    return not last.outside and _same(last.box, shape.box)


def _same(one: Box, other: Box) -> bool:
    return all(abs(a - b) <= _SAME for a, b in zip(one, other, strict=True))


def _between(keys: Sequence[_Known], has: Callable[[int], bool]) -> Iterator[_Known]:
    for known, (after, _) in pairwise(keys):
        shape, attributes = known
        if shape.outside:
            continue
        yield known
        extra = {name: value for name, value in shape.extra.items() if name != "keyframe"} | {"keyframe": False}
        for frame in range(shape.frame + 1, after.frame):
            if has(frame):
                share = (frame - shape.frame) / (after.frame - shape.frame)
                box = _blend(shape.box, after.box, share)
                yield replace(shape, frame=frame, box=box, extra=extra), attributes
    if keys and not keys[-1][0].outside:
        yield keys[-1]


def _blend(one: Box, other: Box, share: float) -> Box:
    x1, y1, x2, y2 = (round(a + share * (b - a), DECIMALS) for a, b in zip(one, other, strict=True))
    return x1, y1, x2, y2
