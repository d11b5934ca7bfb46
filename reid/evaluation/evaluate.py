"""Evaluation of features: leakage checks, ranking, CMC and mAP."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from reid.errors import ReidError
from reid.evaluation.distances import Distances, FeatureDistances, Nearest
from reid.evaluation.leakage import check_identities, check_images, check_tracklets
from reid.evaluation.metrics import AveragePrecision, Ranking, joined, rate
from reid.evaluation.pooling import Pooling, Pools, pools_of
from reid.evaluation.protocols import PROTOCOLS, Candidates, ProtocolName
from reid.evaluation.reranking import RerankedDistances, Reranking
from reid.metric import OF_FILES, Metric, MetricChoice
from reid.records import DISTRACTOR, JUNK, Samples

if TYPE_CHECKING:
    from reid.embedder import Embedder  # importing it would import torch

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Options:
    """Settings of an evaluation; the defaults are the paper's, and those usual for Market-1501.

    Attributes:
        protocol: which gallery crops count.
        metric: between features; auto: the one that the embedder has, and Euclidean of features from elsewhere.
        average_precision: form of the average precision, see `rate`.
        repeats: number of draws of the protocol single-shot.
        seed: of these draws.
        reranking: k-reciprocal re-ranking; None: not done.
        pooling: which crops are one query, or one entry of the gallery; see `pools_of`.
        device: that ranks: `cpu` (NumPy), or one of torch, such as `cuda`.

    """

    protocol: ProtocolName = "market"
    metric: Literal["auto"] | Metric = "auto"
    average_precision: AveragePrecision = "step"
    repeats: int = 10
    seed: int = 0
    reranking: Reranking | None = None
    pooling: Pooling = "none"
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class Result:
    """The result of an evaluation.

    Attributes:
        figures: mAP, mINP, rank-1 … rank-20, from 0 to 1.
        counts: of queries, skipped queries, gallery crops, distractors and junk.
        ranking: of each query; with single-shot, all queries of one repeat after the other.
        candidates: right answers, and the crops left out for each query.
        distances: between query and gallery.
        options: of the evaluation, with the metric that was used.
        metric_reason: why it was used, for people; empty where it was asked for.
        input: what a foreign model took, for people; else empty.

    """

    figures: Mapping[str, float]
    counts: Mapping[str, int]
    ranking: Ranking
    candidates: Candidates
    distances: Distances
    options: Options
    metric_reason: str = ""
    input: str = ""

    def nearest(self, row: int, count: int) -> Nearest:
        """The first `count` gallery crops in a query's ranking, or all that take part, and their distances."""
        return next(self.distances.nearest(row, row + 1, count, self.candidates.between(row, row + 1)))

    def all_nearest(self, count: int) -> Iterator[Nearest]:
        """`nearest` of each query, one after the other."""
        queries = len(self.candidates.query)
        for first in range(0, queries, self.distances.block):
            last = min(first + self.distances.block, queries)
            yield from self.distances.nearest(first, last, count, self.candidates.between(first, last))


