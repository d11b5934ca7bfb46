"""Measuring features: the checks, the ranking, the figures.

evaluation = Evaluation(query, gallery, Options(protocol="tracklet"), train=train)
result = evaluation(query_features, gallery_features)
result.figures["mAP"]
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reid.errors import ReidError
from reid.evaluation.distances import Distances, FeatureDistances, Metric, remove_absent
from reid.evaluation.leakage import check_identities, check_images, check_tracklets
from reid.evaluation.metrics import AveragePrecision, Ranking, joined, rate
from reid.evaluation.protocols import PROTOCOLS, Candidates, ProtocolName
from reid.evaluation.reranking import RerankedDistances, Reranking
from reid.records import DISTRACTOR, JUNK, Samples

if TYPE_CHECKING:
    from reid.embedder import Embedder  # at work it would bring torch

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Options:
    """How features are measured; the defaults are the paper's, and those of READMEs that quote Market-1501.

    Attributes:
        protocol: which gallery crops count.
        metric: between features.
        average_precision: its form.
        repeats: of single-shot's draws.
        seed: of these draws.
        reranking: k-reciprocal re-ranking; None: not done.
        device: `cpu`, or where torch is to rank, as `cuda`.

    """

    protocol: ProtocolName = "market"
    metric: Metric = "euclidean"
    average_precision: AveragePrecision = "step"
    repeats: int = 10
    seed: int = 0
    reranking: Reranking | None = None
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class Result:
    """What came out.

    Attributes:
        figures: mAP, mINP, rank-1 … rank-20, from 0 to 1.
        counts: of queries, gallery crops, and what was skipped.
        ranking: each query's, with single-shot repeat after repeat.
        candidates: right answers and what was left out.
        distances: between query and gallery.

    """

    figures: Mapping[str, float]
    counts: Mapping[str, int]
    ranking: Ranking
    candidates: Candidates
    distances: Distances

    def nearest(self, row: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The `count` gallery crops that a query ranks first, or as many as take part, and their distances."""
        return self._first(self._rivals(row, row + 1)[0], count)

    def all_nearest(self, count: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The same for each query, one after the other."""
        queries = len(self.candidates.query)
        for first in range(0, queries, self.distances.block):
            for values in self._rivals(first, min(first + self.distances.block, queries)):
                yield self._first(values, count)

    def _rivals(self, first: int, last: int) -> NDArray[np.float32]:
        """Distances of queries `first` to `last` - 1 to the gallery, infinite where a crop does not take part."""
        values = self.distances.rows(first, last)
        remove_absent(values, self.candidates.between(first, last))
        return values

    def _first(self, values: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The `count` least of float32 (m,) `values`; among equal ones the first, as in the ranking."""
        least = values <= np.partition(values, count - 1)[count - 1] if count < len(values) else values < np.inf
        places = np.flatnonzero(least & np.isfinite(values))
        order = places[np.argsort(values[places], kind="stable")][:count]
        return order, self.distances.unit(values[order])


class Evaluation:
    """An evaluation of any features of these crops, checked for leaks before there are any.

    Args:
        query: who is looked for.
        gallery: among whom.
        options: how.
        train: what the network has learnt from, where that is known.

    Raises:
        ReidError: a leak, no query with a right answer, or a protocol that asks for what is not known.

    """

    def __init__(self, query: Samples, gallery: Samples, options: Options, train: Samples | None = None) -> None:
        self.options = options
        self.candidates = Candidates(query, gallery, PROTOCOLS[options.protocol], options.seed)
        if train is not None:
            check_identities(train, query, gallery)
        check_tracklets(self.candidates)
        check_images(self.candidates)
        if not any(len(pairs) for pairs in self.candidates.right_answers()):
            raise ReidError(_hopeless(query, gallery, options.protocol))

    def __call__(self, query: Features, gallery: Features, names: tuple[str, str] = ("query", "gallery")) -> Result:
        """Rank float32 (n, d) `query` against float32 (m, d) `gallery`, rows as in the samples.

        Raises:
            ReidError: not as many features as samples, or one that is not finite; uses `names`.

        """
        for features, samples, name in zip((query, gallery), self._samples, names, strict=True):
            if len(features) != len(samples):
                raise ReidError(f"{name}: {len(features):,} features for {len(samples):,} crops; expected one each")
        return self.rank(self._distances(query, gallery, names))

    def of(
        self, embedder: "Embedder", *, flip: bool = False, advance: Callable[[int], None] = lambda count: None
    ) -> Result:
        """Embed the crops and rank them; `flip` averages with the mirror image.

        Args:
            embedder: a network at work.
            flip: as for `Embedder.embed_files`.
            advance: called with the number of crops done since the last call.

        """
        query, gallery = (embedder.embed_files(one.paths, flip=flip, advance=advance) for one in self._samples)
        return self(query, gallery)

    def rank(self, distances: Distances) -> Result:
        """Rank by distances that are at hand."""
        queries = len(self.candidates.query)
        repeats = self.options.repeats if self.candidates.protocol.single_shot else 1
        ranking = joined(
            [
                self._rate(distances, first, min(first + distances.block, queries), repeat)
                for repeat in range(repeats)
                for first in range(0, queries, distances.block)
            ]
        )
        return Result(ranking.figures(), self._counts(ranking), ranking, self.candidates, distances)

    @property
    def _samples(self) -> tuple[Samples, Samples]:
        return self.candidates.query, self.candidates.gallery

    def _distances(self, query: Features, gallery: Features, names: tuple[str, str]) -> Distances:
        options = self.options
        if options.reranking is not None:
            junk = np.flatnonzero(self.candidates.gallery.identities == JUNK)
            return RerankedDistances(query, gallery, options.metric, options.reranking, junk, names)
        if options.device == "cpu":
            return FeatureDistances(query, gallery, options.metric, names)
        from reid.evaluation.torch_distances import TorchDistances  # torch takes half a gigabyte

        return TorchDistances(query, gallery, options.metric, names, options.device)

    def _rate(self, distances: Distances, first: int, last: int, repeat: int) -> Ranking:
        rivals = self.candidates.between(first, last, repeat)
        ranks = distances.ranks(first, last, rivals)
        return rate(rivals.positives.rows, ranks, last - first, self.options.average_precision)

    def _counts(self, ranking: Ranking) -> dict[str, int]:
        query, gallery = self._samples
        skipped = ~ranking.valid[: len(query)]
        return {
            "queries": len(query),
            "queries_skipped": int(skipped.sum()),
            "queries_that_are_nobody": int((query.identities <= DISTRACTOR).sum()),
            "gallery": len(gallery),
            "gallery_junk": int((gallery.identities == JUNK).sum()),
            "gallery_distractors": int((gallery.identities == DISTRACTOR).sum()),
        }


def _hopeless(query: Samples, gallery: Samples, protocol: str) -> str:
    if not len(query) or not len(gallery):
        return (
            f"{len(query):,} queries and {len(gallery):,} gallery crops: nothing to measure; is there a test set?"
        )
    shared = np.intersect1d(query.identities, gallery.identities)
    if not (shared > DISTRACTOR).any():
        return (
            f"none of the {len(query):,} queries' persons is in the gallery; are the labels those of these crops?"
        )
    return (
        f"protocol '{protocol}' leaves no query a right answer; where all crops are of one camera or flight, take "
        "protocol 'tracklet'"
    )
