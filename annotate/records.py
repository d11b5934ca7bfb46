"""The input of labelling: the tables of a workspace's flights, and the tracklets in them as records.

A flight is a folder of the workspace. `TRACKLETS` and the constants beside it are the tables that the package reads
there, with their columns; each is one Parquet file or a folder of parts. Only this module knows paths in a flight's
folder.
"""

import math
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from annotate.errors import AnnotateError
from annotate.files import read_regular
from annotate.operations import LAST, MAX_TRACKLETS, check_flight, tracklet_id

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

TRACKLETS = "tracks/tracklets.parquet"  # tracklet, frame, rank: which detection is of which tracklet; suspect
DETECTIONS = "detections/detections.parquet"  # frame, rank, pts_s, x1, y1, x2, y2, score
CROPS = "crops/crops.parquet"  # frame, rank, crop (a JPEG, relative to the table's folder), sharpness
FRAMES = "frames/frames.parquet"  # frame; optional
APPEARANCE = "appearance/appearance.parquet"  # frame, rank, look (descriptor of colours); optional
EMBEDDINGS = "embeddings/embeddings.parquet"  # frame, rank, feature, model (which made the features); optional

Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels of the frame, origin at the top left
_INTEGERS = ("tracklet", "frame", "rank")


@dataclass(frozen=True, slots=True)
class Detection:
    """A person in a frame.

    Attributes:
        frame: index in the video, from 0.
        rank: with `frame`, which detection.
        time: seconds, as the video has it.
        box: see `Box`.
        score: of the detector, 0 to 1.
        crop: the JPEG, relative to the workspace, with forward slashes; None where none was cut.
        sharpness: of the crop, variance of the Laplacian; 0 without a crop.
        suspect: whether the frame may be wrong, after damage to the video.

    Raises:
        ValueError: a value is not as above, or the crop is outside the workspace.

    """

    frame: int
    rank: int
    time: float
    box: Box
    score: float
    crop: str | None = None
    sharpness: float = 0.0
    suspect: bool = False

    def __post_init__(self) -> None:
        if not (0 <= self.frame <= LAST and 0 <= self.rank <= LAST):
            raise ValueError(f"frame {self.frame}, rank {self.rank}: expected numbers from 0 to {LAST}")
        x1, y1, x2, y2 = self.box
        if not (all(map(math.isfinite, self.box)) and x1 < x2 and y1 < y2):
            raise ValueError(f"box {self.box}: expected x1 < x2 and y1 < y2")
        if not math.isfinite(self.time) or not 0 <= self.score <= 1:
            raise ValueError(f"time {self.time}, score {self.score}: expected seconds, and 0 to 1")
        if self.crop is not None and not _inside(self.crop):
            raise ValueError(f"crop {self.crop!r}: expected a path inside the workspace")


@dataclass(frozen=True)
class Tracklet:
    """Detections that the tracker linked as one person in one flight.

    Attributes:
        flight: its name.
        number: of the tracklet in the flight, from 0 up.
        detections: in order of frames, at least one, at most one a frame.

    Raises:
        ValueError: a value is not as above.

    """

    flight: str
    number: int
    detections: tuple[Detection, ...]

    def __post_init__(self) -> None:
        check_flight(self.flight)
        frames = [each.frame for each in self.detections]
        if not 0 <= self.number < MAX_TRACKLETS or not frames:
            raise ValueError(
                f"tracklet {self.number} with {len(frames)} detections: expected a number from 0 up to "
                f"{MAX_TRACKLETS - 1}, and one"
            )
        for first, second in pairwise(frames):
            if first >= second:
                raise ValueError(f"tracklet {self.number}: frame {second} after frame {first}")

    @property
    def id(self) -> str:
        """Its name among all flights, as in "flight01/7"."""
        return tracklet_id(self.flight, self.number)


class CropFiles:
    """The crops of a workspace, each a file; who keeps them otherwise gives labelling a class derived from this."""

    def names(self, folder: Path) -> list[str]:
        """The crops in `folder`; none where there is no such folder."""
        try:
            return os.listdir(folder)  # noqa: PTH208 - iterdir() makes a Path of each
        except OSError:
            return []

    def read(self, path: Path) -> bytes:
        """The bytes of the crop at `path`.

        Raises:
            OSError: it cannot be read.

        """
        return read_regular(path)


def iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    common = _intersection(one, other)
    return common / (_area(one) + _area(other) - common) if common else 0.0


def overlap(one: Box, other: Box) -> float:
    """The two boxes' intersection as a share of the smaller one, 0 to 1."""
    common = _intersection(one, other)
    return common / min(_area(one), _area(other)) if common else 0.0


