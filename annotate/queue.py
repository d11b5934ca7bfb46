"""The queue of tracklets to label: persons first, the longest of them, and now and then one for a second look."""

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from annotate.log.state import State
from annotate.log.store import LabelStore
from annotate.operations import Mark
from annotate.progress import Tally
from annotate.suggestions.likeness import EASY, UNLIKELY

LEASE_S = 300.0  # for which a tracklet stays reserved for the window that was given it
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
    store: LabelStore,
    state: State,
    tally: Tally,
    user: str,
    holder: str,
    visible: Callable[[str], bool],
    again: int = 0,
    likeness: Callable[[str], float] = lambda tracklet: 1.0,
    wanted: Callable[[str], bool] = lambda tracklet: True,
    order: Callable[[str], float] | None = None,
    proposed: Collection[str] = (),
) -> Turn | None:
    """The tracklet that `user` is to label now, leased to `holder`, their window; None where nothing is left.

    Only tracklets that are `visible`: the others have no crop, so they can be neither judged nor used; and only
    those that are `wanted`. With `order`, the open ones come by it, ascending.

    Those that are surely persons by their `likeness` come first, and those that are hardly persons last. Among
    them the longest first: each decision then labels the most crops, and an identity begins with many pictures.
    Skipped tracklets come when no open one is left, and then only if more is known than when they were skipped:
    somebody was named since. Those that were skipped up to entry `again` of the log come in any case. Those that
    have an answer `proposed` come after the others: they wait for a batch.
    """
    if tally.second_looks[user] < int(SECOND_LOOKS * tally.labelled[user]):
        for tracklet in _for_second_look(store, state, user):
            if wanted(tracklet) and store.leases.take(tracklet, holder, LEASE_S):
                return Turn(tracklet, second_look=True)
    leased = {name for name, other in store.leases.held().items() if other != holder}
    for tracklet in waiting(store, state, max(again, tally.named), likeness, order, proposed):
        if (
            tracklet not in leased
            and visible(tracklet)
            and wanted(tracklet)
            and store.leases.take(tracklet, holder, LEASE_S)
        ):
            return Turn(tracklet, second_look=False)
    return None


def waiting(
    store: LabelStore,
    state: State,
    until: int,
    likeness: Callable[[str], float] = lambda tracklet: 1.0,
    order: Callable[[str], float] | None = None,
    proposed: Collection[str] = (),
) -> list[str]:
    """The tracklets without a label, in the order in which they come; of the skipped those skipped by `until`."""
    names = [name for name, label in state.labels.items() if label is Mark.OPEN]
    skipped = {name: _decided(store, name) for name, label in state.labels.items() if label is Mark.SKIPPED}

    def place(name: str) -> tuple[bool, float, int, str]:
        first = order(name) if order else _later(likeness(name))
        return name in proposed, first, -len(state.tracklets[name]), name

    return [
        *sorted(names, key=place),
        *sorted((name for name, entry in skipped.items() if entry <= until), key=skipped.__getitem__),
    ]


def _later(likeness: float) -> int:
    """0 for those that are surely persons, 2 for those that hardly are."""
    return (likeness < EASY) + (likeness < UNLIKELY)


def _decided(store: LabelStore, tracklet: str) -> int:
    entry = store.decision(tracklet)
    return entry.sequence if entry else 0


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
