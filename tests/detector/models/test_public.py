import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner
from torchvision.models import ResNet18_Weights, ResNet50_Weights
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from detector.errors import DetectorError
from detector.models.public import COCO, OFFLINE, PUBLIC, PublicWeights, get, public_weights
from pipeline.cli import main

CONTENT = bytes(range(256)) * 40
DIGITS = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture
def served(monkeypatch):
    """Serves CONTENT as a file of weights, by ranges; keeps those asked for, and sends `cut` bytes at most."""
    monkeypatch.delenv(OFFLINE, raising=False)

    class Handler(BaseHTTPRequestHandler):
        asked, cut, ranges = [], None, True

        def do_GET(self):
            wanted = self.headers.get("Range")
            Handler.asked.append(wanted)
            first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and Handler.ranges else 0
            if first >= len(CONTENT):
                self.send_error(416)
                return
            self.send_response(206 if first else 200)
            self.send_header("Content-Length", str(len(CONTENT) - first))
            self.end_headers()
            self.wfile.write(CONTENT[first:][: Handler.cut])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield (
        Handler,
        PublicWeights("toy", f"http://127.0.0.1:{server.server_port}/toy-{DIGITS}.pth", 0.01, "none", "", ""),
    )
    server.shutdown()
    server.server_close()


def test_addresses_and_sizes_are_torchvisions():
    theirs = (
        FasterRCNN_ResNet50_FPN_Weights.COCO_V1,
        ResNet18_Weights.IMAGENET1K_V1,
        ResNet50_Weights.IMAGENET1K_V1,
    )
    assert [(each.url, each.megabytes) for each in PUBLIC] == [
        (each.url, each.meta["_file_size"]) for each in theirs
    ]
    assert COCO.sha256 == "258fb6c6"


def test_a_download_is_whole_and_checked(served, tmp_path):
    _, toy = served
    path, seen = tmp_path / "cache" / "toy.pth", []
    assert get(toy, path, seen.append)
    assert path.read_bytes() == CONTENT
    assert sum(seen) == len(CONTENT)
    assert [each.name for each in path.parent.iterdir()] == ["toy.pth"]
    assert not get(toy, path)


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_is_resumed(served, tmp_path, ranges):
    handler, toy = served
    path = tmp_path / "toy.pth"
    handler.cut = 1000
    with pytest.raises(DetectorError, match=r"toy: cannot be downloaded .*run again to resume, or copy http"):
        get(toy, path)
    assert not path.exists()
    handler.cut, handler.ranges, seen = None, ranges, []
    assert get(toy, path, seen.append)
    assert handler.asked == [None, "bytes=1000-"]
    assert path.read_bytes() == CONTENT
    assert sum(seen) == len(CONTENT)


def test_a_download_that_arrived_whole_is_not_asked_for_again(served, tmp_path):
    _, toy = served
    (tmp_path / ".part-toy.pth").write_bytes(CONTENT)
    assert get(toy, tmp_path / "toy.pth")
    assert (tmp_path / "toy.pth").read_bytes() == CONTENT


def test_what_has_another_hash_is_not_kept(served, tmp_path):
    _, toy = served
    other = PublicWeights("toy", toy.url.replace(DIGITS, "00000000"), 0.01, "none", "", "")
    with pytest.raises(DetectorError, match=r"toy: what arrived has another SHA-256 than 00000000"):
        get(other, tmp_path / "toy.pth")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_never_replaced(served, tmp_path):
    handler, toy = served
    (tmp_path / "toy.pth").write_bytes(b"mine")
    with pytest.raises(DetectorError, match=r"toy\.pth: exists, with another SHA-256"):
        get(toy, tmp_path / "toy.pth")
    assert (tmp_path / "toy.pth").read_bytes() == b"mine"
    assert handler.asked == []


def test_offline_one_line_says_what_to_copy_where(monkeypatch, tmp_path):
    monkeypatch.setenv(OFFLINE, "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    shown = CliRunner().invoke(main, ["weights", "get", "coco"])
    assert shown.exit_code == 1
    assert shown.output == (
        f"uavpipe: coco: UAVPIPE_OFFLINE is set, nothing is downloaded; copy {COCO.url} to {COCO.path}\n"
    )
    assert COCO.path.is_relative_to(tmp_path)


def test_the_list_has_what_one_has_to_know(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    shown = CliRunner().invoke(main, ["weights", "list"]).output
    for each in PUBLIC:
        assert f"{each.name}  {each.megabytes:.0f} MiB, BSD-3-Clause, SHA-256 {each.sha256}…" in shown
        assert each.url in shown
    COCO.path.parent.mkdir(parents=True)
    COCO.path.touch()
    assert f"here: {COCO.path}" in CliRunner().invoke(main, ["weights", "list"]).output
    with pytest.raises(DetectorError, match="cocoa: no such weights; expected coco, imagenet-resnet18"):
        public_weights("cocoa")
