"""Rewriting every file with data of a person, without the person, in a separate folder; nothing is changed yet."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from zlib import crc32

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from annotate.files import TEXT_LOG
from annotate.log.forget import contents_without, log_without
from annotate.log.store import LABELS, LabelStore
from annotate.operations import Seen
from pipeline.chain.table import CLIP, CROPS, DATASET, FRAMES, MOTION, OVERLAY, REPORT, TRACKS
from pipeline.files import is_inside
from pipeline.privacy.forget.networks import made_of_people
from pipeline.privacy.forget.places import FLIGHT, OF_FLIGHT, OF_WORKSPACE, SUGGESTIONS, Places, is_mark
from pipeline.privacy.forget.selection import Part, Selection
from pipeline.privacy.redact import Boxes, paint_over
from pipeline.privacy.redactions import FILE, read_redactions
from pipeline.privacy.shared_clip import FOLDER
from pipeline.relinking.carry_over import NOT_CARRIED
from pipeline.stages.crop_store import (
    OFFSET,
    Picture,
    in_shard,
    is_whole,
    picture,
    read_picture,
    shard_writer,
    shards_in,
)
from pipeline.stages.motion import EDGES_FILE
from pipeline.workspace.atomic import TEMPORARY, write_json
from pipeline.workspace.entries import files_below, is_leftover, is_ours, is_salvage
from pipeline.workspace.folders import CLIPS, SEARCHES
from pipeline.workspace.jpeg import encode_jpeg

# In the workspace: SQLite's own files, backups, copies, and what could not be carried over.
_OF_LABELS = re.compile(rf"labels(\.sqlite.+|[-_.].*\.sqlite.*)|{re.escape(NOT_CARRIED)}")
_QUALITY = 95


@dataclass
class Rewritten:
    """The changes to make, in paths relative to the workspace.

    Attributes:
        folder: of the new files.
        delete: files and folders to remove first.
        move: files to move from `folder` after that.
        empty: folders to remove where no file is left in them.
        pictures: files that show the person as they are now.

    """

    folder: Path
    delete: list[str] = field(default_factory=list)
    move: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)

    def place(self, name: str) -> Path:
        """Where to write what becomes file `name` of the workspace."""
        self.move.append(name)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def rewrite(places: Places, store: LabelStore, selection: Selection, folder: Path) -> Rewritten:
    """Write into `folder` the files of the workspace that change when `selection` is erased."""
    result = Rewritten(folder)
    for flight, part in selection.flights.items():
        _rewrite_flight(places, flight, part, result)
    gone = {flight: part.gone for flight, part in selection.flights.items()}
    contents = contents_without(store, gone, {flight: part.ranks for flight, part in selection.flights.items()})
    for flight, tracklets in contents.items():
        _write_tracklets(places.workspace, flight, tracklets, result)
    with LabelStore(result.place(LABELS)) as without:
        without.take_log(log_without(store, selection.identity, contents))
    result.move.append(f"{LABELS}{TEXT_LOG}")
    _rewrite_searches(places.workspace, selection.identity, result)
    for name in (DATASET.folder, REPORT.folder, SUGGESTIONS):
        _delete_whole(places, name, OF_WORKSPACE[name], result)
    files = list(places.files())
    scattered = [*filter(_may_show, files), *made_of_people(places, files)]
    result.delete += scattered
    result.empty += sorted({name[: name.rindex("/")] for name in scattered if "/" in name})
    for name in result.delete:
        places.locate(name)
    result.delete = sorted(dict.fromkeys(result.delete), key=is_mark)  # those last that tell whose a folder is
    return result


def _rewrite_searches(workspace: Path, identity: int, result: Rewritten) -> None:
    """The record of searches: that there was one stays, not that it was for the person.

    A line that cannot be read may be of the person, and goes.
    """
    if not (workspace / SEARCHES).is_file():
        return
    hashes = {hashlib.sha256(crop.read_bytes()).hexdigest() for crop in result.pictures}
    lines = []
    for text in (workspace / SEARCHES).read_text("utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            lines.append(json.dumps(_without_person(line, identity, hashes)))
    result.place(SEARCHES).write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _without_person(line: dict[str, Any], identity: int, hashes: AbstractSet[str]) -> dict[str, Any]:
    if line.get("person") == identity:
        return {name: value for name, value in line.items() if name != "person"} | {"erased": True}
    photos = line.get("photos")
    if isinstance(photos, list) and hashes & set(map(str, photos)):
        return line | {"photos": [each for each in photos if str(each) not in hashes], "erased": True}
    return line


def _may_show(name: str) -> bool:
    """Whether a file may show the person, whoever it is of.

    Half-written files of killed runs, file managers' small pictures of a folder, and copies of the labels.
    """
    path = PurePosixPath(name)
    if any(part.startswith(TEMPORARY) for part in path.parts):
        return True
    return (is_leftover(name) and not is_salvage(name)) or _OF_LABELS.fullmatch(name) is not None


def _rewrite_flight(places: Places, flight: str, part: Part, result: Rewritten) -> None:
    workspace = places.workspace
    for name in sorted(places.below(flight)):
        path = workspace / flight / name
        if not is_ours(name, FLIGHT) or _may_show(name):
            continue
        if path.suffix == ".parquet" and {"frame", "rank"} <= set(pq.read_schema(path).names):
            _rewrite_table(workspace, path, part, result)
        elif name.startswith(f"{MOTION.folder}/{EDGES_FILE}/"):
            _rewrite_edges(workspace, path, part, result)
        elif name.startswith(f"{FRAMES.folder}/images/") and int(path.stem) in part.boxes:
            result.pictures.append(path)
            _write(result.place(_name(workspace, path)), paint_over(_read(path), part.boxes[int(path.stem)]))
    # What no table describes, nobody can tell whom it shows; the segment is cut again.
    unfinished = [shard for shard in shards_in(workspace / flight / CROPS.folder) if not is_whole(shard)]
    result.delete += [_name(workspace, shard) for shard in unfinished]
    for folder in (OVERLAY.folder, CLIP.folder, CLIPS, FOLDER, REPORT.folder):
        _delete_whole(places, f"{flight}/{folder}", OF_FLIGHT[folder], result)
    known = read_redactions(workspace / flight)
    frames = {
        str(frame): [
            [round(float(value), 1) for value in box]
            for boxes in (known.get(frame), part.boxes.get(frame))
            if boxes is not None
            for box in boxes
        ]
        for frame in sorted(known.keys() | part.boxes.keys())
    }
    write_json(result.place(f"{flight}/{FILE}"), {"frames": frames})


def _delete_whole(places: Places, folder: str, ours: str, result: Rewritten) -> None:
    """Delete what uavpipe wrote into `folder`, which shows several people at once; its command makes it again."""
    result.delete += [f"{folder}/{name}" for name in places.below(folder) if is_ours(name, ours)]
    result.empty.append(folder)


def _rewrite_table(workspace: Path, path: Path, part: Part, result: Rewritten) -> None:
    """A table with a row for each detection: rows of the person go, the others get new ranks."""
    table = pq.read_table(path)
    keys = [Seen(*key) for key in zip(table["frame"].to_pylist(), table["rank"].to_pylist(), strict=True)]
    if not any(key.frame in part.boxes for key in keys):
        return
    if "crop" in table.column_names:
        table = _rewrite_crops(workspace, path, table, keys, part, result)
    stays = [key not in part.gone for key in keys]
    ranks = pa.array([part.ranks.get(key, key.rank) for key in keys], table.schema.field("rank").type)
    table = table.set_column(table.schema.get_field_index("rank"), table.schema.field("rank"), ranks)
    pq.write_table(table.filter(pa.array(stays)), result.place(_name(workspace, path)), compression="zstd")


@dataclass(frozen=True)
class _Crop:
    """A crop before and after.

    Attributes:
        old: where it is.
        name: relative to the stage's folder, afterwards.
        gone: it is the person's own.
        painted: its bytes, where the person is painted over in it; None where it shows nothing of them.

    """

    old: Path
    name: str
    gone: bool
    painted: bytes | None

    @property
    def renamed(self) -> bool:
        """Whether only its name changes."""
        return not self.gone and self.painted is None and PurePosixPath(self.name).name != self.old.name

    @property
    def changes(self) -> bool:
        """Whether it is another one afterwards, or none."""
        return self.gone or self.painted is not None or self.renamed


def _rewrite_crops(
    workspace: Path, path: Path, table: pa.Table, keys: list[Seen], part: Part, result: Rewritten
) -> pa.Table:
    """Rewrite the pictures of the table's rows; returns the table with their new names, lengths and places."""
    stage = path.parent if path.parent.suffix != ".parquet" else path.parent.parent
    crops = [_crop(path, stage, key, row, part) for key, row in zip(keys, table.to_pylist(), strict=True)]
    result.pictures += [picture(crop.old) for crop in crops if crop.gone or crop.painted is not None]
    columns: dict[str, list[Any]] = {"crop": [crop.name for crop in crops]}
    of_file: dict[str, Callable[[bytes], int]] = {"bytes": len, "crc32": crc32}
    for column in of_file.keys() & set(table.column_names):
        before = table[column].to_pylist()
        columns[column] = [
            was if crop.painted is None else of_file[column](crop.painted)
            for crop, was in zip(crops, before, strict=True)
        ]
    _rewrite_files(workspace, stage, [crop for crop in crops if not in_shard(crop.name)], result)
    if OFFSET in table.column_names:
        moved = _rewrite_shards(workspace, stage, [crop for crop in crops if in_shard(crop.name)], result)
        offsets = zip(crops, table[OFFSET].to_pylist(), strict=True)
        columns[OFFSET] = [moved.get(crop.name, was) for crop, was in offsets]
    for column, values in columns.items():
        field = table.schema.field(column)
        table = table.set_column(table.schema.get_field_index(column), field, pa.array(values, field.type))
    return table


