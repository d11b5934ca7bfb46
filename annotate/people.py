"""People beside one: who was in frames with an identity, and who looks like it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from annotate.log.state import State
from annotate.operations import flight_of
from annotate.suggestions.co_occurrence import CoOccurrence
from annotate.suggestions.suggest import Suggester


class Companion(NamedTuple):
    """Another identity that is in frames of one: how many show both, in which flights."""

    identity: int
    frames: int
    flights: tuple[str, ...]


class Alike(NamedTuple):
    """Another identity that was never seen together with one, and their similarity, -1 to 1."""

    identity: int
    similarity: float


def companions(state: State, identity: int) -> list[Companion]:
    """Who was seen with `identity`, those with most frames first."""
    frames: dict[str, set[int]] = defaultdict(set)
    for name in state.members.get(identity, ()):
        frames[flight_of(name)].update(seen.frame for seen in state.tracklets[name])
    shared: dict[int, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for name, label in state.labels.items():
        flight = flight_of(name)
        if isinstance(label, int) and label != identity and flight in frames:
            both = frames[flight].intersection(seen.frame for seen in state.tracklets[name])
            if both:
                shared[label][flight] |= both
    found = [
        Companion(number, sum(map(len, flights.values())), tuple(sorted(flights)))
        for number, flights in shared.items()
    ]
    return sorted(found, key=lambda each: (-each.frames, each.identity))


def alike(state: State, suggester: Suggester, together: CoOccurrence, identity: int, count: int) -> list[Alike]:
    """The `count` people most similar to `identity`, by their most similar tracklets; none was seen with it."""
    own = sorted(state.members.get(identity, ()))
    if not own:
        return []
    suggester.follow(state)
    found = []
    for other, members in state.members.items():
        if other != identity:
            similarity = max(float(suggester.similarities(name, members).max()) for name in own)
            found.append(Alike(other, similarity))
    found.sort(key=lambda each: (-each.similarity, each.identity))
    apart = (each for each in found if together.first(state, own, state.members[each.identity]) is None)
    return [each for each, _ in zip(apart, range(count), strict=False)]


def by_likeness(
    state: State, suggester: Suggester, together: CoOccurrence, identity: int, names: Sequence[str]
) -> dict[str, float]:
    """Those of `names` that `identity` was not seen together with, each with its similarity to it, -1 to 1."""
    members = sorted(state.members.get(identity, ()))
    if not members or not names:
        return {}
    suggester.follow(state)
    best = np.max([suggester.similarities(member, names) for member in members], axis=0)
    return {
        name: float(similarity)
        for name, similarity in zip(names, best, strict=True)
        if together.first(state, (name,), members) is None
    }
