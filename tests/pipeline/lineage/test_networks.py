import pytest
import torch

from detector.models.header import read_header
from detector.models.weights import EMBEDDED as DETECTOR
from pipeline.chain.table import DETECT, EMBEDDINGS
from pipeline.files import file_sha256
from pipeline.lineage.networks import Network, networks_of
from pipeline.workspace.manifest import StageFolder
from reid.checkpoint import save_checkpoint
from reid.config import NetworkConfig

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
    (tmp_path / "weights" / "mine.onnx").write_bytes(b"of another tool")
    flights = [
        made("a", DETECT, file_sha256(tmp_path / "weights" / "mine.onnx")),
        made("b", DETECT, 64 * "9"),
        made("c", DETECT, 64 * "8", imported={"file": "detections.json"}),
        tmp_path / "runs" / "no flight",
    ]
    assert networks_of(tmp_path / "runs", flights) == [
        Network("detector", "weights/mine.onnx", "the file states none"),
        Network("detector", "sha256 999999999999…", "not known: the file is not here"),
    ]
