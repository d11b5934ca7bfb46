"""Tables on disk: a folder `NAME.parquet/` with one part a segment, each part written whole or not at all.

A part carries the fingerprint of the stage that wrote it, so that a rerun knows which parts it can keep.
Read one with `pandas.read_parquet(folder)`.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset  # now: where memory is short, Arrow does without it later, and fails otherwise
import pyarrow.parquet as pq

from pipeline.errors import PipelineError
from pipeline.files import file_sha256
from pipeline.workspace.atomic import atomic_file, read_json
from pipeline.workspace.entries import MANIFEST

_KEY = b"uavpipe.fingerprint"
_RUNTIME = b"uavpipe.runtime"
Column = Callable[[pa.Table], "pa.Array | pa.ChunkedArray"]  # a column made of the others


@dataclass(frozen=True)
class SegmentTable:
    """A table whose rows come segment by segment.

    Attributes:
        folder: `…/NAME.parquet`.
        schema: column names and types.
        fingerprint: of the stage; parts of any other fingerprint count as absent.

    """

    folder: Path
    schema: pa.Schema
    fingerprint: str

    def part(self, first: int) -> Path:
        """Where the part of the segment that starts at frame `first` is written."""
        return self.folder / f"part-{first:08d}.parquet"

    def has(self, first: int) -> bool:
        """Whether that part is there, undamaged, and of this fingerprint."""
        try:
            schema = self._schema(self.part(first))
        except (OSError, pa.ArrowException):
            return False
        return bool(schema == self.schema and (schema.metadata or {}).get(_KEY) == self.fingerprint.encode())

    def _schema(self, part: Path) -> pa.Schema:
        """The schema of `part`, all of which is read."""
        try:
            return pq.read_table(part, page_checksum_verification=True).schema
        except FileNotFoundError:
            # A network file system remembers for a while which names it did not find. Opening the folder makes it
            # ask its server for what other machines have written there.
            next(self.folder.iterdir(), None)
            return pq.read_table(part, page_checksum_verification=True).schema

    def is_of_other_layout(self, path: Path) -> bool:
        """Whether the part in `path`, if it is one, has other columns or types than today's."""
        try:
            return bool(pq.read_schema(path) != self.schema)
        except (OSError, pa.ArrowException):
            return False

    def lacks(self, path: Path, added: Collection[str]) -> str:
        """Which column the part in `path` lacks that is not in `added`; empty where it lacks none."""
        columns = pq.read_schema(path).names
        return next((name for name in self.schema.names if name not in columns and name not in added), "")

    def migrate(self, path: Path, added: Mapping[str, Column]) -> bool:
        """Rewrite the part in `path`, an earlier version's, with today's columns and types.

        Args:
            path: of the part.
            added: what a column gets, by name, that was added since.

        Returns:
            Whether it is another file now: it was written by this stage, and lacks only columns of `added`.

        """
        before = pq.read_table(path, page_checksum_verification=True)
        metadata = before.schema.metadata or {}
        if metadata.get(_KEY) != self.fingerprint.encode() or self.lacks(path, added):
            return False
        columns = {name: make(before) for name, make in added.items() if name in self.schema.names}
        columns |= {name: before[name] for name in before.column_names}
        table = pa.table([columns[field.name].cast(field.type) for field in self.schema], schema=self.schema)
        self._write(path, table, {_RUNTIME: metadata[_RUNTIME]} if _RUNTIME in metadata else {})
        return True

    def write(self, first: int, rows: Sequence[Mapping[str, Any]], runtime: str = "") -> None:
        """Write the part of the segment that starts at frame `first`; `runtime`, if given, computed it."""
        table = pa.Table.from_pylist(list(rows), schema=self.schema)
        self._write(self.part(first), table, {_RUNTIME: runtime.encode()} if runtime else {})

    def _write(self, path: Path, table: pa.Table, made_by: Mapping[bytes, bytes]) -> None:
        stamped = table.replace_schema_metadata({_KEY: self.fingerprint.encode(), **made_by})
        with atomic_file(path, shared=True) as temporary:
            pq.write_table(stamped, temporary, compression="zstd", write_page_checksum=True)

    def read(self, first: int) -> pd.DataFrame:
        """The rows of one part."""
        return read_file(self.part(first))

    def runtimes(self, firsts: Iterable[int]) -> list[str]:
        """What computed the parts of the segments that start at `firsts`, where that is recorded."""
        parts = [part for part in map(self.part, firsts) if part.is_file()]
        recorded = (pq.read_schema(part).metadata or {} for part in parts)
        return sorted({each[_RUNTIME].decode() for each in recorded if _RUNTIME in each})

    def fingerprints(self) -> set[str]:
        """Of the stages that the parts that are there belong to."""
        found = set()
        for path in self.folder.glob("part-*.parquet"):
            with suppress(OSError, pa.ArrowException):
                found.add((pq.read_schema(path).metadata or {}).get(_KEY, b"").decode(errors="replace"))
        return found

    def sweep(self, firsts: set[int]) -> None:
        """Remove parts of segments that are not in `firsts` (left by another division into segments)."""
        wanted = {self.part(first) for first in firsts}
        for path in self.folder.glob("part-*.parquet"):
            if path not in wanted:
                path.unlink()

    def files(self, root: Path, firsts: Iterable[int]) -> list[str]:
        """The paths of the parts of the segments that start at `firsts`, relative to `root`."""
        return [self.part(first).relative_to(root).as_posix() for first in firsts]


