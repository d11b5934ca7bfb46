"""Reviews: a second labeller confirms or questions what others decided; agreement, and where it lacks."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from annotate.log.history import Entry
from annotate.log.state import Label, State
from annotate.log.store import LabelStore
from annotate.operations import Mark

_WITHOUT = (Mark.OPEN, Mark.SKIPPED)  # there is nothing to review


@dataclass
class Agreement:
    """How often others agreed with one labeller, over the labels that are still as they were.

    Attributes:
        labeller: who decided.
        labels: tracklets whose label is of this labeller.
        confirmed, questioned: how many of them a reviewer confirmed and questioned.
        alike, otherwise: how many of them were called the same, and something else, at a second look.

    """

    labeller: str
    labels: int = 0
    confirmed: int = 0
    questioned: int = 0
    alike: int = 0
    otherwise: int = 0


@dataclass(frozen=True)
class Disagreement:
    """A label that somebody did not agree with, and that is still as it was.

    Attributes:
        tracklet: its name.
        label: the number of an identity, or a mark.
        labeller, decided: who gave it, and when: UTC, ISO 8601.
        kind: "questioned" in a review, or "second look".
        answer: of the second look; "" of a review.
        reason: of the review; "" where none was given.
        reviewer, reviewed: who did not agree, and when.

    """

    tracklet: str
    label: str
    labeller: str
    decided: str
    kind: str
    answer: str
    reason: str
    reviewer: str
    reviewed: str

    def record(self) -> dict[str, Any]:
        """Its columns, in order."""
        return asdict(self)


@dataclass
class _Second:
    """A second opinion on a label that is still as it was."""

    tracklet: str
    label: Label
    decided: Entry
    entry: Entry
    agrees: bool
    kind: str
    answer: str = ""
    reason: str = ""


def to_review(store: LabelStore, state: State, user: str, wanted: Callable[[str], bool]) -> Iterator[str]:
    """The tracklets that others than `user` labelled and nobody reviewed since, in a random order.

    Only those that are `wanted`. The order is the same for everybody, and does not follow time or flight.
    """
    names = [name for name, label in state.labels.items() if label not in _WITHOUT and wanted(name)]
    for name in sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest()):
        decided = store.decision(name)
        known = state.reviews.get(name)
        fresh = decided is not None and (known is None or known[1].decision != decided.sequence)
        if fresh and decided is not None and decided.user != user:
            yield name


def agreement(store: LabelStore, state: State) -> list[Agreement]:
    """The agreement with each labeller, those with most labels first."""
    found: dict[str, Agreement] = {}
    labels = Counter(store.labeller(name) for name, label in state.labels.items() if label not in _WITHOUT)
    for labeller, count in labels.items():
        if labeller is not None:
            found[labeller] = Agreement(labeller, labels=count)
    for each in _seconds(store, state):
        row = found.setdefault(each.decided.user, Agreement(each.decided.user))
        if each.kind == "review":
            row.confirmed += each.agrees
            row.questioned += not each.agrees
        else:
            row.alike += each.agrees
            row.otherwise += not each.agrees
    return sorted(found.values(), key=lambda row: (-row.labels, row.labeller))


def disagreements(store: LabelStore, state: State) -> list[Disagreement]:
    """What reviews questioned and second looks called otherwise, by tracklet."""
    return [
        Disagreement(
            tracklet=each.tracklet,
            label=str(each.label),
            labeller=each.decided.user,
            decided=each.decided.time,
            kind="questioned" if each.kind == "review" else each.kind,
            answer=each.answer,
            reason=each.reason,
            reviewer=each.entry.user,
            reviewed=each.entry.time,
        )
        for each in sorted(_seconds(store, state), key=lambda each: (each.tracklet, each.kind))
        if not each.agrees
    ]


def _seconds(store: LabelStore, state: State) -> Iterator[_Second]:
    for name, (label, review) in state.reviews.items():
        decided, entry = store.decision(name), store.review(name)
        if decided is not None and entry is not None and decided.sequence == review.decision:
            yield _Second(
                name, label, decided, entry, review.verdict == "confirmed", "review", reason=review.reason
            )
    for name, (label, answer) in state.second_looks.items():
        decided, entry = store.decision(name), store.second_look(name)
        if decided is None or entry is None or state.labels.get(name) != label or answer == Mark.SKIPPED.value:
            continue
        yield _Second(name, label, decided, entry, answer == label, "second look", answer=str(answer))
