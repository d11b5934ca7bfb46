"""The queue of tracklets to label: the longest first, and now and then one for a second look."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from annotate.log.state import State
from annotate.log.store import LabelStore
from annotate.operations import Mark
from annotate.progress import Tally

LEASE_S = 300.0  # for which a tracklet stays reserved for the labeller who was given it
SECOND_LOOKS = 0.05  # second looks per decision of a labeller


@dataclass(frozen=True)
class Turn:
    """A tracklet to label.

    Attributes:
        tracklet: its name.
        second_look: it is labelled already; the answer is compared with that label.

    """

    tracklet: str
    second_look: bool


def next_turn(
    store: LabelStore, state: State, tally: Tally, user: str, visible: Callable[[str], bool]
) -> Turn | None:
    """The tracklet that `user` is to label now, leased to them; None where nothing is left.

    Only tracklets that are `visible`: the others have no crop, so they can be neither judged nor used.

    Longest first: each decision then labels the most crops, and an identity begins with many pictures.
    Skipped tracklets come when no open one is left.
    """
    if tally.second_looks[user] < int(SECOND_LOOKS * tally.labelled[user]):
        for tracklet in _for_second_look(store, state, user):
            if store.leases.take(tracklet, user, LEASE_S):
                return Turn(tracklet, second_look=True)
    leased = {name for name, holder in store.leases.held().items() if holder != user}
    for tracklet in waiting(state):
        if tracklet not in leased and visible(tracklet) and store.leases.take(tracklet, user, LEASE_S):
            return Turn(tracklet, second_look=False)
    return None


def waiting(state: State) -> list[str]:
    """The tracklets without a label, in the order in which they come."""
    names = [name for name, label in state.labels.items() if label in (Mark.OPEN, Mark.SKIPPED)]
    return sorted(names, key=lambda name: (state.labels[name] is Mark.SKIPPED, -len(state.tracklets[name]), name))


def _for_second_look(store: LabelStore, state: State, user: str) -> Iterator[str]:
    """Labelled tracklets without a second look, other labellers' first, otherwise in a random order.

    An identity's only tracklet is left out: without others to compare with, "new" would be as right.
    """
    names = [
        name
        for name, label in state.labels.items()
        if name not in state.second_looks
        and (len(state.members[label]) > 1 if isinstance(label, int) else label in (Mark.JUNK, Mark.DISTRACTOR))
    ]
    yield from sorted(names, key=lambda name: (store.labeller(name) == user, _shuffled(name)))


def _shuffled(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
