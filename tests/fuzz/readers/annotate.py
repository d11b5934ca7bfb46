"""Readers of `annotate`: labels, and tracks from other tools."""

import shutil
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pandas as pd

from annotate.exchange.admit import FlightFacts, Reading, admit, read_clips
from annotate.exchange.coco import read_coco_tracks, write_coco_tracks
from annotate.exchange.cvat import read_cvat, write_cvat
from annotate.exchange.detections import read_detections
from annotate.exchange.mot import read_mot, write_mot
from annotate.exchange.records import Clip, TrackBox
from annotate.exchange.source import open_source
from annotate.log.recover import recover
from annotate.log.store import LabelStore
from annotate.log.text import replay, write_log
from annotate.operations import NewIdentity, Rename
from annotate.records import Detection, Tracklet, count_frames, read_tracklets
from annotate.suggestions.features import read_features
from tests.fuzz.readers.reader import Reader

BOXES = tuple(TrackBox(frame, track, (5, 6, 25, 46), 0.5) for frame in range(3) for track in (1, 2))
TEXT = "labels.sqlite.log.jsonl"
PART = "part-00000000.parquet"
CLIP = Clip("f", BOXES, 3, (640, 360))
IMAGES = (
    '<annotations><image id="0" name="a" width="640" height="360">'
    '<box label="person" xtl="5" ytl="6" xbr="25" ybr="46"><attribute name="identity">3</attribute>'
    "</box></image></annotations>"
)


def write_labels(folder: Path) -> None:
    """`labels.sqlite`, and its log as `log.jsonl`."""
    path = folder / "labels.sqlite"
    with LabelStore(path) as store:
        tracklet = Tracklet(
            "f", 0, tuple(Detection(frame, 0, 0.1 * frame, (1, 2, 5, 9), 1.0) for frame in range(3))
        )
        store.add_flight("f", [tracklet])
        store.apply(NewIdentity(tracklets=("f/0",), name="Änne <b>"), user="ann", id="a")
        store.apply(Rename(identity=1, name="b"), user="bob", id="b")
        store.undo(user="bob", id="c")
        write_log(path.with_name("log.jsonl"), store.entries)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")  # all in one file


def write_tables(folder: Path) -> None:
    """The tables of a flight `f` of three detections, one person."""
    places = {"frame": [0, 1, 2], "rank": [0, 0, 0]}
    times = {"pts_s": [0.0, 0.1, 0.2]}
    box = {"x1": 1.0, "y1": 2.0, "x2": 5.0, "y2": 9.0}
    contents = {
        "frames/frames": {**times, "altitude_m": 30.0, "latitude": 47.0, "longitude": 8.0, "width": 16.0},
        "tracks/tracklets": {"tracklet": 0},
        "detections/detections": {**times, **box, "score": 0.9},
        "crops/crops": {"crop": ["images/a.jpg"] * 3, "sharpness": 1.0},
        "appearance/appearance": {"look": [[1.0, 0.0]] * 3},
        "embeddings/embeddings": {"feature": [[1.0, 0.0]] * 3, "model": "m"},
    }
    for name, columns in contents.items():
        path = folder / "f" / f"{name}.parquet"
        if not name.startswith(("tracks", "embeddings")):
            path /= PART
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({**places, **columns}).to_parquet(path, index=False)


_FOUND = {
    "d.csv": "frame,x1,y1,x2,y2,score,label\n0,5,6,25,46,0.5,person\n2,5,6,25,46,0.25,car\n",
    "d.json": '[{"image_id": 0, "category_id": 1, "bbox": [5, 6, 20, 40], "score": 0.5}]',
    "d/f_0.txt": "0 0.1 0.2 0.05 0.1 0.5\n0 0.3 0.2 0.05 0.1\n",
}


def _detections(name: str, *, json: bool = False) -> Reader:
    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(_FOUND[name])

    def read(folder: Path) -> None:
        read_detections(folder / Path(name).parts[0], FlightFacts("f", 3, (640, 360)), Reading())

    return Reader(name, write, read, json=json)


