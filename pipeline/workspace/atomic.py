"""Files and folders that are whole or absent, and their hashes.

Nothing half-written is ever visible: files and folders are made under a hidden temporary name on the same
file system and renamed when whole.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TEMPORARY = ".part-"  # prefix of everything unfinished; swept at the next start


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; what is written there becomes `path` at the end, or vanishes."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A fresh temporary folder beside `path`; it takes the place of `path` at the end, or vanishes."""
    temporary, former = _unfinished(path)
    sweep(path)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            path.replace(former)  # aside first: deleting takes long, and half a folder would be believed
        temporary.replace(path)
        shutil.rmtree(former, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def sweep(path: Path) -> None:
    """Remove what a killed run left of making the folder `path`."""
    for leftover in _unfinished(path):
        shutil.rmtree(leftover, ignore_errors=True)


def _unfinished(path: Path) -> tuple[Path, Path]:
    """Where the folder `path` is made, and where the one before it is put aside."""
    return path.with_name(f"{TEMPORARY}{path.name}"), path.with_name(f"{TEMPORARY}former-{path.name}")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` to `path` atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, default=str) + "\n", "utf-8")


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`; None if there is no file or no whole object in it."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def file_sha256(path: Path) -> str:
    """sha256 (hex) of the bytes of the file `path`.

    Raises:
        OSError: it cannot be read.

    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