class Evaluation:
    """An evaluation of any features of these crops; leaks are found before there are features.

    Example:
        >>> evaluation = Evaluation(query, gallery, Options(protocol="tracklet"), train)
        >>> evaluation(query_features, gallery_features).figures["mAP"]

    Args:
        query: the crops whose persons are searched.
        gallery: the crops that are ranked for each query.
        options: protocol, metric and the like.
        train: the crops that the network was trained on; None: unknown.

    Raises:
        ReidError: a leak, no query with a right answer, or protocol or pooling need tracklets that are unknown.

    """

    def __init__(self, query: Samples, gallery: Samples, options: Options, train: Samples | None = None) -> None:
        self.options = options
        rules = PROTOCOLS[options.protocol]
        crops = self.candidates = Candidates(query, gallery, rules, options.seed)
        self._samples, self._pools = (query, gallery), _pools(crops, options.pooling)
        if self._pools is not None:
            self.candidates = Candidates(self._pools.query, self._pools.gallery, rules, options.seed)
        if train is not None:
            check_identities(train, query, gallery)
        check_tracklets(crops)
        check_images(crops)
        if not any(len(pairs) for pairs in self.candidates.right_answers()):
            raise ReidError(_hopeless(query, gallery, options.protocol))

    def __call__(
        self,
        query: Features,
        gallery: Features,
        names: tuple[str, str] = ("query", "gallery"),
        own: MetricChoice = OF_FILES,
    ) -> Result:
        """Rank float32 (n, d) `query` against float32 (m, d) `gallery`, rows as in the samples.

        Args:
            query: features of the queries.
            gallery: features of the gallery.
            names: of both, for errors.
            own: the metric of these features, where the options ask for none.

        Raises:
            ReidError: the number of features differs from that of samples, or one is not finite; uses `names`.

        """
        for features, samples, name in zip((query, gallery), self._samples, names, strict=True):
            if len(features) != len(samples):
                raise ReidError(
                    f"{name}: {len(features):,} features for {len(samples):,} crops; expected one for each"
                )
        metric = self._metric(own)
        if self._pools is not None:
            query, gallery = self._pools.features(query, gallery, metric.name)
        return self.rank(self._distances(query, gallery, names, metric.name), own)

    def of(
        self, embedder: "Embedder", *, flip: bool = False, advance: Callable[[int], None] = lambda count: None
    ) -> Result:
        """Embed the crops and rank them.

        Args:
            embedder: embeds query and gallery.
            flip: as for `Embedder.embed_files`.
            advance: called with the number of crops done since the last call.

        """
        query, gallery = (embedder.embed_files(one.paths, flip=flip, advance=advance) for one in self._samples)
        return replace(self(query, gallery, own=embedder.metric), input=embedder.what)

    def rank(self, distances: Distances, own: MetricChoice = OF_FILES) -> Result:
        """Rank by given distances; `own` as above."""
        queries = len(self.candidates.query)
        repeats = self.options.repeats if self.candidates.protocol.single_shot else 1
        ranking = joined(
            [
                self._rate(distances, first, min(first + distances.block, queries), repeat)
                for repeat in range(repeats)
                for first in range(0, queries, distances.block)
            ]
        )
        metric = self._metric(own)
        options = replace(self.options, metric=metric.name)
        counts = self._counts(ranking)
        return Result(ranking.figures(), counts, ranking, self.candidates, distances, options, metric.reason)

    def _metric(self, own: MetricChoice) -> MetricChoice:
        asked = self.options.metric
        return own if asked == "auto" else MetricChoice(asked)

    def _distances(self, query: Features, gallery: Features, names: tuple[str, str], metric: Metric) -> Distances:
        options = self.options
        if options.reranking is not None:
            junk = np.flatnonzero(self.candidates.gallery.identities == JUNK)
            return RerankedDistances(query, gallery, metric, options.reranking, junk, names)
        if options.device == "cpu":
            return FeatureDistances(query, gallery, metric, names)
        from reid.evaluation.torch_distances import TorchDistances  # torch takes half a gigabyte

        return TorchDistances(query, gallery, metric, names, options.device)

    def _rate(self, distances: Distances, first: int, last: int, repeat: int) -> Ranking:
        rivals = self.candidates.between(first, last, repeat)
        ranks = distances.ranks(first, last, rivals)
        return rate(rivals.positives.rows, ranks, last - first, self.options.average_precision)

    def _counts(self, ranking: Ranking) -> dict[str, int]:
        query, gallery = self.candidates.query, self.candidates.gallery
        skipped = ~ranking.valid[: len(query)]
        return {
            "queries": len(query),
            "queries_skipped": int(skipped.sum()),
            "queries_that_are_nobody": int((query.identities <= DISTRACTOR).sum()),
            "gallery": len(gallery),
            "gallery_junk": int((gallery.identities == JUNK).sum()),
            "gallery_distractors": int((gallery.identities == DISTRACTOR).sum()),
        }


def _pools(crops: Candidates, pooling: Pooling) -> Pools | None:
    if pooling == "tracklets" and not any((each.tracklets >= 0).any() for each in (crops.query, crops.gallery)):
        raise ReidError("no tracklet is known; give the crops as a CSV with a column 'tracklet'")
    return None if pooling == "none" else pools_of(crops, pooling)


def _hopeless(query: Samples, gallery: Samples, protocol: str) -> str:
    if not len(query) or not len(gallery):
        return f"{len(query):,} queries and {len(gallery):,} gallery crops: nothing to evaluate; add a test set"
    shared = np.intersect1d(query.identities, gallery.identities)
    if not (shared > DISTRACTOR).any():
        return f"none of the {len(query):,} queries' persons is in the gallery; check the labels"
    if protocol == "tracklet":
        return (
            "protocol 'tracklet' leaves no query a right answer: the gallery has each person in the query's own "
            "tracklet only; names as Market-1501's give a person one tracklet a sequence: give the crops as a CSV "
            "with a column 'tracklet'"
        )
    return (
        f"protocol '{protocol}' leaves no query a right answer; if all crops are of one camera or flight, take "
        "protocol 'tracklet'"
    )
