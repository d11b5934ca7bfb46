"""Batches: tracklets that probably have the same answer, to be confirmed at once."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from annotate.suggestions.likeness import UNLIKELY
from annotate.suggestions.suggest import Match

SIZE = 20  # tracklets at once, at most: they fit on a screen
MATCHES = 12  # of one identity: each is compared with the person's own pictures
FEWEST = 4  # with fewer, the queue is as fast


@dataclass(frozen=True)
class Batch:
    """Tracklets without a label that probably have the same answer.

    Attributes:
        tracklets: their names, the clearest first.
        total: how many there are of this kind, also beyond these.
        identity: whose they probably are; None: they are probably no persons.

    """

    tracklets: tuple[str, ...]
    total: int
    identity: int | None = None


def no_persons(names: Sequence[str], likeness: Callable[[str], float], mine: Callable[[str], bool]) -> Batch | None:
    """Those of `names` that are least likely a person; None where there are too few.

    Args:
        names: tracklets without a label.
        likeness: of a tracklet; see `annotate.suggestions.likeness`.
        mine: whether a tracklet can be reserved for the labeller.

    """
    found = {name: likeness(name) for name in names}
    unlikely = [name for name in names if found[name] < UNLIKELY]
    return _batch(sorted(unlikely, key=lambda name: (found[name], name)), SIZE, mine)


def one_person(
    matches: Sequence[Match], together: Callable[[str, str], bool], mine: Callable[[str], bool]
) -> Batch | None:
    """The tracklets that are most clearly of one identity, of that which has most; None where none has enough.

    Args:
        matches: the tracklets that are probably of an identity, the clearest first.
        together: whether two tracklets were seen together: they are not in one batch.
        mine: as in `no_persons`.

    """
    names: dict[int, list[str]] = defaultdict(list)
    for each in matches:
        known = names[each.identity]
        if not any(together(each.tracklet, other) for other in known):
            known.append(each.tracklet)
    for identity in sorted(names, key=lambda identity: (-len(names[identity]), identity)):
        found = _batch(names[identity], MATCHES, mine, identity)
        if found is not None:
            return found
    return None


def _batch(names: list[str], most: int, mine: Callable[[str], bool], identity: int | None = None) -> Batch | None:
    if len(names) < FEWEST:
        return None
    chosen: list[str] = []
    for name in names:
        if len(chosen) < most and mine(name):
            chosen.append(name)
    return Batch(tuple(chosen), len(names), identity) if len(chosen) >= FEWEST else None