def _intersection(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0


def _area(box: Box) -> float:
    x1, y1, x2, y2 = box
    return (x2 - x1) * (y2 - y1)


def flights_with_tracklets(workspace: Path) -> list[str]:
    """The names of the flights in `workspace` that have tracklets, sorted.

    Raises:
        AnnotateError: there is none.

    """
    tables = workspace.glob(f"[!.]*/{TRACKLETS}")  # a hidden folder is unfinished, or a trash
    found = sorted(path.parents[1].name for path in tables)
    if not found:
        raise AnnotateError(
            f"{workspace}: no flight with tracklets here; make them with `uavpipe tracks`, or name the --workspace"
        )
    return found


def read_tracklets(workspace: Path, flight: str) -> tuple[Tracklet, ...]:
    """The tracklets of `flight`, by number.

    Raises:
        AnnotateError: a table is missing, damaged or inconsistent; names it.

    """
    try:
        check_flight(flight)
    except ValueError as error:
        raise AnnotateError(f"{workspace}: {error}") from None
    folder = workspace / flight
    tables = [
        (folder / TRACKLETS, ["tracklet", "frame", "rank", "suspect"], "uavpipe tracks"),
        (folder / DETECTIONS, ["frame", "rank", "pts_s", "x1", "y1", "x2", "y2", "score"], "uavpipe detect"),
        (folder / CROPS, ["frame", "rank", "crop", "sharpness"], "uavpipe crops"),
    ]
    tracklets, detections, crops = (_read(*table) for table in tables)
    for (path, _, command), content in zip(tables, (tracklets, detections, crops), strict=True):
        _check_once(path, content, command)
    rows = tracklets.merge(detections, on=["frame", "rank"], how="left", validate="one_to_one")
    if rows["score"].isna().any():
        first = rows[rows["score"].isna()].iloc[0]
        missing = f"frame {int(first['frame'])} has no detection {int(first['rank'])}"
        raise AnnotateError(f"{folder / TRACKLETS}: {missing}; run `uavpipe tracks` again")
    rows = rows.merge(crops, on=["frame", "rank"], how="left", validate="one_to_one")
    return tuple(_records(folder / TRACKLETS, flight, rows.sort_values(["tracklet", "frame"])))


def count_frames(workspace: Path, flight: str) -> int | None:
    """The number of frames of the video of `flight`; None where there is no table of frames."""
    table = workspace / flight / FRAMES
    return len(_read(table, ["frame"], "uavpipe frames")) if table.exists() else None


def frame_size(workspace: Path, flight: str) -> tuple[int, int] | None:
    """Width and height of the frames of `flight` in pixels; None where its table of frames has none or several."""
    table = workspace / flight / FRAMES
    if not table.exists():
        return None
    try:
        rows = read_parts(table)
        sizes = rows[["width", "height"]].dropna().drop_duplicates().to_numpy(int)
    except Exception:  # Arrow and pandas raise nearly anything; `count_frames` names a damaged table
        return None
    return (int(sizes[0, 0]), int(sizes[0, 1])) if len(sizes) == 1 else None


def read_arrow(path: Path, columns: list[str] | None = None) -> "pa.Table":
    """The table in `path`, one file or a folder of parts; other files in the folder are left out.

    In this thread: where memory is short, Arrow waits for ever for threads that could not be started.

    Args:
        path: of the table.
        columns: that are read, as far as they are there; None: all.

    Raises:
        FileNotFoundError: there is none.
        pyarrow.ArrowException, OSError: it is damaged.

    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = sorted(path.glob("part-*.parquet")) if path.is_dir() else [path]
    files = [each for each in found if each.is_file()]
    if not files:
        raise FileNotFoundError(f"{path}: not a file, nor a folder with parts of a table")
    tables = [pq.ParquetFile(part).read(columns, use_threads=False) for part in files]
    return pa.concat_tables(tables, promote_options="default")


def read_parts(path: Path, columns: list[str] | None = None) -> "pd.DataFrame":
    """As `read_arrow`."""
    return read_arrow(path, columns).to_pandas(use_threads=False)


def _read(path: Path, columns: list[str], command: str) -> "pd.DataFrame":
    from pandas.api.types import is_integer_dtype, is_numeric_dtype

    if not path.exists():
        raise AnnotateError(f"{path}: no such table; make it with `{command}`")
    try:
        rows = read_parts(path)
        if "suspect" in columns and "suspect" not in rows:  # tracklets from before there was the column
            rows["suspect"] = False
        rows = rows[columns]
    except Exception as error:  # Arrow and pandas raise nearly anything on a damaged file
        raise AnnotateError(
            f"{path}: not a table with columns {', '.join(columns)}; make it again with `{command}`: {error}"
        ) from None
    for name in columns:
        fits = is_integer_dtype(rows[name]) if name in _INTEGERS else is_numeric_dtype(rows[name])
        if not fits and name != "crop":
            kind = "integers" if name in _INTEGERS else "numbers"
            raise AnnotateError(f"{path}: column {name} has {rows[name].dtype}, expected {kind}; run `{command}`")
    return rows


def _check_once(path: Path, rows: "pd.DataFrame", command: str) -> None:
    again = rows[rows.duplicated(["frame", "rank"])]
    if len(again):
        frame, rank = again[["frame", "rank"]].iloc[0]
        raise AnnotateError(f"{path}: frame {frame}: detection {rank} is there twice; run `{command}` again")


def _records(table: Path, flight: str, rows: "pd.DataFrame") -> list[Tracklet]:
    names = ["tracklet", "frame", "rank", "pts_s", "x1", "y1", "x2", "y2", "score", "crop", "sharpness", "suspect"]
    folder = PurePosixPath(CROPS).parent
    contents: dict[int, list[Detection]] = {}
    number = frame = -1
    try:
        for number, frame, rank, time, x1, y1, x2, y2, score, crop, sharpness, suspect in zip(
            *(rows[name].tolist() for name in names), strict=True
        ):
            path, sharp = (f"{flight}/{folder}/{crop}", sharpness) if isinstance(crop, str) else (None, 0.0)
            one = Detection(frame, rank, time, (x1, y1, x2, y2), score, path, sharp, bool(suspect))
            contents.setdefault(number, []).append(one)
        return [Tracklet(flight, number, tuple(content)) for number, content in contents.items()]
    except ValueError as error:
        raise AnnotateError(f"{table}: tracklet {number}, frame {frame}: {error}") from None


def _inside(path: str) -> bool:
    # Without pathlib: it takes ten times as long, for each of 250,000 crops.
    parts = set(path.split("/"))
    inside = not path.startswith("/") and ".." not in parts and bool(parts - {"", "."})
    return inside and "\\" not in path and path.isprintable()
