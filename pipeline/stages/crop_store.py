"""Crops on disk: a file each, or a tar file (a shard) for each segment. Whatever reads crops reads them here.

A crop's path says where it is: `images/00000256/00000300_001.jpg` is a file, and
`images/00000256.tar/00000300_001.jpg` a member of a shard. A shard is plain USTAR, so that `tar xf` and webdataset
read it; its bytes depend on the crops alone. The segment's part of the table of crops is its index: column `offset`
says where the member's bytes begin, and `bytes`, how many they are. A shard without a part is of an unfinished run.
"""

import errno
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Literal, Protocol

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from annotate.records import CropFiles
from pipeline.chain.table import CROPS
from pipeline.files import LARGEST, open_regular, read_regular
from pipeline.workspace.atomic import atomic_file, atomic_folder
from pipeline.workspace.entries import empty

Store = Literal["files", "tar"]
OFFSET = "offset"  # the column of the table of crops
FILE = r"\d{8}_\d{3,}\.jpg"  # of a crop, in its segment's folder or shard
_SHARD = ".tar"
_BLOCK, _RECORD = tarfile.BLOCKSIZE, tarfile.RECORDSIZE  # bytes
_SHARDS_KNOWN = 32  # whose indexes are kept in memory, some 1 MB each


@dataclass(frozen=True)
class ShardedCrop:
    """A crop in a shard: what `reid` and the others take in place of a file's path.

    Attributes:
        path: of the shard, and the name in it.

    """

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """Its name in the shard."""
        return self.path.name

    @property
    def shard(self) -> Path:
        """The file that it is in."""
        return self.path.parent

    def size(self) -> int:
        """Its bytes, by the index.

        Raises:
            OSError: it is not in the index.

        """
        return self._place()[1]

    def read_bytes(self) -> bytes:
        """The bytes of the JPEG.

        Raises:
            OSError: it is not in the index, or the shard is gone or is not what the index describes.

        """
        offset, size = self._place()
        with open_regular(self.shard) as file:
            data = b""
            if offset + size <= os.fstat(file.fileno()).st_size:
                file.seek(offset - _BLOCK)
                data = file.read(_BLOCK + size)
        try:
            header = tarfile.TarInfo.frombuf(data[:_BLOCK], "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            header = tarfile.TarInfo()
        if (header.name, header.size, len(data)) != (self.name, size, _BLOCK + size):
            raise self._error("damaged: its shard has something else there")
        return data[_BLOCK:]

    def _place(self) -> tuple[int, int]:
        found = index_of(self.shard).get(self.name)
        if found is None:
            raise self._error("not in the table of crops")
        return found

    def _error(self, what: str) -> OSError:
        return OSError(errno.EINVAL, what, str(self.path))


Picture = Path | ShardedCrop


def in_shard(path: str) -> bool:
    """Whether the crop at `path` is a member of a shard; for many paths, of which no `Path` is made."""
    return path.rpartition("/")[0].endswith(_SHARD)


def picture(path: Path) -> Picture:
    """The crop at `path`: a file, or a member of a shard; whether it is there is not asked."""
    return ShardedCrop(path) if path.parent.suffix == _SHARD else path


def read_picture(path: Path) -> bytes:
    """The bytes of the crop, or of any other picture, at `path`.

    Raises:
        OSError: it cannot be read; see `ShardedCrop.read_bytes`.

    """
    found = picture(path)
    return read_regular(found) if isinstance(found, Path) else found.read_bytes()


def is_there(path: Path) -> bool:
    """Whether the crop at `path` is a file, or its shard is one and has it by the index."""
    found = picture(path)
    if isinstance(found, Path):
        return found.is_file()
    return found.shard.is_file() and found.name in index_of(found.shard)


class Crops(CropFiles):
    """The crops of a workspace as the labelling package takes them, in files and in shards."""

    def names(self, folder: Path) -> list[str]:
        """The crops in `folder`, a folder or a shard; none where it is not whole."""
        if folder.suffix != _SHARD:
            return super().names(folder)
        return list(index_of(folder)) if is_whole(folder) else []

    def read(self, path: Path) -> bytes:
        """The bytes of the crop at `path`."""
        return read_picture(path)


def index_of(shard: Path) -> Mapping[str, tuple[int, int]]:
    """Offset and size in bytes of each crop in `shard`, by name; empty where no table describes it."""
    part = _part_of(shard)
    try:
        known = part.stat()
    except OSError:
        return {}
    if not stat.S_ISREG(known.st_mode):
        return {}
    return _read_index(part, shard.name, (known.st_mtime_ns, known.st_size, known.st_ino))


@lru_cache(_SHARDS_KNOWN)
def _read_index(part: Path, shard: str, version: tuple[int, int, int]) -> dict[str, tuple[int, int]]:
    try:
        rows = pq.ParquetFile(part).read(["crop", OFFSET, "bytes"], use_threads=False).to_pylist()
    except Exception:  # Arrow raises nearly anything on a damaged file; whoever reads the table names it
        return {}
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        folder, _, name = str(row.get("crop")).rpartition("/")
        offset, size = row.get(OFFSET), row.get("bytes")
        if folder != f"images/{shard}" or not isinstance(offset, int) or not isinstance(size, int):
            continue
        if offset >= _BLOCK and 0 < size <= LARGEST:  # a table from elsewhere may say anything
            found[name] = (offset, size)
    return found


def _part_of(shard: Path) -> Path:
    """The part of the table of crops that describes `shard`."""
    return shard.parent.parent / CROPS.file / f"part-{shard.stem}.parquet"


def shard_sizes(rows: pd.DataFrame) -> dict[str, int]:
    """Bytes of each shard by its name relative to the stage's folder, as `rows` of the table of crops imply."""
    if OFFSET not in rows:
        return {}
    ends = pd.to_numeric(rows[OFFSET], "coerce") + pd.to_numeric(rows["bytes"], "coerce")
    folders = pd.Series([str(crop).rpartition("/")[0] for crop in rows["crop"]], rows.index, dtype=str)
    last = ends[np.isfinite(ends.astype(float))].groupby(folders).max()
    return {str(name): _whole_size(int(end)) for name, end in last.items()}


def _whole_size(end: int) -> int:
    """Bytes of a shard whose last crop ends at `end`."""
    return _padded(_padded(end, _BLOCK) + 2 * _BLOCK, _RECORD)


def is_whole(shard: Path) -> bool:
    """Whether `shard` is as long as the table of crops says; False where the table has no crop of it."""
    ends = [offset + size for offset, size in index_of(shard).values()]
    return bool(ends) and shard.is_file() and shard.stat().st_size == _whole_size(max(ends))


def shards_in(stage: Path) -> list[Path]:
    """The shards in the folder of stage `crops`."""
    return sorted((stage / "images").glob(f"{'[0-9]' * 8}{_SHARD}"))


def sharded_crops(stage: Path) -> Iterator[ShardedCrop]:
    """The crops in the shards of stage `crops`, as their indexes have them."""
    for shard in shards_in(stage):
        yield from (ShardedCrop(shard / name) for name in index_of(shard))


def _padded(size: int, unit: int) -> int:
    return -(-size // unit) * unit


class ShardWriter:
    """Writes crops one after the other into a tar file: equal crops, equal bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, name: str, content: bytes) -> int:
        """Append a crop; returns where its bytes begin."""
        entry = tarfile.TarInfo(name)  # of root, mode 0644, from 1970
        entry.size = len(content)
        self._file.write(entry.tobuf(tarfile.USTAR_FORMAT))
        offset = self._file.tell()
        self._file.write(content.ljust(_padded(len(content), _BLOCK), b"\0"))
        return offset

    def end(self) -> None:
        """Write what ends a tar file."""
        size = self._file.tell()
        self._file.write(bytes(_whole_size(size) - size))


@contextmanager
def shard_writer(path: Path) -> Iterator[ShardWriter]:
    """Write the shard `path`, whole at the end of the `with`; after an exception `path` is as it was."""
    with atomic_file(path, shared=True) as temporary, temporary.open("wb") as file:
        writer = ShardWriter(file)
        yield writer
        writer.end()


class SegmentCrops(Protocol):
    """Takes the crops of a segment."""

    def add(self, name: str, content: bytes) -> dict[str, Any]:
        """Keep a crop; returns the columns of the table that say where: `crop`, and in a shard `offset`."""


@contextmanager
def segment_crops(store: Store, stage: Path, first: int) -> Iterator[SegmentCrops]:
    """The place for the crops of the segment that begins at frame `first`; whole at the end of the `with`.

    What another store, or a former run, kept of the segment is removed then. Several processes may fill a segment
    at once: their bytes are the same.
    """
    folder, shard = stage / "images" / f"{first:08d}", stage / "images" / f"{first:08d}{_SHARD}"
    if store == "files":
        with atomic_folder(folder, FILE, shared=True) as temporary:
            yield _Folder(temporary, folder.name)
        shard.unlink(missing_ok=True)
        return
    with shard_writer(shard) as writer:
        crops = _Shard(writer, shard.name)
        yield crops
    if not crops.count:
        shard.unlink(missing_ok=True)
    empty(folder, FILE)


class _Folder:
    def __init__(self, temporary: Path, name: str) -> None:
        self._temporary, self._name = temporary, name

    def add(self, name: str, content: bytes) -> dict[str, Any]:
        (self._temporary / name).write_bytes(content)
        return {"crop": f"images/{self._name}/{name}"}


class _Shard:
    def __init__(self, writer: ShardWriter, name: str) -> None:
        self._writer, self._name, self.count = writer, name, 0

    def add(self, name: str, content: bytes) -> dict[str, Any]:
        self.count += 1
        return {"crop": f"images/{self._name}/{name}", OFFSET: self._writer.add(name, content)}
