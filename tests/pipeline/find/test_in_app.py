"""The search of the labelling app: hostile pictures, what is recorded, and a choice among several persons."""

import hashlib
import io
import json
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from annotate.app.search import Upload
from annotate.errors import Refused
from annotate.operations import NewIdentity
from annotate.project import Project
from pipeline.errors import PipelineError
from pipeline.find import find as finding
from pipeline.find import query
from pipeline.find.in_app import find_picture
from reid.checkpoint import save_checkpoint
from reid.config import NetworkConfig
from reid.network import Network

NETWORK = NetworkConfig(backbone="squeezenet1_1", height=48, width=32, global_branch=None)


def encoded(form, size=(30, 60), **options):
    file = io.BytesIO()
    Image.new("RGB", size, (200, 20, 20)).save(file, form, **options)
    return file.getvalue()


def png_that_claims(width, height):
    """A PNG of a few bytes whose head claims a picture."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


HOSTILE = {
    "nothing": b"",
    "text": b"<svg onload='alert(1)'/>",
    "cut off": encoded("JPEG", (300, 600))[:700],
    "another format": encoded("TIFF"),
    "an animation": encoded("GIF"),
    "a PostScript program": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
    "a bomb": png_that_claims(60_000, 60_000),
    "large": png_that_claims(10_000, 6_000),
    "no pixels": png_that_claims(100, 200),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_picture_or_too_large_is_refused_before_it_is_decoded(data):
    with pytest.raises(PipelineError, match=r"the picture (cannot be read|has 10000x6000 px; expected 50,000,000)"):
        query._decoded(query.Upload(data))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_the_formats_of_browsers_are_read(form):
    assert query._decoded(query.Upload(encoded(form))).shape == (60, 30, 3)


def test_a_photo_of_a_phone_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    assert query._decoded(query.Upload(encoded("JPEG", (60, 30), exif=exif))).shape == (60, 30, 3)


@pytest.fixture
def workspace(make_workspace, walk, tmp_path, monkeypatch):
    """Person 1 in two flights, f1/0 is labelled; embedded by a small network in place of the bundled one."""
    workspace = make_workspace({"f1": [walk(1, 0, 4), walk(2, 9, 4)], "f2": [walk(1, 0, 4), walk(2, 9, 4)]})
    project = Project(workspace)
    project.store.apply(NewIdentity(tracklets=("f1/0",), name="Ann"), user="ann", id="a")
    project.close()
    torch.manual_seed(0)
    weights = tmp_path / "small.safetensors"
    save_checkpoint(weights, Network(NETWORK).state_dict(), network=NETWORK, training={})
    monkeypatch.setattr(finding, "network_of", lambda *_: weights)
    return workspace


@pytest.fixture
def detector(monkeypatch):
    """Finds the boxes that it is given."""
    boxes = []
    monkeypatch.setattr(
        finding._Detector, "__call__", lambda self, image: np.array(boxes, np.float32).reshape(-1, 4)
    )
    return boxes


def test_a_crop_that_is_sent_finds_its_person_and_leaves_one_line_only(workspace, detector):
    before = {path for path in workspace.rglob("*") if "embeddings" not in str(path)}
    data = (workspace / "f1/crops/images/0000_0.jpg").read_bytes()
    found = find_picture(workspace, Upload(data), "eve")
    assert {*found.answers[0].tracklets} & {"f1/0", "f2/0"}
    assert found.nobody == "nobody here looks like this person (4 tracklets)"
    assert "no calibration" in found.note
    assert found.answers[0].right is None
    new = {path for path in workspace.rglob("*") if "embeddings" not in str(path)} - before
    assert new == {workspace / "searches.jsonl"}
    line = json.loads((workspace / "searches.jsonl").read_text())
    assert (line["user"], line["photos"]) == ("eve", [hashlib.sha256(data).hexdigest()])


def test_a_crop_of_the_workspace_is_no_answer_to_itself(workspace, detector):
    found = find_picture(workspace, "f1/crops/images/0000_0.jpg", "eve")
    names = [name for each in found.answers for name in each.tracklets]
    assert names[0] == "f2/0"
    assert "f1/0" not in names
    assert found.nobody == "this person is in f1/0; nobody else here looks like them (3 tracklets compared)"


def test_of_several_persons_one_is_to_be_chosen(workspace, detector):
    detector += [(0, 0, 10, 20), (12, 5, 30, 60)]
    found = find_picture(workspace, Upload(encoded("PNG")), "eve")
    assert found.choose == ((0, 0, 10, 20), (12, 5, 30, 60))
    assert (found.size, found.answers) == ((30, 60), ())
    chosen = find_picture(workspace, Upload(encoded("PNG"), (12, 5, 30, 60)), "eve")
    assert len(chosen.answers) == 4


def test_a_refusal_is_one_line(workspace, detector):
    with pytest.raises(Refused, match=r"^the picture: no person is found in it"):
        find_picture(workspace, Upload(encoded("PNG", (60, 30))), "eve")
    with pytest.raises(Refused, match=r"^the picture cannot be read"):
        find_picture(workspace, Upload(b"x"), "eve")
