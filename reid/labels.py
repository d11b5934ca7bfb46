"""Labels of crops, from CSV tables or file names, and the samples made of them."""

import csv
import logging
import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reid.columns import open_rows
from reid.errors import ReidError
from reid.records import DISTRACTOR, JUNK, Samples
from reid.sources import inside

Cameras = Literal["camera", "flight"]
PARTS = ("train", "query", "gallery")
# Camera c, and the sequence s where there is one: 0002_c1s1_000451_03.jpg, or 0005_c2_f0046985.jpg.
_NAME = re.compile(r"(?P<identity>-1|\d{1,9})_(?P<flight>c(?P<camera>\d{1,9})(s\d{1,9})?)(?=[_.]|$)", re.ASCII)

_log = logging.getLogger(__name__)


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
        altitude: of the drone, metres above take-off; NaN: unknown.

    """

    identity: int
    camera: int
    flight: str
    tracklet: str
    path: Path | None
    split: str = ""
    altitude: float = math.nan


def read_labels(
    tables: Sequence[Path], cameras: Cameras = "camera", folders: Sequence[Path | None] | None = None
) -> list[Samples]:
    """The samples in each of `tables`, CSVs with a row for each crop; equal ids mean the same in all tables.

    Columns: `identity` (1 and up, 0 a distractor, -1 junk), `camera` (a number; without it, all are of one),
    `flight` and `tracklet` (any text; a tracklet's name is unique within its flight), `path` and `altitude_m` (of
    the drone). Without `identity`, identities and cameras are parsed from the file names, as `label_of_name` does.
    The names that others use are read too (`pid`, `camid`, …); other columns are named in a warning.

    Args:
        tables: the CSV files.
        cameras: what `Samples.cameras` means, cameras or flights.
        folders: of each table's images; paths must stay within it. None: the samples have no paths.

    Raises:
        ReidError: a table is missing or has no rows, a value is not as above, or two rows are of one crop; names
            the file and the line.

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
            _altitudes(rows),
        )
        for rows in groups
    ]


def _altitudes(rows: Sequence[Label]) -> NDArray[np.float64]:
    altitudes = np.array([row.altitude for row in rows], np.float64)
    return altitudes if np.isfinite(altitudes).any() else np.zeros(0)


def _numbered(names: Iterable[Hashable]) -> dict[Hashable, int]:
    return {name: number for number, name in enumerate(sorted(set(names)))}  # type: ignore[type-var]


def read_table(table: Path, folder: Path | None) -> list[Label]:
    """The labels in a CSV as `read_labels` reads it, with its column `split`.

    Raises:
        ReidError: as `read_labels`.

    """
    try:
        with open_rows(table) as rows:
            if "identity" not in rows.names and "path" not in rows.names:
                rows.require("identity")
            if folder is not None:
                rows.require("path")
            rows.warn_of_unused()
            found = [(line, _row(row, f"{table} line {line}", folder)) for line, row in rows]
            named = rows.names.get("identity", "")
    except FileNotFoundError:
        raise ReidError(f"{table}: no such file; name the tables of labels with --labels") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReidError(f"{table}: not a table of labels: {error}") from None
    if not found:
        raise ReidError(f"{table}: no rows; expected one for each crop")
    _check_once(found, table)
    nobody = sum(label.identity == DISTRACTOR for _, label in found)
    if nobody and named.strip().lower() not in ("", "identity"):
        _log.warning(
            "%s: %d rows have 0 in the column %s, which is a distractor; if persons count from 0, begin with 1",
            *(table, nobody, named),
        )
    return [label for _, label in found]


def _check_once(rows: Iterable[tuple[int, Label]], table: Path) -> None:
    """Check that no crop has two rows: of one split, or with two identities."""
    seen: dict[Path, list[tuple[int, Label]]] = {}
    for line, label in rows:
        if label.path is None:
            continue
        for before, other in seen.setdefault(label.path, []):
            if other.split == label.split or other.identity != label.identity:
                both = f", as identity {other.identity}" if other.identity != label.identity else ""
                raise ReidError(
                    f"{table} line {line}: {label.path} has a row in line {before} already{both}; give it one"
                )
        seen[label.path].append((line, label))


def _row(row: Mapping[str, str], where: str, folder: Path | None) -> Label:
    name, split = row.get("path", ""), row.get("split", "")
    path = None if folder is None else inside(folder, name, where)
    if split not in ("", *PARTS):
        raise ReidError(f"{where}: split '{split[:40]}': expected {', '.join(PARTS)}, or nothing")
    altitude = _altitude(row.get("altitude_m", ""), where)
    if "identity" not in row:
        return replace(label_of_name(Path(name).name, path, where), split=split, altitude=altitude)
    identity = _number(row["identity"], "identity", where, JUNK)
    camera = _number(row.get("camera") or "0", "camera", where, 0)
    return Label(identity, camera, row.get("flight", ""), row.get("tracklet", ""), path, split, altitude)


def _altitude(text: str, where: str) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        raise ReidError(f"{where}: altitude_m '{text[:40]}': expected metres, or nothing") from None


def _number(text: str, column: str, where: str, least: int) -> int:
    match = re.fullmatch(r"(-?\d{1,18})(\.0*)?", text, re.ASCII)  # of a column with gaps, tables make 3.0
    if match is None or int(match[1]) < least:
        raise ReidError(f"{where}: {column} '{text[:40]}': expected a whole number from {least} up")
    return int(match[1])


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