def _write_export(folder: Path) -> None:
    write_mot(folder / "gt.txt", CLIP)
    with zipfile.ZipFile(folder / "e.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "gt.txt", "gt/gt.txt")
        archive.writestr("gt/labels.txt", "person\n")


def _read_tracks(path: Path) -> None:
    source = open_source(path)
    for clip in read_clips(source):
        admit(source, clip, FlightFacts("f", 3, (640, 360)), Reading())


def _read_labels(folder: Path) -> None:
    for suffix in ("-wal", "-shm", "-journal"):
        (folder / f"labels.sqlite{suffix}").unlink(missing_ok=True)
    with LabelStore(folder / "labels.sqlite", create=False):
        pass


def _recover(folder: Path) -> None:
    shutil.rmtree(folder / "copy", ignore_errors=True)
    (folder / "copy").mkdir()
    for name in ("labels.sqlite", TEXT):
        shutil.copyfile(folder / name, folder / "copy" / name)
    recover(folder / "copy" / "labels.sqlite")


def _replay(folder: Path) -> None:
    for old in folder.glob("out.sqlite*"):
        old.unlink()
    replay(folder / "log.jsonl", folder / "out.sqlite")


def _embeddings(folder: Path) -> None:
    (folder / "f" / "appearance" / "appearance.parquet" / PART).unlink(missing_ok=True)
    read_features(folder, ["f"])


ANNOTATE: dict[str, Reader] = {
    "COCO tracks": Reader(
        "t.json",
        lambda folder: write_coco_tracks(folder / "t.json", [CLIP]),
        lambda folder: read_coco_tracks(folder / "t.json"),
        json=True,
    ),
    "table of detections": _detections("d.csv"),
    "COCO results of a flight": _detections("d.json", json=True),
    "YOLO's detections": _detections("d/f_0.txt"),
    "MOTChallenge": Reader(
        "m.txt", lambda folder: write_mot(folder / "m.txt", CLIP), lambda folder: read_mot(folder / "m.txt", "f")
    ),
    "CVAT": Reader(
        "c.xml", lambda folder: write_cvat(folder / "c.xml", CLIP), lambda folder: read_cvat(folder / "c.xml", "f")
    ),
    "CVAT for images": Reader(
        "i.xml", lambda folder: (folder / "i.xml").write_text(IMAGES), lambda folder: _read_tracks(folder / "i.xml")
    ),
    "MOTChallenge with classes": Reader(
        "k.txt",
        lambda folder: (folder / "k.txt").write_text("1,1,5,6,20,40,1,1,0.5,\n2,2,5,6,20,40,0,12,1\n"),
        lambda folder: _read_tracks(folder / "k.txt"),
    ),
    "zip of an export": Reader("e.zip", _write_export, lambda folder: _read_tracks(folder / "e.zip")),
    "log of labels": Reader("log.jsonl", write_labels, _replay),
    "labels": Reader("labels.sqlite", write_labels, _read_labels),
    "text of labels": Reader(TEXT, write_labels, _read_labels),
    "labels, to recover": Reader("labels.sqlite", write_labels, _recover),
    "text of labels, to recover": Reader(TEXT, write_labels, _recover),
    "tracklets": Reader("f/tracks/tracklets.parquet", write_tables, lambda folder: read_tracklets(folder, "f")),
    "frames, counted": Reader(
        f"f/frames/frames.parquet/{PART}", write_tables, lambda folder: count_frames(folder, "f")
    ),
    "looks": Reader(
        f"f/appearance/appearance.parquet/{PART}",
        lambda folder: (write_tables(folder), (folder / "f/embeddings/embeddings.parquet").unlink()),
        lambda folder: read_features(folder, ["f"]),
    ),
    "embeddings": Reader("f/embeddings/embeddings.parquet", write_tables, _embeddings),
}
