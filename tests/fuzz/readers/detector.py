"""Readers of `detector`: annotations, checkpoints, exported models, the folder of a training."""

import json
import pickle
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from detector.annotations.coco import read_annotations, read_categories
from detector.annotations.pictures import image_size
from detector.annotations.results import read_results, write_results
from detector.annotations.visdrone import read_visdrone
from detector.annotations.yolo import read_yolo
from detector.backends.onnx import load_onnx
from detector.backends.openvino import load_openvino
from detector.backends.openvino_runtime import import_openvino
from detector.config import DataSource, DetectorConfig, TrainConfig
from detector.detectron2.config import read_config
from detector.detectron2.files import read_detectron2
from detector.models.checkpoint import load_checkpoint, load_torchvision
from detector.models.exported import FORMAT, describe_export, read_openvino_header
from detector.models.header import describe, read_header
from detector.models.presets import ARCHITECTURES
from detector.models.weights import resolve, source_of
from detector.records import Detections
from detector.training.run_folder import differing_settings, forget_after
from tests.fuzz.readers.reader import IMAGE, STATE, Reader, reads, together, torch_file, written


def coco() -> str:
    """Two images with a person each."""
    box = {"bbox": [1, 2, 3.5, 4], "area": 14, "iscrowd": 0, "category_id": 1}
    return json.dumps(
        {
            "images": [{"id": number, "file_name": f"{number}.jpg", "width": 16, "height": 9} for number in (1, 2)],
            "annotations": [{"id": 1, "image_id": 1, **box}, {"id": 2, "image_id": 2, **box, "iscrowd": 1}],
            "categories": [{"id": 1, "name": "person"}],
        }
    )


def _annotations(path: Path) -> None:
    read_annotations(path, path.parent)
    read_categories(path)


def _results(folder: Path) -> None:
    written("a.json", coco())(folder)
    images = read_annotations(folder / "a.json", folder)
    found = Detections(np.array([[1, 2, 5, 6]], np.float32), np.array([0.5], np.float32))
    write_results(folder / "r.json", images, [found, found], 1)


def _onnx(folder: Path) -> None:
    """A model of YOLOX's layout that finds nothing."""
    from tests.detector.backends.onnx_models import cells, write_model

    write_model(folder / "m.onnx", {"output": np.zeros((1, len(cells()), 6), np.float32)})


def _load_onnx(folder: Path) -> None:
    config = DetectorConfig(weights=str(folder / "m.onnx"), backend="onnx")
    load_onnx(config, source_of(config))


def _openvino_header(folder: Path) -> None:
    entries = describe_export(DetectorConfig(), resolve("embedded", None), FORMAT)
    rows = "".join(f"<{name} value={quoteattr(value)}/>" for name, value in entries.items())
    written("m.xml", f"<?xml version='1.0'?><net><rt_info><uavpipe>{rows}</uavpipe></rt_info></net>")(folder)
    written("m.bin", b"")(folder)


def _openvino(folder: Path) -> None:
    """A model that only passes its input on, and says of itself that it is a detector."""
    openvino = import_openvino()
    given = openvino.opset13.parameter([1, 3, -1, -1], np.float32)
    weight = openvino.opset13.constant(np.full((1,), 2, np.float32))
    model = openvino.Model([openvino.opset13.multiply(given, weight)], [given], "m")
    for name, text in describe_export(DetectorConfig(), resolve("embedded", None), FORMAT).items():
        model.set_rt_info(text, ["uavpipe", name])
    openvino.save_model(model, folder / "m.xml", compress_to_fp16=False)


def _load_openvino(folder: Path) -> None:
    config = DetectorConfig(backend="openvino", weights=str(folder / "m.xml"), device="cpu")
    load_openvino(config, source_of(config))


_DETECTRON2 = """\
_BASE_: Base-RCNN-FPN.yaml
MODEL:
  META_ARCHITECTURE: GeneralizedRCNN
  ANCHOR_GENERATOR: {SIZES: [[32], [64]], ASPECT_RATIOS: [0.5, 1.0]}
  PIXEL_MEAN: (103.5, 116.2, 123.6)
VERSION: 2
"""
_DET = "10,20,30,40,1,1,0,0\n10,20,30,40,0,2,1,2,\n0,0,9,9,0,0,0,0\n"
VID = "1,1,10,20,30,40,1,1,0,0\n2,1,10,20,30,40,1,4,0,0\n"
_YOLO = "0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.1 0.1\n"
RECIPE = TrainConfig(iterations=1, train=(DataSource(annotations="a.json", images="a"),))
_LOG = '{"iteration": 1, "loss": 0.5}\n{"iteration": 2, "loss": 0.25}\n'


def _safetensors(folder: Path) -> None:
    from safetensors.torch import save

    written("w.safetensors", save(STATE, describe(ARCHITECTURES["small"], {"a": 1})))(folder)


DETECTOR: dict[str, Reader] = {
    "detectron2 configuration": reads(read_config, "c.yaml", _DETECTRON2),
    "VisDrone-DET": Reader(
        "annotations/a.txt",
        together(written("annotations/a.txt", _DET), written("images/a.jpg", IMAGE)),
        read_visdrone,
    ),
    "VisDrone-VID": Reader(
        "annotations/s.txt",
        together(
            written("annotations/s.txt", VID),
            *(written(f"sequences/s/000000{number}.jpg", IMAGE) for number in (1, 2)),
        ),
        read_visdrone,
    ),
    "YOLO": Reader(
        "labels/a.txt",
        together(written("labels/a.txt", _YOLO), written("images/a.jpg", IMAGE)),
        lambda folder: read_yolo(folder, persons=(0,)),
    ),
    "image": reads(image_size, "a.jpg", IMAGE),
    "COCO": reads(_annotations, "a.json", coco(), json=True),
    "COCO results": Reader(
        "r.json",
        _results,
        lambda folder: read_results(folder / "r.json", read_annotations(folder / "a.json", folder), [1]),
        json=True,
    ),
    "detector": Reader("w.safetensors", _safetensors, lambda folder: load_checkpoint(folder / "w.safetensors")),
    "header of a detector": Reader(
        "w.safetensors", _safetensors, lambda folder: read_header(folder / "w.safetensors")
    ),
    "torchvision weights": reads(lambda path: load_torchvision(path, "fpn"), "w.pth", torch_file(STATE)),
    "detectron2 model": reads(
        read_detectron2,
        "w.pkl",
        pickle.dumps({"model": {"a": np.ones((2, 3), np.float32), "b": np.float64(1)}}, 2),
    ),
    "detectron2 training": reads(read_detectron2, "w.pth", torch_file({"model": STATE})),
    "header of an exported model": Reader(
        "m.xml", _openvino_header, lambda folder: read_openvino_header(folder / "m.xml")
    ),
    "detector of another tool": Reader("m.onnx", _onnx, _load_onnx),
    "exported model": Reader("m.xml", _openvino, _load_openvino),
    "exported model's weights": Reader("m.bin", _openvino, _load_openvino),
    "run of a detector's training": reads(
        lambda path: differing_settings(path, RECIPE), "config.json", RECIPE.model_dump_json(), json=True
    ),
    "log of a detector's training": reads(lambda path: forget_after(path, 1), "log.jsonl", _LOG),
}