def _crop(table: Path, stage: Path, key: Seen, row: Mapping[str, Any], part: Part) -> _Crop:
    name = PurePosixPath(row["crop"])
    new = name.with_name(f"{key.frame:08d}_{part.ranks.get(key, key.rank):03d}.jpg")
    renamed = key in part.ranks and name.stem == f"{key.frame:08d}_{key.rank:03d}"
    old = stage / name
    if not is_inside(old, stage):
        raise ValueError(f"{table}: the crop {row['crop']!r} is outside of its folder")
    gone = key in part.gone
    covered = None if gone else _covered(row, part.boxes.get(key.frame))
    painted = None
    if covered is not None:
        painted = encode_jpeg(_uncover(_decode(read_picture(old), old), row, covered), _QUALITY)
    return _Crop(old, str(new if renamed else name), gone, painted)


def _rewrite_files(workspace: Path, stage: Path, crops: Sequence[_Crop], result: Rewritten) -> None:
    for crop in crops:
        if crop.gone or PurePosixPath(crop.name).name != crop.old.name:
            result.delete.append(_name(workspace, crop.old))
        if crop.painted is not None:
            result.place(_name(workspace, stage / crop.name)).write_bytes(crop.painted)
        elif crop.renamed:
            target = result.place(_name(workspace, stage / crop.name))
            try:
                os.link(crop.old, target)
            except OSError:  # a disk without links
                shutil.copyfile(crop.old, target)


