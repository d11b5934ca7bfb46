"""Progress of the labelling: share, speed, and the agreement of second looks."""

import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from annotate.log.history import Entry
from annotate.log.state import State
from annotate.log.store import LabelStore
from annotate.operations import AnswerBatch, Assign, Mark, Merge, NewIdentity, SecondLook, SetMark

_RECENT = 60  # decisions over which the speed is measured
_PAUSE_S = 120.0  # a longer gap between two decisions is a pause, and not counted
_WAITING = (Mark.OPEN, Mark.SKIPPED)


class Tally:
    """Counts of each labeller's decisions, along the log.

    Attributes:
        labelled: decisions about a tracklet's label, by user.
        second_looks: by user.
        named: the last entry of the log that named a person.

    """

    def __init__(self) -> None:
        self.labelled: Counter[str] = Counter()
        self.second_looks: Counter[str] = Counter()
        self.named = 0
        self._recent: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_RECENT))
        self._counted = 0

    def follow(self, store: LabelStore) -> None:
        """Count what was decided since the last call."""
        for entry in store.entries[self._counted :]:
            self._count(entry)
        self._counted = len(store.entries)

    def seconds_per_decision(self, user: str) -> float | None:
        """Mean time that `user` takes, pauses apart; None before the third decision."""
        times = list(self._recent[user])
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        working = [gap for gap in gaps if gap <= _PAUSE_S]
        return sum(working) / len(working) if len(working) >= 2 else None

    def _count(self, entry: Entry) -> None:
        operation = entry.operation
        if isinstance(operation, AnswerBatch):
            if operation.names_somebody:
                self.named = entry.sequence
        elif isinstance(operation, Assign | NewIdentity | Merge):
            self.named = entry.sequence
        if isinstance(operation, SecondLook):
            self.second_looks[entry.user] += 1
        elif isinstance(operation, AnswerBatch | Assign | NewIdentity | SetMark):
            self.labelled[entry.user] += 1
        else:
            return
        self._recent[entry.user].append(datetime.fromisoformat(entry.time).timestamp())


@dataclass(frozen=True)
class Progress:
    """The state of the labelling.

    Attributes:
        tracklets, labelled: those with a crop, and those of them that have a label; skipped ones have none.
        skipped: those that were passed over.
        detections, labelled_detections: the same by detections.
        identities: how many people there are: identities with a tracklet.
        per_minute: decisions of this labeller, pauses apart; None before the third.
        minutes_left: for what waits, at this speed.
        second_looks, agreed: tracklets that were labelled twice, and how many of them alike.

    """

    tracklets: int
    labelled: int
    skipped: int
    detections: int
    labelled_detections: int
    identities: int
    per_minute: float | None
    minutes_left: float | None
    second_looks: int
    agreed: int


def progress(state: State, tally: Tally, user: str, visible: Callable[[str], bool]) -> Progress:
    """The progress over the tracklets that are `visible`; the speed is that of `user`."""
    names = [name for name in state.labels if visible(name)]
    done = [name for name in names if state.labels[name] not in _WAITING]
    seconds = tally.seconds_per_decision(user)
    looks = [(first, answer) for first, answer in state.second_looks.values() if answer != Mark.SKIPPED.value]
    waiting = len(names) - len(done)
    return Progress(
        tracklets=len(names),
        labelled=len(done),
        skipped=sum(state.labels[name] is Mark.SKIPPED for name in names),
        detections=sum(len(state.tracklets[name]) for name in names),
        labelled_detections=sum(len(state.tracklets[name]) for name in done),
        identities=len(state.people()),
        per_minute=60 / max(seconds, 0.01) if seconds is not None else None,
        minutes_left=waiting * seconds / 60 if seconds is not None else None,
        second_looks=len(looks),
        agreed=sum(first == answer for first, answer in looks),
    )
