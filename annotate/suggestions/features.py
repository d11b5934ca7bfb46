"""Vectors that describe detections: embeddings of a re-id model where it was run, else the descriptors of colours.

Vectors of different models cannot be compared, so the embeddings are taken only if every flight has them from one
and the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import AnnotateError
from annotate.operations import Seen
from annotate.records import APPEARANCE, EMBEDDINGS, read_arrow, read_parts

COLOUR_SOURCE = "colours"  # `Features.source` where there are no embeddings
_RANKS = 1 << 16  # more than a frame has detections


@dataclass(frozen=True)
class FlightFeatures:
    """The vectors of one flight.

    Attributes:
        keys: int64 (n,), ascending: frame times 65536 plus rank.
        vectors: float16 (n, d), of length 1 each.

    """

    keys: NDArray[np.int64]
    vectors: NDArray[np.float16]

    def of(self, content: Sequence[Seen]) -> NDArray[np.float32]:
        """float32 (m, d): the vectors of the detections in `content`, in order.

        Not each detection need have one: it takes that of the nearest before it, the first ones that of the
        first that has; zeros if none has.
        """
        places, there = self._places(content)
        if not len(there):
            return np.zeros((len(content), self.vectors.shape[1]), np.float32)
        nearest = there[np.searchsorted(there, np.arange(len(content)), side="right").clip(1) - 1]
        return np.asarray(self.vectors[places[nearest]], np.float32)

    def sample(self, content: Sequence[Seen], count: int) -> NDArray[np.float32]:
        """float32 (m, d): `count` vectors of the detections in `content` at most, evenly from first to last."""
        places, there = self._places(content)
        chosen = np.linspace(0, len(there) - 1, min(len(there), count)).round().astype(int)
        return np.asarray(self.vectors[places[there[chosen]]], np.float32)

    def _places(self, content: Sequence[Seen]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Of each detection the row where its vector is or would be, and which of them have one."""
        wanted = np.array([frame * _RANKS + rank for frame, rank in content], np.int64)
        if not len(self.keys):
            return np.zeros(len(wanted), np.intp), np.zeros(0, np.intp)
        places = np.searchsorted(self.keys, wanted).clip(max=len(self.keys) - 1)
        return places, np.flatnonzero(self.keys[places] == wanted)


@dataclass(frozen=True)
class Features:
    """The vectors of all flights, of one kind.

    Attributes:
        flights: by name.
        length: d.
        source: the model, for people to read.

    """

    flights: Mapping[str, FlightFeatures]
    length: int
    source: str


def read_features(workspace: Path, flights: Sequence[str]) -> Features:
    """The vectors of `flights`.

    Raises:
        AnnotateError: a table is damaged, or the flights' vectors are of different lengths; names it.

    """
    models = {_model(workspace / flight / EMBEDDINGS) for flight in flights}
    if len(models) == 1 and None not in models:
        table, column, source = EMBEDDINGS, "feature", f"re-id model {models.pop()}"
    else:
        table, column, source = APPEARANCE, "look", COLOUR_SOURCE
    found = {flight: _read(workspace / flight / table, column) for flight in flights}
    lengths = {flight: each.vectors.shape[1] for flight, each in found.items() if len(each.keys)}
    if len(set(lengths.values())) > 1:
        first, other = next(iter(lengths)), next(f for f in lengths if lengths[f] != next(iter(lengths.values())))
        raise AnnotateError(
            f"{workspace / other / table}: vectors of {lengths[other]} numbers, those of {first} have "
            f"{lengths[first]}: one model for all; make them again"
        )
    length = next(iter(lengths.values()), 1)
    empty = FlightFeatures(np.zeros(0, np.int64), np.zeros((0, length), np.float16))
    return Features({flight: each if len(each.keys) else empty for flight, each in found.items()}, length, source)


def _model(path: Path) -> str | None:
    """The model of the embeddings in `path`; None where there are none, or those of several."""
    if not path.exists():
        return None
    try:
        models = read_parts(path, ["model"])["model"].unique()
    except Exception as error:  # Arrow and pandas raise nearly anything on a damaged file
        raise AnnotateError(f"{path}: not a table of embeddings; delete it: {error}") from None
    return str(models[0]) if len(models) == 1 else None


def read_vectors(path: Path, column: str) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Keys of a table as in `FlightFeatures`, in its order, and the vectors in `column` as they are stored, (n, d).

    A vector is a list of numbers; or its bytes, as half precision, little-endian: lists take ten times as long to
    read.

    Raises:
        Exception: nearly anything, where it is no such table.

    """
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read_arrow(path, ["frame", "rank", column])
    keys = table["frame"].to_numpy().astype(np.int64) * _RANKS + table["rank"].to_numpy().astype(np.int64)
    stored = table[column].combine_chunks()
    if stored.null_count:
        raise ValueError("a vector is missing")
    if pa.types.is_fixed_size_binary(stored.type):
        length = stored.type.byte_width // 2
        values = np.frombuffer(stored.buffers()[1] or b"", "<f2")[stored.offset * length :][: len(keys) * length]
    else:
        lengths = pc.min_max(pc.list_value_length(stored)).as_py()
        if lengths["min"] != lengths["max"]:
            raise ValueError(f"vectors of {lengths['min']} and of {lengths['max']} numbers")
        values = stored.flatten().to_numpy(zero_copy_only=False)
    return keys, values.reshape(len(keys), len(values) // max(1, len(keys)))


def _read(path: Path, column: str) -> FlightFeatures:
    if not path.exists():
        return FlightFeatures(np.zeros(0, np.int64), np.zeros((0, 0), np.float16))
    try:
        keys, vectors = read_vectors(path, column)
        if not np.isfinite(vectors).all():
            raise ValueError("a value is not a finite number")
    except Exception as error:  # as above
        raise AnnotateError(f"{path}: not a table of vectors (frame, rank, {column}): {error}") from None
    order = np.argsort(keys, kind="stable")
    vectors = vectors[order].astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return FlightFeatures(keys[order], (vectors / np.maximum(lengths, 1e-6)).astype(np.float16))
