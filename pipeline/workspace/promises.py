"""The promises of a finished stage beyond the hashes of its files: rows that fit other tables, and images."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.files import read_regular
from pipeline.workspace.tables import parts_of

Advance = Callable[[int], None]
_RANKS = 1 << 16  # of a frame, at most: ranks are int16


@dataclass(frozen=True)
class Broken:
    """A promise that is not kept.

    Attributes:
        path: of the file.
        what: is wrong with it.

    """

    path: Path
    what: str


def read_columns(table: Path, columns: Sequence[str]) -> dict[str, NDArray[Any]]:
    """These columns alone of a table, one file or a folder of parts, in order of the parts.

    Raises:
        PipelineError: a part is gone or damaged, or lacks a column.

    """
    try:
        found = [_part(path, columns) for path in parts_of(table)]
    except FileNotFoundError as error:
        raise PipelineError(f"{table}: cannot be read: {error}") from None
    return {name: np.concatenate([part[name].to_numpy() for part in found]) for name in columns}


def _part(path: Path, columns: Sequence[str]) -> pa.Table:
    try:
        part = pq.read_table(path, columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        raise PipelineError(f"{path}: cannot be read: {' '.join(str(error).split())[:120]}") from None
    if len(part.column_names) < len(columns):
        raise PipelineError(f"{path}: expected the columns {', '.join(columns)}")
    return part


def keys(rows: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """A number for each row's detection, from its columns frame and rank: int64 (n,)."""
    return rows["frame"].astype(np.int64) * _RANKS + rows["rank"]


def check_detections(table: Path, detections: Path) -> Iterator[Broken]:
    """Check that each row of `table`, by frame and rank, is a detection, and none is there twice."""
    mine, there = (keys(read_columns(each, ("frame", "rank"))) for each in (table, detections))
    if len(np.unique(mine)) < len(mine):
        yield Broken(table, "a detection is there twice")
    yield from _outside(table, mine, there, f"no detection of {detections.parent.name}")


def check_frames(table: Path, frames: Path, *, every: bool = False) -> Iterator[Broken]:
    """Check that each row of `table` is of a decoded frame; with `every` also that each of these has its row."""
    rows = read_columns(frames, ("frame", "lost"))
    decoded = rows["frame"][~rows["lost"].astype(bool)].astype(np.int64)
    mine = read_columns(table, ("frame",))["frame"].astype(np.int64)
    yield from _outside(table, mine * _RANKS, decoded * _RANKS, f"no decoded frame of {frames.parent.name}")
    lacking = np.setdiff1d(decoded, mine)
    if every and len(lacking):
        yield Broken(table, f"no row for frame {lacking[0]}{_more(len(lacking))}")


def check_image(
    path: Path, size: int | None, crc: int | None, read: Callable[[Path], bytes] = read_regular
) -> Broken | None:
    """Check that `path` has its bytes, as far as their number and CRC-32 are known; a JPEG's ends otherwise.

    `read` gives them.
    """
    try:
        content = read(path)
    except (FileNotFoundError, NotADirectoryError):
        return Broken(path, "missing")
    except OSError as error:
        return Broken(path, error.strerror or "cannot be read")
    if size is not None and len(content) != size:
        return Broken(path, f"{len(content)} bytes, expected {size}")
    if crc is not None and crc32(content) != crc:
        return Broken(path, "other bytes than were written")
    if crc is None and (content[:2], content[-2:]) != (b"\xff\xd8", b"\xff\xd9"):
        return Broken(path, "not a whole JPEG")
    return None


def _outside(table: Path, mine: NDArray[np.int64], there: NDArray[np.int64], what: str) -> Iterator[Broken]:
    outside = np.setdiff1d(mine, there)
    if len(outside):
        frame, rank = divmod(int(outside[0]), _RANKS)
        yield Broken(table, f"frame {frame}, rank {rank}: {what}{_more(len(outside))}")


def _more(count: int) -> str:
    return f", and {count - 1:,} more" if count > 1 else ""
