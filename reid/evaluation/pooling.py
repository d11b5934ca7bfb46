"""Pooling of crops before an evaluation: all queries of one person and camera, or all crops of a tracklet, are one.

The feature of several crops is the mean of theirs. Where all features have length 1, or cosines are compared, it is
the mean direction, of length 1 again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.protocols import Candidates
from reid.metric import Metric
from reid.records import DISTRACTOR, Samples

Pooling = Literal["none", "multi-query", "tracklets"]
_UNIT = 1e-3  # by which a length of 1 may be off
_QUERIES = 64  # whose crops in the gallery are listed at once
Features = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pools:
    """Which crops of query and gallery make each query and each gallery entry.

    Attributes:
        query: the pooled queries; the path is that of the first crop.
        gallery: the pooled gallery.
        of_query: int64 (queries,), the pooled query of each query crop.
        of_gallery: int64 (gallery crops,), the pooled entry of each gallery crop.
        also: int64 (n, 2), pooled queries, and gallery crops that belong to them too.

    """

    query: Samples
    gallery: Samples
    of_query: NDArray[np.int64]
    of_gallery: NDArray[np.int64]
    also: NDArray[np.int64]

    def features(self, query: Features, gallery: Features, metric: Metric) -> tuple[Features, Features]:
        """The features of the pooled queries and of the pooled gallery, float32 (n, d)."""
        unit = metric == "cosine" or all(_are_unit(each) for each in (query, gallery))
        places = np.concatenate([self.of_query, self.also[:, 0]])
        crops = np.concatenate([query, gallery[self.also[:, 1]]])
        return _means(crops, places, len(self.query), unit), _means(
            gallery, self.of_gallery, len(self.gallery), unit
        )


def pools_of(crops: Candidates, pooling: Pooling) -> Pools:
    """How query and gallery of `crops` are pooled.

    `multi-query`: queries of one person and camera (flight, or tracklet, by the protocol) are one, together with
    the gallery crops of that person that the protocol leaves out for them all. `tracklets`: crops of one person,
    camera and tracklet are one, in the queries and in the gallery; a crop without a tracklet stays alone.
    """
    query, gallery, rules = crops.query, crops.gallery, crops.protocol
    none = np.zeros((0, 2), np.int64)
    if pooling == "tracklets":
        of_query, of_gallery = map(_tracklets, (query, gallery))
        return Pools(_firsts(query, of_query), _firsts(gallery, of_gallery), of_query, of_gallery, none)
    alone = np.where(query.identities > DISTRACTOR, 0, 1 + np.arange(len(query)))
    shared = ([query.cameras] if rules.same_camera else []) + (
        [query.tracklets] if rules.same_tracklet and not rules.same_camera else []
    )
    of_query = _groups(np.stack([query.identities, alone, *shared]))
    also = np.concatenate([none, *_left_out(crops, of_query)])
    also = np.unique(also, axis=0)
    return Pools(_firsts(query, of_query), gallery, of_query, np.arange(len(gallery)), also)


def _left_out(crops: Candidates, of_query: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Pooled queries and the gallery crops of their person that are left out for them."""
    for first in range(0, len(crops.query), _QUERIES):
        _, excluded = crops.split(first, min(first + _QUERIES, len(crops.query)))
        rows = first + excluded.rows
        own = crops.query.identities[rows] == crops.gallery.identities[excluded.columns]
        own &= crops.query.identities[rows] > DISTRACTOR
        yield np.stack([of_query[rows], excluded.columns], axis=1)[own]


def _tracklets(samples: Samples) -> NDArray[np.int64]:
    """The group of each crop: its tracklet, or itself where that is unknown."""
    own = np.where(samples.tracklets < 0, -2 - np.arange(len(samples)), samples.tracklets)
    return _groups(np.stack([samples.identities, samples.cameras, own]))


def _groups(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """The group of each column of `keys`, numbered in the order in which they appear."""
    _, firsts, places = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    groups: NDArray[np.int64] = np.argsort(np.argsort(firsts))[places.reshape(-1)]
    return groups


def _firsts(samples: Samples, groups: NDArray[np.int64]) -> Samples:
    """The first crop of each group."""
    return samples.at(np.unique(groups, return_index=True)[1])


def _are_unit(features: Features) -> bool:
    return bool((np.abs(np.linalg.norm(features, axis=1) - 1) < _UNIT).all())


def _means(features: Features, groups: NDArray[np.int64], count: int, unit: bool) -> Features:
    if len(features) == count and (groups == np.arange(count)).all():
        return features
    sums = np.zeros((count, features.shape[1]))
    for row, group in enumerate(groups):  # a row at a time: the features may be mapped from a file
        feature = features[row].astype(np.float64)
        sums[group] += feature / (np.linalg.norm(feature) or 1) if unit else feature
    lengths = np.linalg.norm(sums, axis=1) if unit else np.bincount(groups, minlength=count)
    return (sums / np.where(lengths == 0, 1, lengths)[:, None]).astype(np.float32)