def parts_of(path: Path) -> list[Path]:
    """The files of the table in `path`, one file or a folder of parts; other files in the folder are left out.

    Raises:
        FileNotFoundError: there is none, or one that the manifest of the finished stage names is gone.

    """
    found = sorted(path.glob("part-*.parquet")) if path.is_dir() else [path]
    files = [each for each in found if each.is_file()]
    if not files:
        raise FileNotFoundError(f"{path}: not a file, nor a folder with parts of a table")
    gone = sorted(_promised(path) - {each.name for each in files})
    if gone:
        raise FileNotFoundError(f"{path / gone[0]}: missing")
    return files


def _promised(path: Path) -> set[str]:
    """The names of the parts of the table in the folder `path` that its finished stage has written."""
    files = (read_json(path.parent / MANIFEST) or {}).get("files")
    prefix = f"{path.name}/"
    return {name.removeprefix(prefix) for name in files or () if name.startswith(prefix)}


def read_table(folder: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """All rows of the table in `folder`, in order of frames.

    Raises:
        PipelineError: there is no part, or one is gone, damaged or lacks one of `columns`.

    """
    return pd.concat([read_file(path, columns) for path in _whole(folder)], ignore_index=True)


def tables_sha256(folders: Iterable[Path]) -> str:
    """One hash of the bytes of the tables in `folders`.

    Raises:
        PipelineError: of one there is no part, or one is gone or cannot be read.

    """
    parts = [part for folder in folders for part in _whole(folder)]
    try:
        return hashlib.sha256("\n".join(map(file_sha256, parts)).encode()).hexdigest()
    except OSError as error:
        raise PipelineError(f"{error.filename}: cannot be read: {error.strerror}") from None


def _whole(folder: Path) -> list[Path]:
    try:
        return parts_of(folder)
    except FileNotFoundError as error:
        raise PipelineError(f"{error}; no such table, or not all of it; make it again") from None


def read_rows(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame | None:
    """As `read_file`; None where there is no such table."""
    return read_file(path, columns) if path.exists() else None


def read_file(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """The table in `path`, one file or a folder of parts.

    Raises:
        PipelineError: it is gone, damaged, or lacks one of `columns`.

    """
    try:
        # In this thread: where memory is short, Arrow waits for ever for threads that could not be started.
        tables = [pq.ParquetFile(part).read(use_threads=False) for part in parts_of(path)]
        rows = pa.concat_tables(tables, promote_options="default").to_pandas(use_threads=False)
        for name in rows.columns[[dtype == "str" for dtype in rows.dtypes]]:
            rows[name].tolist()  # now, not later, to tell bytes that are no text
    except Exception as error:  # Arrow and pandas raise nearly anything on a damaged file
        reason = " ".join(str(error).split())[:120]
        raise PipelineError(f"{path}: not a table that can be read ({reason}); make it again") from None
    missing = [name for name in columns if name not in rows]
    if missing:
        raise PipelineError(f"{path}: no column {', '.join(missing)}; make it again")
    return rows
