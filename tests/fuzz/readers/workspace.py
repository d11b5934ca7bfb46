"""Readers of a workspace that somebody else may have sent: manifests, tables, labels, figures."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from annotate.log.store import LABELS, LabelStore
from pipeline.dataset.labelled import read_labelled, state_of_inputs
from pipeline.lineage import as_text, trace
from pipeline.privacy.forget import resume, select_identity
from pipeline.privacy.redactions import open_known_flight, read_redactions
from pipeline.privacy.shared_clip import people_of
from pipeline.stages.crop_store import is_whole, picture, segment_crops, shard_sizes
from pipeline.telemetry.ground_plane import ground_scale
from pipeline.workspace.folders import open_flight, read_card
from pipeline.workspace.manifest import StageFolder, write_record
from pipeline.workspace.tables import read_table
from reid.crops import read_crop
from tests.fuzz.readers.annotate import PART, write_labels, write_tables
from tests.fuzz.readers.reader import IMAGE, Reader, together, written

_STAGE = {
    "stage": "crops",
    "fingerprint": "f",
    "inputs": {"weights": "a", "video": "b", "image_fps": 25.0},
    "section": {"threshold": 0.5, "every": 2, "camera": {"fov_deg": 70.0}},
    "counts": {"crops": 3},
    "files": {"crops.parquet/part-00000000.parquet": "0"},
}
_JOURNAL = {"step": "delete", "delete": ["f/export"], "move": ["f/forgotten.json"], "flights": ["f"]}
_METRICS = {
    "mAP": 0.5,
    "rank-1": 0.5,
    "settings": {"protocol": "market"},
    "inputs": {"weights": {"path": "w.safetensors", "sha256": "0"}, "data": "dataset"},
}


def _workspace(folder: Path) -> None:
    write_tables(folder)
    write_labels(folder)
    for stage in ("frames", "detections", "crops", "tracks"):
        StageFolder(folder / "f" / stage).accept(_STAGE | {"files": {}}, ())
    written("v/1.jpg", IMAGE)(folder)
    write_record(folder / "f" / "flight.json", {"video": str(folder / "v"), "sha256": "0", "stamp": []})
    written("f/camera.json", '{"fov_deg": 70.0, "pitch_deg": -45.0}')(folder)
    written("f/forgotten.json", '{"frames": {"1": [[1.0, 2.0, 5.0, 9.0]]}}')(folder)
    row = {"name": ["a.jpg"], "split": "query", "identity": 1, "flight": "f", "tracklet": "f/0", "frame": 0}
    row |= {"rank": 0, "labeller": "ann", "decided": "", "decision": 2, "crop": "c", "pts_s": 0.0}
    written("dataset/.keep", b"")(folder)
    pd.DataFrame(row | {"video": "b", "weights": "a"}).to_parquet(folder / "dataset" / "dataset.parquet")
    StageFolder(folder / "dataset").accept(_STAGE | {"files": {}}, ())
    written("metrics.json", json.dumps(_METRICS))(folder)
    StageFolder(folder).accept(_STAGE | {"files": {"metrics.json": ""}}, ())
    query = {"query": [0], "path": ["dataset/query/a.jpg"], "AP": [0.5]}
    pd.DataFrame(query).to_parquet(folder / "queries.parquet")


def _manifest(folder: Path) -> None:
    stage = StageFolder(folder / "f" / "crops")
    stage.is_current("f")
    stage.begin()


def _evaluation(folder: Path) -> None:
    StageFolder(folder).is_current("f")


def _trace(subject: str, **options: int) -> Callable[[Path], object]:
    def ask(folder: Path) -> None:
        name = str(folder / subject) if subject.endswith(".json") else subject
        as_text(trace(name, folder, results=[folder], **options))

    return ask


def _card(folder: Path) -> None:
    with open_flight(folder, folder / "v"):
        pass
    card = read_card(folder / "f")
    if card is not None and card["video"] == str(folder / "v"):  # others are not ours to read
        open_known_flight(folder / "f")


def _resume(folder: Path) -> None:
    shutil.rmtree(folder / "copy", ignore_errors=True)
    shutil.copytree(folder / "runs", folder / "copy")
    resume(folder / "copy")


def _journal(folder: Path) -> None:
    written("runs/f/export/clip.mp4", b"")(folder)
    written("runs/.forget/files/f/forgotten.json", b"{}")(folder)
    written("runs/.forget/journal.json", json.dumps(_JOURNAL))(folder)


def _labelled(folder: Path) -> None:
    with LabelStore(folder / LABELS, create=False) as store:
        state_of_inputs(folder, store)
        read_labelled(folder, store)


def _whom(folder: Path) -> None:
    from annotate.log.store import LABELS, LabelStore

    with LabelStore(folder / LABELS, create=False) as store:
        select_identity(folder, store, 1)


def _of(file: str, read: Callable[[Path], object], *, json: bool = False) -> Reader:
    return Reader(file, _workspace, read, json)


def _shard(folder: Path) -> None:
    with segment_crops("tar", folder / "f" / "crops", 0) as crops:
        rows = [{**crops.add(f"{frame:08d}_000.jpg", IMAGE), "bytes": len(IMAGE)} for frame in range(3)]
    table = folder / "f" / "crops" / "crops.parquet"
    table.mkdir()
    pd.DataFrame(rows).to_parquet(table / PART)


def _crop(folder: Path) -> None:
    shard = folder / "f" / "crops" / "images" / "00000000.tar"
    is_whole(shard)
    shard_sizes(read_table(folder / "f" / "crops" / "crops.parquet", ["crop", "offset", "bytes"]))
    read_crop(picture(shard / "00000001_000.jpg"), 16, 8)


WORKSPACE: dict[str, Reader] = {
    "shard of crops": Reader("f/crops/images/00000000.tar", _shard, _crop),
    "index of a shard": Reader(f"f/crops/crops.parquet/{PART}", _shard, _crop),
    "manifest": Reader(
        "f/crops/manifest.json",
        together(_workspace, lambda folder: written("f/crops/manifest.json", json.dumps(_STAGE))(folder)),
        _manifest,
        json=True,
    ),
    "card of a flight": _of("f/flight.json", _card, json=True),
    "who is forgotten": _of("f/forgotten.json", lambda folder: read_redactions(folder / "f"), json=True),
    "camera": _of("f/camera.json", lambda folder: ground_scale(folder / "f"), json=True),
    "frames, for scale": _of(f"f/frames/frames.parquet/{PART}", lambda folder: ground_scale(folder / "f")),
    "journal of forgetting": Reader("runs/.forget/journal.json", _journal, _resume, json=True),
    "detections, to forget": _of(f"f/detections/detections.parquet/{PART}", _whom),
    "detections, to hide": _of(
        f"f/detections/detections.parquet/{PART}", lambda folder: people_of(folder / "f", 0.05)
    ),
    "tracklets, to hide": _of("f/tracks/tracklets.parquet", lambda folder: people_of(folder / "f", 0.05)),
    "crops, for a data set": _of(f"f/crops/crops.parquet/{PART}", _labelled),
    "trace of a detection": _of(f"f/detections/detections.parquet/{PART}", _trace("f/crops/images/a.jpg")),
    "trace by a manifest": _of("f/detections/manifest.json", _trace("f/crops/images/a.jpg"), json=True),
    "trace of a frame": _of(f"f/frames/frames.parquet/{PART}", _trace("f", frame=0)),
    "trace of an identity": _of(f"f/detections/detections.parquet/{PART}", _trace("1")),
    "trace of a figure": _of("metrics.json", _trace("metrics.json"), json=True),
    "manifest of an evaluation": _of(
        "manifest.json", lambda folder: StageFolder(folder).is_current("f"), json=True
    ),
    "trace of a query": _of("queries.parquet", _trace("metrics.json", query=0)),
    "trace into the data set": _of("dataset/dataset.parquet", _trace("query/a.jpg")),
}
