"""Labels of crops, from CSV tables or file names, and the samples made of them."""

import csv
import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from io import TextIOWrapper
from pathlib import Path
from typing import Literal

import numpy as np

from reid.errors import ReidError
from reid.files import open_regular
from reid.records import JUNK, Samples
from reid.sources import inside

Cameras = Literal["camera", "flight"]
PARTS = ("train", "query", "gallery")
_COLUMNS = ("identity", "camera", "flight", "tracklet", "path", "split")
# Camera c, and the sequence s where there is one: 0002_c1s1_000451_03.jpg, or 0005_c2_f0046985.jpg.
_NAME = re.compile(r"(?P<identity>-1|\d{1,9})_(?P<flight>c(?P<camera>\d{1,9})(s\d{1,9})?)(?=[_.]|$)", re.ASCII)


@dataclass(frozen=True)
class Label:
    """The identity on a crop, and the crop's origin.

    Attributes:
        identity: from 1 up; 0: a distractor, -1: junk.
        camera: from 0 up.
        flight: its name; empty: unknown.
        tracklet: its name, unique within its flight; empty: unknown.
        path: of the crop; None: there is no image.
        split: one of `PARTS`; empty: unknown.

    """

    identity: int
    camera: int
    flight: str
    tracklet: str
    path: Path | None
    split: str = ""


def read_labels(
    tables: Sequence[Path], cameras: Cameras = "camera", folders: Sequence[Path | None] | None = None
) -> list[Samples]:
    """The samples in each of `tables`, CSVs with a row for each crop; equal ids mean the same in all tables.

    Columns: `identity` (1 and up, 0 a distractor, -1 junk), `camera` (a number; without it, all are of one),
    `flight` and `tracklet` (any text; a tracklet's name is unique within its flight) and `path`. Without
    `identity`, identities and cameras are parsed from the file names, as `label_of_name` does.

    Args:
        tables: the CSV files.
        cameras: what `Samples.cameras` means, cameras or flights.
        folders: of each table's images; paths must stay within it. None: the samples have no paths.

    Raises:
        ReidError: a table is missing, or a value is not as above; names the file and the line.

    """
    roots = folders or [None] * len(tables)
    found = [read_table(table, root) for table, root in zip(tables, roots, strict=True)]
    return labelled_samples(found, [str(table) for table in tables], cameras)


def labelled_samples(groups: Sequence[Sequence[Label]], names: Sequence[str], cameras: Cameras) -> list[Samples]:
    """The samples of each of `groups`; flights and tracklets become numbers, the same in all groups.

    Args:
        groups: of labels.
        names: of the groups, for errors.
        cameras: what `Samples.cameras` means, cameras or flights.

    Raises:
        ReidError: `cameras` is "flight", and a crop's flight is unknown.

    """
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


def read_table(table: Path, folder: Path | None) -> list[Label]:
    """The labels in a CSV as `read_labels` reads it, with its column `split`.

    Raises:
        ReidError: as `read_labels`.

    """
    try:
        with TextIOWrapper(open_regular(table), "utf-8-sig", newline="") as file:
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
        raise ReidError(f"{table}: no such file; name the tables of labels with --labels") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReidError(f"{table}: not a table of labels: {error}") from None


def _row(line: dict[str, str | None], where: str, folder: Path | None) -> Label:
    text = {name: (line.get(name) or "").strip() for name in _COLUMNS}
    path = None if folder is None else inside(folder, text["path"], where)
    if text["split"] not in ("", *PARTS):
        raise ReidError(f"{where}: split '{text['split'][:40]}': expected {', '.join(PARTS)}, or nothing")
    if "identity" not in line:
        return replace(label_of_name(Path(text["path"]).name, path, where), split=text["split"])
    identity = _number(text["identity"], "identity", where, JUNK)
    camera = _number(text["camera"] or "0", "camera", where, 0)
    return Label(identity, camera, text["flight"], text["tracklet"], path, text["split"])


def _number(text: str, column: str, where: str, least: int) -> int:
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII) or int(text) < least:
        raise ReidError(f"{where}: {column} '{text[:40]}': expected a whole number from {least} up")
    return int(text)


def is_label(name: str) -> bool:
    """Whether `label_of_name` can parse `name`."""
    return _NAME.match(name) is not None


def label_of_name(name: str, path: Path | None, where: str) -> Label:
    """The label parsed from a Market-1501 file name; its flight is camera and sequence, as in "c1s1".

    Raises:
        ReidError: it is not such a name; the error begins with `where`.

    """
    match = _NAME.match(name)
    if match is None:
        raise ReidError(
            f"{where}: '{name[:80]}' has no identity and camera; expected a name like 0002_c1s1_000451_03.jpg, or "
            "a table with a column 'identity'"
        )
    flight = match["flight"] if "s" in match["flight"] else ""
    return Label(int(match["identity"]), int(match["camera"]), flight, "", path)
