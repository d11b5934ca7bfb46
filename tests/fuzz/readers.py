"""Every reader of bytes from outside, each with a small sound sample: what the fuzz tests damage."""

import io
import json
import pickle
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from safetensors.torch import save

from annotate.exchange.coco import read_coco_tracks, write_coco_tracks
from annotate.exchange.cvat import read_cvat, write_cvat
from annotate.exchange.mot import read_mot, write_mot
from annotate.exchange.records import Clip, TrackBox
from annotate.features import read_features as read_vectors
from annotate.operations import NewIdentity, Rename
from annotate.records import Detection, Tracklet, read_tracklets
from annotate.store import LabelStore
from annotate.textlog import replay, write_log
from detector.checkpoint import load_checkpoint as load_detector
from detector.checkpoint import load_torchvision
from detector.coco import person_categories, read_annotations
from detector.config import DetectorConfig
from detector.detectron2_config import read_config
from detector.detectron2_files import read_detectron2
from detector.exported import describe_export, read_openvino_header
from detector.header import describe
from detector.presets import ARCHITECTURES
from detector.records import Detections
from detector.results import read_results, write_results
from detector.visdrone import read_visdrone
from detector.yolo import read_yolo
from pipeline.config import FlightConfig, load_config
from pipeline.truth import read_truth
from pipeline.yaml_file import parse_yaml
from reid.checkpoint import load_checkpoint as load_reid
from reid.checkpoint import load_foreign
from reid.config import NetworkConfig
from reid.datasets.cuhk03 import read_new_protocol, read_single_shot
from reid.datasets.cuhk03_mat import extract
from reid.features import read_features
from reid.labels import read_labels
from reid.sources import image_files


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes:
        file: what it reads, in the folder it is given; the only file that is damaged.
        sample: puts a sound `file`, and what belongs to it, into a folder.
        read: reads it.
        json: whether it is JSON, so that values in it are exchanged too.

    """

    file: str
    sample: Callable[[Path], object]
    read: Callable[[Path], object]
    json: bool = False


BOXES = tuple(TrackBox(frame, track, (5, 6, 25, 46), 0.5) for frame in range(3) for track in (1, 2))
CLIP = Clip("f", BOXES, 3, (640, 360))
IMAGE = cv2.imencode(".jpg", np.zeros((9, 16, 3), np.uint8))[1].tobytes()


def _written(name: str, text: str | bytes) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    return write


def _together(*writers: Callable[[Path], object]) -> Callable[[Path], None]:
    return lambda folder: [write(folder) for write in writers] and None


def _coco() -> str:
    box = {"bbox": [1, 2, 3.5, 4], "area": 14, "iscrowd": 0, "category_id": 1}
    return json.dumps(
        {
            "images": [{"id": number, "file_name": f"{number}.jpg", "width": 16, "height": 9} for number in (1, 2)],
            "annotations": [{"id": 1, "image_id": 1, **box}, {"id": 2, "image_id": 2, **box, "iscrowd": 1}],
            "categories": [{"id": 1, "name": "person"}],
        }
    )


def _results(folder: Path) -> None:
    _written("a.json", _coco())(folder)
    images = read_annotations(folder / "a.json", folder)
    found = Detections(np.array([[1, 2, 5, 6]], np.float32), np.array([0.5], np.float32))
    write_results(folder / "r.json", images, [found, found], 1)


def _log(path: Path) -> None:
    with LabelStore(path) as store:
        tracklet = Tracklet(
            "f", 0, tuple(Detection(frame, 0, 0.1 * frame, (0, 0, 1, 2), 1.0) for frame in range(3))
        )
        store.add_flight("f", [tracklet])
        store.apply(NewIdentity(tracklets=("f/0",), name="Änne <b>"), user="ann", id="a")
        store.apply(Rename(identity=1, name="b"), user="bob", id="b")
        store.undo(user="bob", id="c")
        write_log(path.with_name("log.jsonl"), store.entries)


def _labels(folder: Path) -> None:
    _log(folder / "labels.sqlite")
    with closing(sqlite3.connect(folder / "labels.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")  # all in one file


def _read_labels(folder: Path) -> None:
    for suffix in ("-wal", "-shm", "-journal"):
        (folder / f"labels.sqlite{suffix}").unlink(missing_ok=True)
    with LabelStore(folder / "labels.sqlite", create=False):
        pass


def _replay(folder: Path) -> None:
    (folder / "out.sqlite").unlink(missing_ok=True)
    replay(folder / "log.jsonl", folder / "out.sqlite")


def _tables(folder: Path) -> None:
    places = {"frame": [0, 1, 2], "rank": [0, 0, 0]}
    box = {"x1": 1.0, "y1": 2.0, "x2": 5.0, "y2": 9.0}
    contents = {
        "tracks/tracklets": {"tracklet": 0},
        "detections/detections": {"pts_s": [0.0, 0.1, 0.2], **box, "score": 0.9},
        "crops/crops": {"crop": ["images/a.jpg"] * 3, "sharpness": 1.0},
        "appearance/appearance": {"look": [[1.0, 0.0]] * 3},
    }
    for name, columns in contents.items():
        path = folder / "f" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({**places, **columns}).to_parquet(path, index=False)


STATE = {"a.weight": torch.ones(2, 3), "roi_heads.box_predictor.cls_score.weight": torch.ones(2, 4)}


def _safetensors(metadata: dict[str, str]) -> Callable[[Path], object]:
    return _written("w.safetensors", save(STATE, metadata))


def _torch(content: object) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


def _pickled(content: object) -> bytes:
    return pickle.dumps(content, 2)


def _npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.ones((3, 4), np.float32))
    return out.getvalue()


def _openvino(folder: Path) -> None:
    entries = describe_export(DetectorConfig(), ARCHITECTURES["small"], "0" * 64, "uavpipe.detector.openvino.1")
    rows = "".join(f"<{name} value={_quoted(value)}/>" for name, value in entries.items())
    _written("m.xml", f"<?xml version='1.0'?><net><rt_info><uavpipe>{rows}</uavpipe></rt_info></net>")(folder)
    _written("m.bin", b"")(folder)


def _quoted(text: str) -> str:
    from xml.sax.saxutils import quoteattr

    return quoteattr(text)


def _cuhk03_mat(folder: Path) -> None:
    import h5py

    with h5py.File(folder / "cuhk-03.mat", "w") as file:

        def cells(arrays: list[list[np.ndarray]]) -> np.ndarray:
            found = np.empty((len(arrays), len(arrays[0])), h5py.ref_dtype)
            for row, each in enumerate(arrays):
                for column, array in enumerate(each):
                    name = f"#refs#/{len(file.get('#refs#', ()))}"
                    found[row, column] = file.create_dataset(name, data=array.T, dtype=array.dtype).ref
            return found

        red = np.full((6, 4, 3), 99, np.uint8)
        for kind in ("labeled", "detected"):
            data = cells([[cells([[red] * 10])]]).T
            file.create_dataset(kind, data=data, dtype=h5py.ref_dtype)
        file.create_dataset("testsets", data=cells([[np.array([[1.0, 1.0]])]]).T, dtype=h5py.ref_dtype)


def _cuhk03_config() -> bytes:
    from scipy.io import savemat

    out = io.BytesIO()
    names = np.array([["1_001_1_01.png"], ["1_001_2_02.png"]], object)
    index = {f"{part}_idx": [[1, 2]] for part in ("train", "query", "gallery")}
    savemat(out, {"filelist": names, "labels": [[1, 1]], **index})
    return out.getvalue()


_CUHK03_SPLITS = json.dumps([{part: [["/x/1_001_1_01.png", 1, 0]] for part in ("train", "query", "gallery")}])
_CONFIG = """\
videos: [a.mp4, 'b.mp4']
workspace: runs
detector: {threshold: 0.6, resize: {width: 320, height: 320}, weights: auto}
crops:
  every: 5
  padding: 0.1
