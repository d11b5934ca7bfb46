"""The figures of chance: those that random features, and shuffled identities, get in an evaluation.

Where a split leaves one test identity every ranking is right, and a figure of 1.000 says nothing. Chance is
measured on the same queries and gallery by the same protocol, so that the two can be compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.distances import Distances, FeatureDistances
from reid.evaluation.evaluate import Options, Result
from reid.evaluation.metrics import rate
from reid.evaluation.protocols import PROTOCOLS, Candidates, ProtocolName
from reid.records import DISTRACTOR, JUNK, Samples

KINDS = {"random": "random features", "shuffled": "shuffled identities"}
_DRAWS = 10  # of each kind
_QUERIES = 200  # that are ranked in a draw: more change the mean by less than the draws differ
_BYTES = 2**29  # of their distances; a very large gallery gets fewer queries
_NUMBERS = 16  # of a random feature
_EQUAL = 1e-9  # figures are sums of fractions


@dataclass(frozen=True)
class Chance:
    """The figures of chance in an evaluation.

    Attributes:
        figures: by kind, "random" and "shuffled" (where a shuffle leaves right answers): mAP, mINP, rank-1 …, means
            over the draws.
        highest: the highest mAP of a draw.

    """

    figures: Mapping[str, Mapping[str, float]]
    highest: float

    def doubt(self, mean_average_precision: float) -> str:
        """Why an mAP says nothing, in words for its own line; empty where it is above that of every draw."""
        if mean_average_precision > self.highest + _EQUAL:
            return ""
        return f"no better than chance: random features or shuffled identities get an mAP of {self.highest:.3f} too"

    def content(self) -> dict[str, Any]:
        """As `metrics.json` stores it."""
        return {**{kind: dict(each) for kind, each in self.figures.items()}, "highest_mAP": self.highest}

    @classmethod
    def of_content(cls, content: Any) -> Self | None:
        """The chance that `content` stored; None where there is none: an earlier version evaluated."""
        if not isinstance(content, dict) or not isinstance(content.get("highest_mAP"), float):
            return None
        figures = {kind: content[kind] for kind in KINDS if isinstance(content.get(kind), dict)}
        numbers = [each.get(name) for each in figures.values() for name in ("mAP", "rank-1")]
        whole = "random" in figures and all(isinstance(number, float) for number in numbers)
        return cls(figures, content["highest_mAP"]) if whole else None


def chance_of(result: Result, options: Options) -> Chance:
    """What chance gets in the evaluation that gave `result` with `options`; the same numbers each time.

    A shuffle gives the gallery's identities, distractors too, to other crops of it, and ranks by the features of
    `result`.
    """
    every, gallery = result.candidates.query, result.candidates.gallery
    count = min(_QUERIES, max(1, _BYTES // (4 * len(gallery))))
    rows = _spread(np.flatnonzero(result.ranking.valid[: len(every)]), count)
    distances = _Chosen(result.distances, rows)
    query = _rows(every, rows)

    def shuffled() -> Iterator[dict[str, float]]:
        for draw in range(_DRAWS):
            identities = _shuffled(gallery, np.random.default_rng((options.seed, draw)), options)
            others = Samples(identities, gallery.cameras, gallery.tracklets)
            yield from _figures(query, others, distances, options, draw)

    found = {"random": list(_of_random(query, gallery, options)), "shuffled": list(shuffled())}
    return _joined({kind: draws for kind, draws in found.items() if draws})


def chance_on(query: Samples, gallery: Samples, protocol: ProtocolName) -> Chance | None:
    """What random features get on a split; None where no query has a right answer."""
    answers = list(Candidates(query, gallery, PROTOCOLS[protocol]).right_answers())
    valid = np.unique(np.concatenate([pairs.rows for pairs in answers])) if answers else np.zeros(0, np.int64)
    if not len(valid):
        return None
    return _joined({"random": list(_of_random(_rows(query, _spread(valid, _QUERIES)), gallery, Options(protocol)))})


class _Chosen(Distances):
    """The distances of some queries to all of the gallery."""

    def __init__(self, distances: Distances, queries: NDArray[np.int64]) -> None:
        super().__init__((len(queries), distances.shape[1]))
        self._matrix = np.concatenate([distances.rows(query, query + 1) for query in queries])

    def rows(self, first: int, last: int) -> NDArray[np.float32]:
        """A copy of these rows."""
        return self._matrix[first:last].copy()


def _of_random(query: Samples, gallery: Samples, options: Options) -> Iterator[dict[str, float]]:
    for draw in range(_DRAWS):
        rng = np.random.default_rng((options.seed, draw))
        own, others = (rng.standard_normal((len(each), _NUMBERS), np.float32) for each in (query, gallery))
        yield from _figures(query, gallery, FeatureDistances(own, others), options, draw)


def _figures(
    query: Samples, gallery: Samples, distances: Distances, options: Options, draw: int
) -> Iterator[dict[str, float]]:
    """The figures of one draw; none where no query has a right answer."""
    candidates = Candidates(query, gallery, PROTOCOLS[options.protocol], options.seed)
    rivals = candidates.between(0, len(query), draw)
    if len(rivals.positives):
        ranks = distances.ranks(0, len(query), rivals)
        yield rate(rivals.positives.rows, ranks, len(query), options.average_precision).figures()


def _shuffled(gallery: Samples, rng: np.random.Generator, options: Options) -> NDArray[np.int64]:
    """The identities of `gallery`, exchanged between its crops but junk, and those whose tracklet must be known."""
    movable = gallery.identities != JUNK
    if PROTOCOLS[options.protocol].same_tracklet:
        movable &= (gallery.tracklets >= 0) | (gallery.identities > DISTRACTOR)
    identities = gallery.identities.copy()
    identities[movable] = rng.permutation(identities[movable])
    return identities


def _joined(found: Mapping[str, Sequence[Mapping[str, float]]]) -> Chance:
    means = {
        kind: {name: float(np.mean([each[name] for each in draws])) for name in draws[0]}
        for kind, draws in found.items()
    }
    return Chance(means, max(each["mAP"] for draws in found.values() for each in draws))


def _spread(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most `count` of `rows`, evenly spread."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]


def _rows(samples: Samples, rows: NDArray[np.int64]) -> Samples:
    return Samples(samples.identities[rows], samples.cameras[rows], samples.tracklets[rows])
