"""Protocols: the gallery crops that count for a query as right, as wrong, or not at all."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reid.errors import ReidError
from reid.records import DISTRACTOR, JUNK, Samples

_QUERIES = 64  # listed at once
ProtocolName = Literal["market", "single-shot", "flight", "tracklet", "strict"]


@dataclass(frozen=True)
class Protocol:
    """The crops that are left out of a query's gallery, besides junk.

    Attributes:
        name: of the protocol, as in `--protocol`.
        same_camera: leave out the query's person as seen by the query's own camera.
        same_tracklet: leave out the query's own tracklet, whose other frames are trivial hits.
        single_shot: keep one crop of each person, drawn again for each repeat, and all distractors.
        cameras: what `Samples.cameras` means, cameras or flights.

    """

    name: ProtocolName
    same_camera: bool = False
    same_tracklet: bool = False
    single_shot: bool = False
    cameras: Literal["camera", "flight"] = "camera"


PROTOCOLS: dict[ProtocolName, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("market", same_camera=True),
        Protocol("single-shot", same_camera=True, single_shot=True),
        Protocol("flight", same_camera=True, cameras="flight"),
        Protocol("tracklet", same_tracklet=True),
        Protocol("strict", same_camera=True, same_tracklet=True, cameras="flight"),
    )
}


@dataclass(frozen=True, eq=False)
class Pairs:
    """Query and gallery crops, pairwise.

    Attributes:
        rows: int64 (n,), queries, ascending.
        columns: int64 (n,), gallery crops.

    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, mask: NDArray[np.bool_]) -> "Pairs":
        """Those of `mask`, bool (n,)."""
        return Pairs(self.rows[mask], self.columns[mask])

    def part(self, start: int, stop: int) -> "Pairs":
        """Those of the gallery crops `start` up to, not including, `stop`; columns count from `start`."""
        mask = (start <= self.columns) & (self.columns < stop)
        return Pairs(self.rows[mask], self.columns[mask] - start)


@dataclass(frozen=True, eq=False)
class Rivals:
    """The gallery crops that take part in the rankings of some queries; rows count from the first of them.

    Attributes:
        positives: right answers.
        excluded: crops that a query's ranking ignores.
        absent: int64, gallery crops that all of these rankings ignore, unless they are positives.

    """

    positives: Pairs
    excluded: Pairs
    absent: NDArray[np.int64]

    def part(self, start: int, stop: int) -> "Rivals":
        """Those among the gallery crops `start` up to, not including, `stop`; columns count from `start`."""
        positives, excluded = (pairs.part(start, stop) for pairs in (self.positives, self.excluded))
        absent = self.absent[(start <= self.absent) & (self.absent < stop)] - start
        return Rivals(positives, excluded, absent)


class Candidates:
    """The right answers of each query under a protocol, and the crops left out for it.

    Args:
        query: the queries. Distractors and junk have no right answer.
        gallery: the crops that are ranked.
        protocol: the rules.
        seed: of single-shot's draws.

    Raises:
        ReidError: the protocol needs tracklets that are unknown.

    """

    def __init__(self, query: Samples, gallery: Samples, protocol: Protocol, seed: int = 0) -> None:
        if protocol.same_tracklet:
            for name, samples in (("query", query), ("gallery", gallery)):
                _require_tracklets(samples, name, protocol)
        self.query, self.gallery, self.protocol, self._seed = query, gallery, protocol, seed
        self._persons = _Groups(gallery.identities, gallery.identities > DISTRACTOR)
        self._tracklets = _Groups(gallery.tracklets, gallery.tracklets >= 0)
        self._junk = np.flatnonzero(gallery.identities == JUNK)

    def between(self, first: int, last: int, repeat: int = 0) -> Rivals:
        """The rivals of queries `first` up to, not including, `last`; `repeat` counts single-shot's draws."""
        positives, excluded = self.split(first, last)
        if self.protocol.single_shot:
            return self._drawn(first, last, positives, repeat)
        return Rivals(positives, excluded, self._junk)

    def split(self, first: int, last: int) -> tuple[Pairs, Pairs]:
        """All right answers of these queries, and all crops left out for them."""
        query, gallery = self.query, self.gallery
        same = self._persons.pairs(query.identities[first:last])
        out = np.zeros(len(same), np.bool_)
        excluded = []
        if self.protocol.same_camera:
            out |= query.cameras[first + same.rows] == gallery.cameras[same.columns]
            excluded.append(same.where(out))
        if self.protocol.same_tracklet:
            out |= query.tracklets[first + same.rows] == gallery.tracklets[same.columns]
            excluded.append(self._tracklets.pairs(query.tracklets[first:last]))
        rows, columns = (
            np.concatenate([getattr(pairs, what) for pairs in excluded]) for what in ("rows", "columns")
        )
        return same.where(~out), Pairs(rows, columns)

    def right_answers(self) -> Iterator[Pairs]:
        """All right answers, some queries at a time; here rows are the queries' own numbers."""
        for first in range(0, len(self.query), _QUERIES):
            positives, _ = self.split(first, min(first + _QUERIES, len(self.query)))
            yield Pairs(first + positives.rows, positives.columns)

    def _drawn(self, first: int, last: int, positives: Pairs, repeat: int) -> Rivals:
        """One crop of each person; if that of the query's person is left out, another one that is not."""
        identities = self.gallery.identities
        priority = np.random.default_rng((self._seed, repeat)).permutation(len(identities))
        by_priority = np.argsort(priority)
        _, firsts = np.unique(identities[by_priority], return_index=True)
        drawn = by_priority[firsts]
        present = identities == DISTRACTOR
        present[drawn[identities[drawn] > DISTRACTOR]] = True
        order = np.lexsort((priority[positives.columns], positives.rows))
        ordered = Pairs(positives.rows[order], positives.columns[order])
        chosen = ordered.where(np.diff(ordered.rows, prepend=-1) > 0)
        own = self._persons.pairs(self.query.identities[first:last])
        return Rivals(chosen, own.where(present[own.columns]), np.flatnonzero(~present))


class _Groups:
    """Gallery crops by a key that several share."""

    def __init__(self, keys: NDArray[np.int64], known: NDArray[np.bool_]) -> None:
        members = np.flatnonzero(known)
        self._columns = members[np.argsort(keys[members], kind="stable")]
        self._keys = keys[self._columns]

    def pairs(self, wanted: NDArray[np.int64]) -> Pairs:
        """Each of `wanted` (by its position) with all crops of that key, in gallery order."""
        starts, ends = (np.searchsorted(self._keys, wanted, side) for side in ("left", "right"))
        counts = ends - starts
        rows = np.repeat(np.arange(len(wanted)), counts)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return Pairs(rows, self._columns[np.repeat(starts, counts) + within])


def _require_tracklets(samples: Samples, name: str, protocol: Protocol) -> None:
    unknown = np.flatnonzero((samples.identities > DISTRACTOR) & (samples.tracklets < 0))
    if len(unknown):
        row = int(unknown[0])
        where = f"{samples.paths[row]}" if samples.paths else f"row {row}"
        raise ReidError(
            f"protocol '{protocol.name}' needs every crop's tracklet; {name} lacks {len(unknown):,}, the first at "
            f"{where}: add a column 'tracklet' to the labels, or take another protocol"
        )