tracks: {method: botsort, split_below: null}
"""
_DETECTRON2 = """\
_BASE_: Base-RCNN-FPN.yaml
MODEL:
  META_ARCHITECTURE: GeneralizedRCNN
  ANCHOR_GENERATOR: {SIZES: [[32], [64]], ASPECT_RATIOS: [0.5, 1.0]}
  PIXEL_MEAN: (103.5, 116.2, 123.6)
VERSION: 2
"""
_DET = "10,20,30,40,1,1,0,0\n10,20,30,40,0,2,1,2,\n0,0,9,9,0,0,0,0\n"
_VID = "1,1,10,20,30,40,1,1,0,0\n2,1,10,20,30,40,1,4,0,0\n"
_CSV = "path,identity,camera,flight,tracklet,split\na.jpg,1,0,f,t,train\na.jpg,-1,1,,,\n"

READERS: dict[str, Reader] = {
    "configuration": Reader("c.yaml", _written("c.yaml", _CONFIG), lambda folder: load_config(folder / "c.yaml")),
    "setting": Reader("s", _written("s", "detector: {floor: 0.1}"), lambda folder: _setting(folder / "s")),
    "detectron2 configuration": Reader(
        "c.yaml",
        _written("c.yaml", _DETECTRON2),
        lambda folder: read_config(folder / "c.yaml"),
    ),
    "VisDrone-DET": Reader(
        "annotations/a.txt",
        _together(_written("annotations/a.txt", _DET), _written("images/a.jpg", IMAGE)),
        read_visdrone,
    ),
    "VisDrone-VID": Reader(
        "annotations/s.txt",
        _together(
            _written("annotations/s.txt", _VID),
            *(_written(f"sequences/s/000000{number}.jpg", IMAGE) for number in (1, 2)),
        ),
        read_visdrone,
    ),
    "YOLO": Reader(
        "labels/a.txt",
        _together(
            _written("labels/a.txt", "0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.1 0.1\n"), _written("images/a.jpg", IMAGE)
        ),
        read_yolo,
    ),
    "image": Reader(
        "images/a.jpg",
        _together(_written("labels/a.txt", "0 0.5 0.5 0.25 0.25\n"), _written("images/a.jpg", IMAGE)),
        read_yolo,
    ),
    "COCO": Reader(
        "a.json", _written("a.json", _coco()), lambda folder: _annotations(folder / "a.json"), json=True
    ),
    "COCO results": Reader(
        "r.json",
        _results,
        lambda folder: read_results(folder / "r.json", read_annotations(folder / "a.json", folder), [1]),
        json=True,
    ),
    "COCO tracks": Reader(
        "t.json",
        lambda folder: write_coco_tracks(folder / "t.json", [CLIP]),
        lambda folder: read_coco_tracks(folder / "t.json"),
        json=True,
    ),
    "MOTChallenge": Reader(
        "m.txt", lambda folder: write_mot(folder / "m.txt", CLIP), lambda folder: read_mot(folder / "m.txt", "f")
    ),
    "CVAT": Reader(
        "c.xml", lambda folder: write_cvat(folder / "c.xml", CLIP), lambda folder: read_cvat(folder / "c.xml", "f")
    ),
    "truth, MOTChallenge": Reader(
        "t.txt",
        _written("t.txt", "1,1,10,20,30,40,1,1,0.9\n2,1,10,20,30,40,1,1,1\n"),
        lambda folder: read_truth(folder / "t.txt"),
    ),
    "truth, VisDrone": Reader("t.txt", _written("t.txt", _VID), lambda folder: read_truth(folder / "t.txt")),
    "truth, one target": Reader(
        "t.txt", _written("t.txt", "10,20,30,40\nNaN,NaN,NaN,NaN\n"), lambda folder: read_truth(folder / "t.txt")
    ),
    "log of labels": Reader("log.jsonl", lambda folder: _log(folder / "l.sqlite"), _replay),
    "labels": Reader("labels.sqlite", _labels, _read_labels),
    "tracklets": Reader("f/tracks/tracklets.parquet", _tables, lambda folder: read_tracklets(folder, "f")),
    "looks": Reader("f/appearance/appearance.parquet", _tables, lambda folder: read_vectors(folder, ["f"])),
    "detector": Reader(
        "w.safetensors",
        _safetensors(describe(ARCHITECTURES["small"], {"a": 1})),
        lambda folder: load_detector(folder / "w.safetensors"),
    ),
    "re-id network": Reader(
        "w.safetensors",
        _safetensors({"format": "uavpipe.reid.1", "network": NetworkConfig().model_dump_json(), "training": "{}"}),
        lambda folder: load_reid(folder / "w.safetensors"),
    ),
    "torchvision weights": Reader(
        "w.pth", _written("w.pth", _torch(STATE)), lambda folder: load_torchvision(folder / "w.pth", "fpn")
    ),
    "foreign weights": Reader(
        "w.pth", _written("w.pth", _torch({"state_dict": STATE})), lambda folder: load_foreign(folder / "w.pth")
    ),
    "detectron2 model": Reader(
        "w.pkl",
        _written("w.pkl", _pickled({"model": {"a": np.ones((2, 3), np.float32), "b": np.float64(1)}})),
        lambda folder: read_detectron2(folder / "w.pkl"),
    ),
    "detectron2 training": Reader(
        "w.pth", _written("w.pth", _torch({"model": STATE})), lambda folder: read_detectron2(folder / "w.pth")
    ),
    "exported model": Reader("m.xml", _openvino, lambda folder: read_openvino_header(folder / "m.xml")),
    "features": Reader("f.npy", _written("f.npy", _npy()), lambda folder: read_features(folder / "f.npy")),
    "table of labels": Reader(
        "l.csv",
        _together(_written("l.csv", _CSV), _written("a.jpg", IMAGE)),
        lambda folder: read_labels([folder / "l.csv"], folders=[folder]),
    ),
    "list of images": Reader(
        "l.txt",
        _together(_written("l.txt", "a.jpg\na.jpg\n"), _written("a.jpg", IMAGE)),
        lambda folder: image_files(folder / "l.txt"),
    ),
    "CUHK03 splits": Reader(
        "splits_classic_labeled.json",
        _together(
            _written("splits_classic_labeled.json", _CUHK03_SPLITS),
            _written("images_labeled/1_001_1_01.png", IMAGE),
        ),
        lambda folder: read_single_shot(folder, "labeled"),
        json=True,
    ),
    "CUHK03 configuration": Reader(
        "cuhk03_new_protocol_config_labeled.mat",
        _together(
            _written("cuhk03_new_protocol_config_labeled.mat", _cuhk03_config()),
            *(_written(f"images_labeled/1_001_{view}_0{view}.png", IMAGE) for view in (1, 2)),
        ),
        lambda folder: read_new_protocol(folder, "labeled"),
    ),
    "CUHK03": Reader("cuhk-03.mat", _cuhk03_mat, lambda folder: extract(folder / "cuhk-03.mat", folder / "out")),
}


def _setting(path: Path) -> None:
    from pipeline.yaml_file import validate

    content = parse_yaml(path.read_text("utf-8", errors="replace"), str(path))
    if isinstance(content, dict):
        validate(content, FlightConfig, str(path))


def _annotations(path: Path) -> None:
    read_annotations(path, path.parent)
    person_categories(path)