def _rewrite_shards(workspace: Path, stage: Path, crops: Sequence[_Crop], result: Rewritten) -> dict[str, int]:
    """Write the shards that change without the person; gives where each of their crops begins, by its name."""
    offsets: dict[str, int] = {}
    for shard in sorted({crop.old.parent for crop in crops if crop.changes}):
        staying = [crop for crop in crops if crop.old.parent == shard and not crop.gone]
        if not staying:
            result.delete.append(_name(workspace, shard))
            continue
        with shard_writer(result.place(_name(workspace, shard))) as writer:
            for crop in staying:
                content = read_picture(crop.old) if crop.painted is None else crop.painted
                offsets[crop.name] = writer.add(PurePosixPath(crop.name).name, content)
    return offsets


def _covered(row: Mapping[str, float], boxes: Boxes | None) -> Boxes | None:
    """The `boxes` in pixels of the crop of `row`; None where the crop shows nothing of them."""
    if boxes is None or "left" not in row:
        return None
    inside = boxes - np.array([row["left"], row["top"]] * 2, np.float32)
    size = np.array([row["right"] - row["left"], row["bottom"] - row["top"]], np.float32)
    touched = ((inside[:, 2:] > 0) & (inside[:, :2] < size)).all(axis=1)
    return np.asarray(inside[touched], np.float32) if touched.any() else None


