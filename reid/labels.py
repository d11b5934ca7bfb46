"""Who is on which crop: from CSV tables, or from file names in the manner of Market-1501."""

import csv
import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from reid.errors import ReidError
from reid.records import JUNK, ReidData, Samples
from reid.sources import image_files, inside

Cameras = Literal["camera", "flight"]
# Camera c, and the sequence s where there is one: 0002_c1s1_000451_03.jpg, or 0005_c2_f0046985.jpg.
_NAME = re.compile(r"(?P<identity>-1|\d{1,9})_(?P<flight>c(?P<camera>\d{1,9})(s\d{1,9})?)(?=[_.]|$)", re.ASCII)


@dataclass(frozen=True)
class _Row:
    identity: int
    camera: int
    flight: str  # empty: not known
    tracklet: str  # empty: not known; its name counts within its flight
    path: Path | None


def read_labels(
    tables: Sequence[Path], cameras: Cameras = "camera", folders: Sequence[Path | None] | None = None
) -> list[Samples]:
    """The samples in each of `tables`, CSVs with a row for each crop; equal ids mean the same in all of them.

    Columns: `identity` (1 and up, 0 a distractor, -1 junk), `camera` (a number; without it, all are of one),
    `flight` and `tracklet` (any text; a tracklet's name counts within its flight) and `path`. Without `identity`
    the paths' names tell who it is, as `named_samples` reads them.

    Args:
        tables: the CSV files.
        cameras: what `Samples.cameras` is to hold.
        folders: of each table's images, within which its paths stay; without one, the samples have no paths.

    Raises:
        ReidError: a table or a value in it is not as above; names the file and the line.

    """
    roots = folders or [None] * len(tables)
    found = [_read(table, root) for table, root in zip(tables, roots, strict=True)]
    return _samples(found, [str(table) for table in tables], cameras)


def named_samples(
    groups: Sequence[Sequence[Path]], cameras: Cameras = "camera", names: Sequence[str] | None = None
) -> list[Samples]:
    """The samples of each of `groups`, image files whose names tell identity and camera.

    `0002_c1s1_000451_03.jpg` is identity 2, camera 1 and, where flights are asked for, flight "c1s1".

    Args:
        groups: the files.
        cameras: what `Samples.cameras` is to hold.
        names: what errors call the groups.

    Raises:
        ReidError: another name; names the file.

    """
    rows = [[_named(path.name, path, str(path)) for path in group] for group in groups]
    return _samples(rows, names or ["the files"] * len(groups), cameras)


def market_data(folder: Path, cameras: Cameras = "camera") -> ReidData:
    """The data set in a folder in the manner of Market-1501: bounding_box_train, query and bounding_box_test.

    Args:
        folder: holds these; one that is not there has no samples.
        cameras: as for `named_samples`.

    Raises:
        ReidError: none of the three is there, one is empty, or a file has another name.

    """
    names = ("bounding_box_train", "query", "bounding_box_test")
    groups = [image_files(folder / name) if (folder / name).is_dir() else [] for name in names]
    if not any(groups):
        raise ReidError(f"{folder}: no data set; expected images in {', '.join(names)} below it")
    return ReidData(folder.name, *named_samples(groups, cameras, [str(folder / name) for name in names]))


def _samples(groups: Sequence[Sequence[_Row]], names: Sequence[str], cameras: Cameras) -> list[Samples]:
    """Flights and tracklets become numbers, in the order of their names, the same in all groups."""
    for rows, name in zip(groups, names, strict=True):
        if cameras == "flight" and not all(row.flight for row in rows):
            raise ReidError(f"{name}: the protocol needs every crop's flight; add a column 'flight'")
    flights = _numbered(row.flight for rows in groups for row in rows)
    tracklets = _numbered((row.flight, row.tracklet) for rows in groups for row in rows if row.tracklet)
    return [
        Samples(
            np.array([row.identity for row in rows], np.int64),
            np.array([flights[row.flight] if cameras == "flight" else row.camera for row in rows], np.int64),
            np.array([tracklets.get((row.flight, row.tracklet), -1) for row in rows], np.int64),
            tuple(row.path for row in rows if row.path is not None),
        )
        for rows in groups
    ]


def _numbered(names: Iterable[Hashable]) -> dict[Hashable, int]:
    return {name: number for number, name in enumerate(sorted(set(names)))}  # type: ignore[type-var]


def _read(table: Path, folder: Path | None) -> list[_Row]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file)
            columns = set(lines.fieldnames or ())
            needed = "identity" if "identity" in columns else "path"
            if needed not in columns or (folder is not None and "path" not in columns):
                raise ReidError(
                    f"{table}: expected a column '{'path' if 'identity' in columns else 'identity'}', found "
                    f"{', '.join(sorted(columns))[:100] or 'none'}"
                )
            return [_row(line, f"{table} line {lines.line_num}", folder) for line in lines]
    except FileNotFoundError:
        raise ReidError(f"{table}: no such file; name the labels with --labels") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReidError(f"{table}: not a table of labels: {error}") from None


def _row(line: dict[str, str | None], where: str, folder: Path | None) -> _Row:
    text = {name: (line.get(name) or "").strip() for name in ("identity", "camera", "flight", "tracklet", "path")}
    path = None if folder is None else inside(folder, text["path"], where)
    if "identity" not in line:
        return _named(Path(text["path"]).name, path, where)
    identity = _number(text["identity"], "identity", where, JUNK)
    camera = _number(text["camera"] or "0", "camera", where, 0)
    return _Row(identity, camera, text["flight"], text["tracklet"], path)


def _number(text: str, column: str, where: str, least: int) -> int:
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII) or int(text) < least:
        raise ReidError(f"{where}: {column} '{text[:40]}': expected a whole number from {least} up")
    return int(text)


def _named(name: str, path: Path | None, where: str) -> _Row:
    match = _NAME.match(name)
    if match is None:
        raise ReidError(
            f"{where}: '{name[:80]}' tells no identity and camera; expected a name as 0002_c1s1_000451_03.jpg, or "
            "a table with a column 'identity'"
        )
    flight = match["flight"] if "s" in match["flight"] else ""
    return _Row(int(match["identity"]), int(match["camera"]), flight, "", path)
