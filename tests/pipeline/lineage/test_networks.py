from pathlib import Path

import numpy as np
import pytest
import torch

from detector.backends.onnx_export import export_onnx
from detector.backends.openvino_export import export_openvino
from detector.config import DetectorConfig, Resize
from detector.models.header import read_header
from detector.models.weights import EMBEDDED as DETECTOR
from detector.models.weights import source_in, source_of
from pipeline.chain.table import DETECT, EMBEDDINGS
from pipeline.files import file_sha256
from pipeline.lineage.networks import Network, networks_of
from pipeline.workspace.manifest import StageFolder
from reid.checkpoint import save_checkpoint
from reid.config import NetworkConfig
from tests.detector.backends.onnx_models import write_model

NETWORK = NetworkConfig(backbone="squeezenet1_1", global_branch=None)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Writes the manifest of a stage of a flight that was made with the weights of a hash; gives the flight."""
    monkeypatch.chdir(tmp_path)

    def write(flight, stage, sha256, **section):
        folder = StageFolder(tmp_path / "runs" / flight / stage.folder)
        folder.begin()
        manifest = {
            "fingerprint": "f",
            "inputs": {"weights": sha256},
            "section": section,
            "counts": {},
            "files": [],
        }
        folder.finish(manifest)
        return tmp_path / "runs" / flight

    return write


def test_each_network_in_use_is_named_once_with_its_terms(made, tmp_path):
    trained = tmp_path / "runs" / "suggestions" / "last.safetensors"
    trained.parent.mkdir(parents=True)
    save_checkpoint(trained, {"a": torch.zeros(1)}, network=NETWORK, training={"terms": "my people"})
    flights = [made(flight, DETECT, file_sha256(DETECTOR)) for flight in ("a", "b")]
    made("a", EMBEDDINGS, file_sha256(trained))
    assert networks_of(tmp_path / "runs", flights) == [
        Network("detector", "embedded", read_header(DETECTOR).terms),
        Network("embedder", str(trained), "my people"),
    ]


def test_without_terms_or_a_file_that_is_said(made, tmp_path):
    (tmp_path / "weights").mkdir()
    other = write_model(tmp_path / "weights" / "mine.onnx", {"output": np.zeros((1, 126, 7), np.float32)})
    flights = [
        made("a", DETECT, source_in(other).sha256),
        made("b", DETECT, 64 * "9"),
        made("c", DETECT, 64 * "8", imported={"file": "detections.json"}),
        tmp_path / "runs" / "no flight",
    ]
    assert networks_of(tmp_path / "runs", flights) == [
        Network("detector", "weights/mine.onnx", "the file states none"),
        Network("detector", "sha256 999999999999…", "not known: the file is not here"),
    ]


@pytest.mark.parametrize("name", ["mine.onnx", "mine.xml"])
def test_an_exported_detector_states_the_terms_of_its_checkpoint(made, tmp_path, name):
    (tmp_path / "weights").mkdir()
    path = Path("weights", name)
    small = DetectorConfig(weights="embedded", device="cpu", resize=Resize(width=64, height=64))
    export = export_onnx if name.endswith(".onnx") else export_openvino
    export(small, source_of(small), path)
    flight = made("a", DETECT, source_in(path).sha256)
    assert networks_of(tmp_path / "runs", [flight]) == [
        Network("detector", f"weights/{name}", read_header(DETECTOR).terms)
    ]