def _uncover(image: NDArray[np.uint8], row: Mapping[str, float], boxes: Boxes) -> NDArray[np.uint8]:
    """The crop with `boxes` painted over, up to the box of the person whose crop it is."""
    painted = paint_over(image, boxes)
    left, top, right, bottom = (
        max(round(row[side] - row[origin]), 0)
        for side, origin in (("x1", "left"), ("y1", "top"), ("x2", "left"), ("y2", "top"))
    )
    painted[top:bottom, left:right] = image[top:bottom, left:right]
    return painted


def _rewrite_edges(workspace: Path, path: Path, part: Part, result: Rewritten) -> None:
    """The small pictures of a segment's first and last frame."""
    table = pq.read_table(path)
    steps = path.parent.parent / MOTION.file / path.name
    if not len(table) or not steps.exists():
        return
    row = table.to_pylist()[0]
    frames = {"first": row["frame"], "last": max(pq.read_table(steps, columns=["frame"])["frame"].to_pylist())}
    if not part.boxes.keys() & set(frames.values()):
        return
    for column, frame in frames.items():
        if frame in part.boxes:
            picture = cv2.imdecode(np.frombuffer(row[column], np.uint8), cv2.IMREAD_UNCHANGED)
            if picture is None:
                continue
            _, packed = cv2.imencode(".png", paint_over(picture, part.boxes[frame] / row["scale"]))
            row[column] = packed.tobytes()
    changed = pa.Table.from_pylist([row], schema=table.schema)
    pq.write_table(changed, result.place(_name(workspace, path)), compression="zstd")


def _write_tracklets(
    workspace: Path, flight: str, tracklets: Mapping[int, tuple[Seen, ...]], result: Rewritten
) -> None:
    """The tracklets with all edits of the labellers: the rewritten log begins with them."""
    name = f"{flight}/{TRACKS.output}"
    if not (workspace / name).exists():
        return
    before = pd.read_parquet(workspace / name)
    rows = [(number, seen.frame, seen.rank) for number, content in sorted(tracklets.items()) for seen in content]
    columns = ["tracklet", "frame", "rank"]
    after = pd.DataFrame(rows, columns=columns).astype(before[columns].dtypes.to_dict())
    if (workspace / name).is_dir():  # a folder of parts becomes one file
        result.delete += [*(f"{name}/{each}" for each in files_below(workspace / name)), name]
        result.move = [each for each in result.move if not each.startswith(f"{name}/")]
        shutil.rmtree(result.folder / name, ignore_errors=True)
    path = result.folder / name if name in result.move else result.place(name)
    after.to_parquet(path, index=False)


def _read(path: Path) -> NDArray[np.uint8]:
    return _decode(path.read_bytes(), path)


def _decode(content: bytes, path: Path) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB) if content else None
    if image is None:
        raise ValueError(f"{path} is not an image")
    return np.asarray(image, np.uint8)


def _write(path: Path, image: NDArray[np.uint8]) -> None:
    path.write_bytes(encode_jpeg(image, _QUALITY))


def _name(workspace: Path, path: Path) -> str:
    return path.relative_to(workspace).as_posix()
