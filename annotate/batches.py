"""Batches: tracklets with a proposed answer each, to be confirmed at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from annotate.suggestions.proposals import Proposal

SIZE = 16  # rows at most: they fit on a screen or two
FEWEST = 8  # rows, as long as something else can be asked: more come together meanwhile


@dataclass(frozen=True)
class Batch:
    """Proposed answers to confirm at once.

    Attributes:
        rows: one for each tracklet; none where there are too few.
        total: how many answers are proposed, also beyond these.

    """

    rows: tuple[Proposal, ...]
    total: int


def choose(
    proposals: Sequence[Proposal],
    apart: Callable[[str, str], bool],
    mine: Callable[[str], bool],
    fewest: int = FEWEST,
) -> Batch:
    """The first of `proposals` that can be confirmed at once.

    Who was seen together is not one person, so a person has no two such tracklets; and only those who were seen
    together are surely several new people.

    Args:
        proposals: the surest first.
        apart: whether two tracklets were seen together.
        mine: whether a tracklet can be reserved for the labeller; asked only for those that are chosen.
        fewest: rows; with fewer there is no batch.

    """
    rows: list[Proposal] = []
    for each in proposals:
        if len(rows) < SIZE and all(_fits(each, other, apart) for other in rows) and mine(each.tracklet):
            rows.append(each)
    return Batch(tuple(rows) if len(rows) >= fewest else (), len(proposals))


def _fits(one: Proposal, other: Proposal, apart: Callable[[str, str], bool]) -> bool:
    if one.answer != other.answer or one.answer == "junk":
        return True
    return apart(one.tracklet, other.tracklet) == (one.answer == "new")
