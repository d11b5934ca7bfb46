"""The gallery: a feature for each tracklet of a workspace, from its stored embeddings.

The crops of a flight share its light, ground and angle of view, which makes all its persons alike. So the mean of
its tracklets is subtracted from their embeddings before cosines are taken. A mean of few tracklets is mostly the
persons themselves: that of a flight is drawn towards the mean of all flights, and this one towards zero.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from annotate.operations import Mark, flight_of, tracklet_id
from annotate.suggestions.features import read_vectors
from pipeline.chain.table import EMBEDDINGS
from pipeline.errors import PipelineError
from pipeline.sightings.tracklets import LabelledTracklets

_PRIOR = 10  # tracklets that the mean which another one is drawn towards counts for
_RANKS = 1 << 16  # more than a frame has detections
_FLIGHTS = 2  # read at once
_BLOCK = 256  # tracklets whose crops are in single precision at a time
Vectors = NDArray[np.float16] | NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Gallery:
    """Tracklets that can be found.

    Attributes:
        names: of the tracklets that have embedded crops and are not junk.
        features: float32 (n, d), of length 1: the direction of the mean of the crops' embeddings.
        crops: embeddings of the crops by tracklet as they are stored, in order of frames: (k, d).
        means: float32 (d,) by flight; what `features` and `centred` subtract.
        mean: float32 (d,), of all flights.
        without: number of tracklets, not junk, that have no embedded crop.

    """

    names: Sequence[str]
    features: NDArray[np.float32]
    crops: Mapping[str, Vectors]
    means: Mapping[str, NDArray[np.float32]]
    mean: NDArray[np.float32]
    without: int = 0

    def centred(self, vectors: NDArray[np.float32], flight: str | None) -> NDArray[np.float32]:
        """`vectors`, float32 (k, d), of crops of `flight` or of pictures from elsewhere, made comparable."""
        return unit(vectors - self.means.get(flight or "", self.mean))

    def of_crops(self, name: str) -> NDArray[np.float32]:
        """The embeddings of the crops of a tracklet, made comparable: float32 (k, d), of length 1 each."""
        return self.centred(unit(self.crops[name]), flight_of(name))


def read_gallery(workspace: Path, tracklets: LabelledTracklets) -> Gallery:
    """The gallery of `workspace`, whose flights are embedded by one network.

    Raises:
        PipelineError: a flight is not embedded, or its table is damaged.

    """
    with ThreadPoolExecutor(_FLIGHTS) as pool:  # most of the time is that of memory, without the interpreter's lock
        parts = list(pool.map(partial(_read_flight, workspace, tracklets), tracklets.rows))
    crops = {name: vectors for part in parts for name, vectors in part.crops.items()}
    return _gallery(crops, [part.directions for part in parts if part.crops], sum(part.without for part in parts))


class _Part(NamedTuple):
    """As in `Gallery`, of one flight; its directions are those of `mean_directions`."""

    crops: dict[str, Vectors]
    directions: NDArray[np.float32]
    without: int


def _read_flight(workspace: Path, tracklets: LabelledTracklets, flight: str) -> _Part:
    rows = tracklets.rows[flight]
    names = {number: tracklet_id(flight, number) for number in rows["number"].unique().tolist()}
    wanted = {number: name for number, name in names.items() if tracklets.label(name) != Mark.JUNK}
    path = workspace / flight / EMBEDDINGS.output
    found = by_tracklet(path, rows[rows["number"].isin(wanted)])
    directions = mean_directions(list(found.values()))
    if not np.isfinite(directions).all():
        raise _damaged(path, "a value is not a finite number")
    crops = {wanted[number]: vectors for number, vectors in found.items()}
    return _Part(crops, directions, len(wanted) - len(found))


def make_gallery(crops: Mapping[str, Vectors], without: int = 0) -> Gallery:
    """The gallery of tracklets with the embeddings `crops`: by name, (k, d)."""
    return _gallery(crops, [mean_directions(list(crops.values()))] if crops else [], without)


def _gallery(crops: Mapping[str, Vectors], parts: Sequence[NDArray[np.float32]], without: int) -> Gallery:
    directions = np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
    mean = _drawn(directions, np.zeros(directions.shape[1], np.float32))
    flights, of = np.unique(np.array([flight_of(name) for name in crops], object), return_inverse=True)
    means = np.array([_drawn(directions[of == place], mean) for place in range(len(flights))], np.float32)
    for place, centre in enumerate(means):  # in place: a copy for a million crops takes 64 MB
        directions[of == place] -= centre
    return Gallery(
        list(crops), unit(directions), crops, dict(zip(flights.tolist(), means, strict=True)), mean, without
    )


def _drawn(vectors: NDArray[np.float32], towards: NDArray[np.float32]) -> NDArray[np.float32]:
    total = vectors.sum(axis=0, dtype=np.float32) + _PRIOR * towards
    return np.asarray(total / (len(vectors) + _PRIOR), np.float32)


def mean_directions(groups: Sequence[Vectors]) -> NDArray[np.float32]:
    """The direction of the mean of each group of vectors, (k, d): float32 (n, d), of length 1."""
    blocks = [groups[start : start + _BLOCK] for start in range(0, len(groups), _BLOCK)]
    return np.concatenate([_directions(block) for block in blocks]) if blocks else np.zeros((0, 0), np.float32)


def _directions(groups: Sequence[Vectors]) -> NDArray[np.float32]:
    """A product with a sparse matrix: NumPy's `add.reduceat` takes thirty times as long for the sums."""
    single = np.concatenate(groups, dtype=np.float32)
    ends = np.cumsum([0, *map(len, groups)])
    sums = csr_array((1 / _lengths(single), np.arange(len(single)), ends)) @ single
    return unit(sums)


def unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """`vectors`, (n, d), scaled to length 1, in single precision."""
    single = np.asarray(vectors, np.float32)
    return np.asarray(single / _lengths(single)[:, None], np.float32)


def _lengths(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.maximum(np.sqrt(np.einsum("nd,nd->n", vectors, vectors)), np.float32(1e-9))


def by_tracklet(path: Path, rows: pd.DataFrame) -> dict[int, Vectors]:
    """The vectors of each tracklet in `rows` that has some, as they are stored, in order of frames.

    Raises:
        PipelineError: `path` is no table of embeddings.

    """
    try:
        keys, vectors = read_vectors(path, "feature")
    except Exception as error:  # Arrow raises nearly anything on a damaged file
        raise _damaged(path, error) from None
    wanted = rows["frame"].to_numpy(np.int64) * _RANKS + rows["rank"].to_numpy(np.int64)
    order = np.argsort(keys)
    places = np.searchsorted(keys, wanted, sorter=order).clip(max=max(0, len(keys) - 1))
    there = keys[order[places]] == wanted if len(keys) else np.zeros(len(wanted), np.bool_)
    numbers = rows["number"].to_numpy()[there]
    if not len(numbers):
        return {}
    found = order[places[there]]
    starts = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])
    ends = np.r_[starts[1:], len(numbers)]
    jumps = np.r_[0, np.cumsum(np.diff(found) != 1)]
    in_one_piece = jumps[starts] == jumps[ends - 1]  # as they are written: not copied, a million take 500 MB
    parts = [
        vectors[found[start] : found[start] + end - start] if whole else vectors[found[start:end]]
        for start, end, whole in zip(starts.tolist(), ends.tolist(), in_one_piece.tolist(), strict=True)
    ]
    return dict(zip(numbers[starts].tolist(), parts, strict=True))


def _damaged(path: Path, reason: object) -> PipelineError:
    text = " ".join(str(reason).split())[:120]
    return PipelineError(f"{path}: not a table of embeddings ({text}); delete it, and run again")
