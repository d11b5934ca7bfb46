"""The gallery: a feature for each tracklet of a workspace, from its stored embeddings.

The crops of a flight share its light, ground and angle of view, which makes all its persons alike. So the mean of
its tracklets is subtracted from their embeddings before cosines are taken. A mean of few tracklets is mostly the
persons themselves: that of a flight is drawn towards the mean of all flights, and this one towards zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from annotate.operations import Mark, flight_of, tracklet_id
from pipeline.chain.table import EMBEDDINGS
from pipeline.errors import PipelineError
from pipeline.sightings.tracklets import LabelledTracklets

_PRIOR = 10  # tracklets that the mean which another one is drawn towards counts for
_RANKS = 1 << 16  # more than a frame has detections


@dataclass(frozen=True, eq=False)
class Gallery:
    """Tracklets that can be found.

    Attributes:
        names: of the tracklets that have embedded crops and are not junk.
        features: float32 (n, d), of length 1: the direction of the mean of the crops' embeddings.
        crops: embeddings of the crops by tracklet, in order of frames: float32 (k, d), of length 1 each.
        means: float32 (d,) by flight; they are subtracted already.
        mean: float32 (d,), of all flights.
        without: number of tracklets, not junk, that have no embedded crop.

    """

    names: Sequence[str]
    features: NDArray[np.float32]
    crops: Mapping[str, NDArray[np.float32]]
    means: Mapping[str, NDArray[np.float32]]
    mean: NDArray[np.float32]
    without: int = 0

    def centred(self, vectors: NDArray[np.float32], flight: str | None) -> NDArray[np.float32]:
        """`vectors`, float32 (k, d), of crops of `flight` or of pictures from elsewhere, made comparable."""
        return unit(vectors - self.means.get(flight or "", self.mean))


def read_gallery(workspace: Path, tracklets: LabelledTracklets) -> Gallery:
    """The gallery of `workspace`, whose flights are embedded by one network.

    Raises:
        PipelineError: a flight is not embedded, or its table is damaged.

    """
    crops: dict[str, NDArray[np.float32]] = {}
    without = 0
    for flight, rows in tracklets.rows.items():
        names = {number: tracklet_id(flight, number) for number in rows["number"].unique().tolist()}
        wanted = {number: name for number, name in names.items() if tracklets.label(name) != Mark.JUNK}
        found = _by_tracklet(workspace / flight / EMBEDDINGS.output, rows)
        crops |= {name: found[number] for number, name in wanted.items() if number in found}
        without += len(wanted.keys() - found.keys())
    return make_gallery(crops, without)


def make_gallery(crops: Mapping[str, NDArray[np.float32]], without: int = 0) -> Gallery:
    """The gallery of tracklets with the embeddings `crops`: by name, float32 (k, d), of length 1 each."""
    directions = dict(zip(crops, mean_directions(list(crops.values())), strict=True))
    length = next((each.shape[1] for each in crops.values()), 0)
    mean = _drawn(list(directions.values()), np.zeros(length, np.float32))
    flights: dict[str, list[NDArray[np.float32]]] = {}
    for name, direction in directions.items():
        flights.setdefault(flight_of(name), []).append(direction)
    means = {flight: _drawn(members, mean) for flight, members in flights.items()}
    centred = {name: unit(vectors - means[flight_of(name)]) for name, vectors in crops.items()}
    features = np.array([directions[name] - means[flight_of(name)] for name in crops], np.float32)
    return Gallery(list(crops), unit(features.reshape(len(crops), length)), centred, means, mean, without)


def _drawn(vectors: Sequence[NDArray[np.float32]], towards: NDArray[np.float32]) -> NDArray[np.float32]:
    total = np.sum(vectors, axis=0, dtype=np.float32) + _PRIOR * towards
    return np.asarray(total / (len(vectors) + _PRIOR), np.float32)


def mean_directions(groups: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The direction of the mean of each group of vectors, float32 (k, d): float32 (n, d), of length 1."""
    if not groups:
        return np.zeros((0, 0), np.float32)
    return unit(np.array([group.mean(axis=0) for group in groups], np.float32))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """`vectors`, float32 (n, d), scaled to length 1."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), np.float32)


def _by_tracklet(path: Path, rows: pd.DataFrame) -> dict[int, NDArray[np.float32]]:
    """The vectors of each tracklet in `rows` that has some, in order of frames."""
    keys, vectors = _read(path)
    wanted = rows["frame"].to_numpy(np.int64) * _RANKS + rows["rank"].to_numpy(np.int64)
    order = np.argsort(keys)
    places = np.searchsorted(keys, wanted, sorter=order).clip(max=max(0, len(keys) - 1))
    there = keys[order[places]] == wanted if len(keys) else np.zeros(len(wanted), np.bool_)
    numbers = rows["number"].to_numpy()[there]
    if not len(numbers):
        return {}
    starts = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])
    parts = np.split(unit(vectors[order[places[there]]]), starts[1:])
    return dict(zip(numbers[starts].tolist(), parts, strict=True))


def _read(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Keys int64 (n,) and vectors float32 (n, d) of a table of embeddings; Arrow reads them faster than pandas."""
    try:
        table = pq.read_table(path, columns=["frame", "rank", "feature"])
        keys = table["frame"].to_numpy().astype(np.int64) * _RANKS + table["rank"].to_numpy().astype(np.int64)
        values = table["feature"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        vectors = values.astype(np.float32).reshape(len(keys), -1) if len(keys) else np.zeros((0, 1), np.float32)
        if not np.isfinite(vectors).all():
            raise ValueError("a value is not a finite number")
    except (OSError, pa.ArrowException, KeyError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise PipelineError(f"{path}: not a table of embeddings ({reason}); delete it, and run again") from None
    return keys, vectors
