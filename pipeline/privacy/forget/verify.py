"""Checking that a person is gone: by the content of all files of the workspace, not by their names."""

import hashlib
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from annotate.log.store import LABELS, LabelStore
from pipeline.chain.table import DETECT
from pipeline.errors import PipelineError
from pipeline.files import open_regular
from pipeline.privacy.forget.places import FLIGHT, Places
from pipeline.privacy.forget.selection import BOX
from pipeline.stages.crop_store import Picture
from pipeline.workspace.entries import is_ours
from pipeline.workspace.folders import SEARCHES
from pipeline.workspace.tables import read_file

_HEAD = 640  # bytes of a JPEG by which it is looked for: its tables, its size, and the first of its pixels
_BEGIN, _END = b"\xff\xd8\xff", b"\xff\xd9"  # of each JPEG, also within another file
Fingerprint = tuple[int, str, str]  # bytes; SHA-256 of the first `_HEAD` of them, and of all


def fingerprints(pictures: Iterable[Picture], kept: Iterable[Picture]) -> list[Fingerprint]:
    """What `pictures` are recognised by; without those of which one in `kept` is a copy."""
    found = {_fingerprint(path.read_bytes()) for path in pictures}
    sizes = {size for size, _, _ in found}
    return sorted(found - {_fingerprint(path.read_bytes()) for path in kept if _size(path) in sizes})


def _size(path: Picture) -> int:
    return path.stat().st_size if isinstance(path, Path) else path.size()


def _fingerprint(content: bytes) -> Fingerprint:
    return len(content), _sha256(content[:_HEAD]), _sha256(content)


def _sha256(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()


def remains(
    places: Places, identity: int, pictures: Sequence[Fingerprint], boxes: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """The files of the workspace that still have something of the person, with what it is.

    Args:
        places: the workspace.
        identity: the person's number in the labels.
        pictures: its crops, and the pictures that it was painted over in, as they were.
        boxes: of its detections, by flight and frame.

    """
    wanted: dict[str, list[tuple[int, str]]] = {}
    for size, head, whole in pictures:
        wanted.setdefault(head, []).append((size, whole))
    lengths = {min(size, _HEAD) for size, _, _ in pictures}
    found = []
    for name in sorted(places.files()):
        what = _shown(places.workspace / name, wanted, lengths)
        found += [f"{name} ({what})"] * bool(what)
    for flight, frames in boxes.items():
        tables = [f"{flight}/{name}" for name in sorted(places.below(flight)) if _is_table(name)]
        found += [f"{name} (a row)" for name in tables if _has_row(places.workspace / name, frames)]
        found += [f"{name} (rows without a detection)" for name in _loose(places.workspace, flight, tables)]
    found += [f"{SEARCHES} (a search)"] * _is_searched_for(places.workspace / SEARCHES, identity)
    if not (places.workspace / LABELS).exists():
        return found
    with LabelStore(places.workspace / LABELS, create=False) as store:
        found += [f"{LABELS} (the identity)"] * (identity in store.state.exists)
    return found


def _is_searched_for(path: Path, identity: int) -> bool:
    if not path.is_file():
        return False
    return any(f'"person": {identity}}}' in line for line in path.read_text("utf-8", errors="replace").splitlines())


def _shown(path: Path, wanted: Mapping[str, Sequence[tuple[int, str]]], lengths: set[int]) -> str:
    """What the file `path` has of the person; "" for nothing, and for what is no file: links are the user's own."""
    if path.is_symlink() or not path.is_file():
        return ""
    try:
        with open_regular(path) as file:
            if not os.fstat(file.fileno()).st_size:
                return ""
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return "a picture" if _has_picture(content, wanted, lengths, path.suffix == ".jpg") else ""
    except OSError as error:
        return f"not checked: {error.strerror}"


def _has_picture(
    content: mmap.mmap, wanted: Mapping[str, Sequence[tuple[int, str]]], lengths: set[int], only_first: bool
) -> bool:
    place = content.find(_BEGIN, 0, _HEAD if only_first else len(content))
    while place >= 0:
        for length in lengths:
            for size, whole in wanted.get(_sha256(content[place : place + length]), ()):
                there = content[place : place + size]
                cut_off = len(there) < size and _END not in there
                if cut_off or _sha256(there) == whole:
                    return True
        place = -1 if only_first else content.find(_BEGIN, place + 1)
    return False


def _is_table(name: str) -> bool:
    return name.endswith(".parquet") and is_ours(name, FLIGHT)


def _has_row(path: Path, boxes: Mapping[str, Any]) -> bool:
    rows = _rows(path, ["frame", *BOX])
    if rows is None:
        return False
    gone = {(int(frame), *map(float, np.array(box, np.float32))) for frame, those in boxes.items() for box in those}
    there = zip(rows["frame"].tolist(), *(rows[side].astype(np.float32).tolist() for side in BOX), strict=True)
    return not gone.isdisjoint(there)


def _loose(workspace: Path, flight: str, tables: Sequence[str]) -> Iterator[str]:
    """Tables with rows for detections that are not there: the others of those frames have new ranks."""
    try:
        detections = read_file(workspace / flight / DETECT.output, ["frame", "rank"])
    except PipelineError:  # a part vanished meanwhile: the rows of its frames would all be found
        return
    known = set(zip(detections["frame"].tolist(), detections["rank"].tolist(), strict=True))
    for name in tables:
        rows = _rows(workspace / name, ["frame", "rank"])
        if rows is not None and not known.issuperset(
            zip(rows["frame"].tolist(), rows["rank"].tolist(), strict=True)
        ):
            yield name


def _rows(path: Path, columns: list[str]) -> pd.DataFrame | None:
    """These columns of a table; None where it has not all of them, or vanished meanwhile."""
    try:
        known = pq.read_schema(path).names
        return pd.read_parquet(path, columns=columns) if {*columns} <= {*known} else None
    except FileNotFoundError:
        return None
