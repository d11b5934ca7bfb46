"""The labels of new tracklets, from those of the detections that they share with the old ones."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from annotate.log.state import Label
from annotate.operations import Mark
from annotate.records import Box
from pipeline.boxes import iou

SAME = 0.5  # IoU from which an old and a new detection of a frame are the same
_SHARE = 0.9  # of the labelled detections of a new tracklet: those that must agree
_WAITING = (Mark.OPEN, Mark.SKIPPED)


class Place(NamedTuple):
    """A detection, whatever its rank: a frame, and a box in it."""

    frame: int
    box: Box


class Known(NamedTuple):
    """A tracklet as it is labelled.

    Attributes:
        tracklet: its name.
        label: its label.
        linked: the number of the tracklet that the detection was of before a labeller split or swapped it.

    """

    tracklet: str
    label: Label
    linked: int


@dataclass(frozen=True)
class Piece:
    """A new tracklet, or the part of one between two places where a labeller had cut an old one.

    Attributes:
        number: of the new tracklet.
        first, last: frames of its first and last detection.
        detections: how many.
        known: the old tracklet of each detection; None where there was none.
        label: that it gets; `Mark.OPEN`: none.
        reason: why it gets none, although an old one had; "" otherwise.

    """

    number: int
    first: int
    last: int
    detections: int
    known: tuple[Known | None, ...]
    label: Label = Mark.OPEN
    reason: str = ""


def carry(old: Iterable[tuple[Place, Known]], new: Mapping[int, Sequence[Place]]) -> list[Piece]:
    """The new tracklets with the labels that they get, by number and frame.

    A detection is the old one of the same frame that it overlaps most. A tracklet is cut where a labeller had cut
    between two of its detections. What is then in one piece gets the label of nine in ten of its labelled
    detections, if these are half of it; of junk, which may have been several persons, only if no other piece has
    detections of it.

    Args:
        old: the labelled detections.
        new: the detections of each tracklet in order of frames.

    """
    owners = _owners(old, new)
    pieces = [
        piece
        for number, content in sorted(new.items())
        for piece in _cut(number, content, [owners.get((number, at)) for at in range(len(content))])
    ]
    shares = Counter(name for piece in pieces for name in {each.tracklet for each in piece.known if each})
    return [_judged(piece, shares) for piece in pieces]


def _owners(old: Iterable[tuple[Place, Known]], new: Mapping[int, Sequence[Place]]) -> dict[tuple[int, int], Known]:
    """The old detection of each new one (number, place in its tracklet): one to one, by descending IoU."""
    before: dict[int, list[tuple[Box, Known]]] = defaultdict(list)
    after: dict[int, list[tuple[Box, tuple[int, int]]]] = defaultdict(list)
    for place, known in old:
        before[place.frame].append((place.box, known))
    for number, content in new.items():
        for at, place in enumerate(content):
            after[place.frame].append((place.box, (number, at)))
    found: dict[tuple[int, int], Known] = {}
    for frame in after.keys() & before.keys():
        those, these = sorted(before[frame], key=lambda each: (each[0], each[1].tracklet)), sorted(after[frame])
        overlaps = iou(np.array([box for box, _ in these]), np.array([box for box, _ in those]))
        taken: set[int] = set()
        for flat in np.argsort(-overlaps, axis=None, kind="stable"):
            row, column = divmod(int(flat), len(those))
            if overlaps[row, column] < SAME:
                break
            if column not in taken and these[row][1] not in found:
                taken.add(column)
                found[these[row][1]] = those[column][1]
    return found


def _cut(number: int, content: Sequence[Place], known: Sequence[Known | None]) -> Iterable[Piece]:
    begins, last = [0], None
    for at, each in enumerate(known):
        if each is not None:
            if last is not None and last.linked == each.linked and last.tracklet != each.tracklet:
                begins.append(at)
            last = each
    for begin, end in zip(begins, [*begins[1:], len(content)], strict=True):
        yield Piece(number, content[begin].frame, content[end - 1].frame, end - begin, tuple(known[begin:end]))


def _judged(piece: Piece, shares: Mapping[str, int]) -> Piece:
    label, reason = _label(piece, shares)
    return Piece(piece.number, piece.first, piece.last, piece.detections, piece.known, label, reason)


def _label(piece: Piece, shares: Mapping[str, int]) -> tuple[Label, str]:
    labels = Counter(each.label for each in piece.known if each is not None)
    decided = Counter({label: count for label, count in labels.items() if label not in _WAITING})
    if not decided:
        skipped = 2 * labels[Mark.SKIPPED] >= piece.detections
        return (Mark.SKIPPED if skipped and labels else Mark.OPEN), ""
    (label, count), *others = sorted(decided.items(), key=lambda each: (-each[1], str(each[0])))
    if count < _SHARE * decided.total():
        return Mark.OPEN, f"mixes {', '.join(sorted(_words(each) for each in (label, *dict(others))))}"
    if 2 * count < piece.detections:
        return Mark.OPEN, f"{_words(label)}, but only {count} of its {piece.detections} detections"
    divided = {each.tracklet for each in piece.known if each and each.label == label and shares[each.tracklet] > 1}
    if label is Mark.JUNK and divided:
        return Mark.OPEN, f"a part of what was junk: {', '.join(sorted(divided))}"
    return label, ""


def _words(label: Label) -> str:
    return str(label) if isinstance(label, Mark) else f"identity {label}"
