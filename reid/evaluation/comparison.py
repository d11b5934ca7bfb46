"""Comparison of evaluations of the same data by the same protocol, with paired intervals of their differences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reid.errors import ReidError
from reid.evaluation.intervals import Interval, QueryFigures, Statistic, intervals, verification_statistics
from reid.evaluation.open_set import PairCounts

# Not the metric: it belongs to the network, as its features do.
_ALIKE = {
    "protocol": "protocol",
    "ap": "form of average precision",
    "rerank": "re-ranking",
    "multi-query": "multi-query",
    "tracklets": "pooling of tracklets",
}
_DRAWN = {"repeats": "draws", "seed": "seed"}  # of the protocol single-shot
_DATA = {"labels_sha256": "labels of the data", "images_sha256": "images of the data"}


@dataclass(frozen=True, eq=False)
class Measured:
    """An evaluation.

    Attributes:
        name: of the evaluation, for people.
        settings: protocol, ap, rerank …
        data: hashes of labels and images, as `data_hashes`.
        figures: by name, from 0 to 1.
        intervals: of the figures.
        queries: the figures of each query.
        pairs: genuine and impostor pairs of each person, those of `queries` in rising order; None: unknown.

    """

    name: str
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    figures: Mapping[str, float]
    intervals: Mapping[str, Interval]
    queries: QueryFigures
    pairs: PairCounts | None = None

    def statistics(self) -> dict[str, Statistic]:
        """The figures as functions of how often each person was drawn."""
        return self.queries.statistics() | (verification_statistics(self.pairs) if self.pairs else {})


@dataclass(frozen=True)
class Compared:
    """A figure of an evaluation, beside that of the first one.

    Attributes:
        figure: its name.
        evaluation: its name.
        value: of the figure.
        interval: of the value; None: unknown.
        difference: to the first evaluation's; None: it is the first.
        paired: interval of the difference; None: unknown.

    """

    figure: str
    evaluation: str
    value: float
    interval: Interval | None
    difference: float | None = None
    paired: Interval | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the difference leaves out zero."""
        return self.paired is not None and not self.paired[0] <= 0 <= self.paired[1]


def compare(evaluations: Sequence[Measured]) -> Iterator[Compared]:
    """Each figure that all of two or more `evaluations` have, of each of them.

    Intervals of differences draw the same persons for both.

    Raises:
        ReidError: protocols, data, forms of average precision or re-ranking differ, or an earlier version
            evaluated one.

    """
    first, *others = evaluations
    for other in others:
        check_alike(first, other)
    own = first.statistics()
    paired = [
        intervals(
            {name: _difference(own[name], theirs) for name, theirs in found.items() if name in own}, first.queries
        )
        for found in (other.statistics() for other in others)
    ]
    for name in (each for each in first.figures if all(each in other.figures for other in others)):
        value = first.figures[name]
        yield Compared(name, first.name, value, first.intervals.get(name))
        for other, differences in zip(others, paired, strict=True):
            theirs = other.figures[name]
            interval = other.intervals.get(name)
            yield Compared(name, other.name, theirs, interval, theirs - value, differences.get(name))


def check_alike(one: Measured, other: Measured) -> None:
    """Check that figures of `one` and `other` can be compared.

    Raises:
        ReidError: they cannot; names all that differs.

    """
    for each in (one, other):
        if "labels_sha256" not in each.data:
            raise ReidError(
                f"{each.name}: an earlier version evaluated it, without a hash of the data; evaluate again"
            )
    names = _ALIKE | (_DRAWN if one.settings.get("protocol") == "single-shot" else {})
    differing = [
        f"{words} ({one.settings.get(name, False)}, {other.settings.get(name, False)})"
        for name, words in names.items()
        if one.settings.get(name, False) != other.settings.get(name, False)
    ]
    # The same labels make another hash by another protocol; features alone have no images.
    if one.settings.get("protocol") == other.settings.get("protocol"):
        known = [name for name in _DATA if name in one.data and name in other.data]
        differing += [_DATA[name] for name in known if one.data[name] != other.data[name]]
    if not differing and len(one.queries.identities) != len(other.queries.identities):
        differing.append("number of queries")
    if differing:
        raise ReidError(
            f"{one.name} and {other.name} cannot be compared: they differ in {', '.join(differing)}; evaluate both "
            "alike"
        )


def _difference(own: Statistic, theirs: Statistic) -> Statistic:
    return lambda weights: theirs(weights) - own(weights)
