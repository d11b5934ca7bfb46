"""The record of searches after an erasure: the searches stay, the person does not."""

import hashlib
import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from annotate.operations import NewIdentity
from annotate.project import Project
from pipeline.cli import main
from pipeline.find.audit import record_search


@pytest.fixture
def workspace(make_workspace, walk):
    workspace = make_workspace({"f1": [walk(1, 0, 6), walk(2, 2, 6)]})
    rng = np.random.default_rng(1)
    for crop in sorted((workspace / "f1" / "crops" / "images").glob("*.jpg")):
        cv2.imwrite(str(crop), rng.integers(0, 255, (40, 20, 3), np.uint8))
    project = Project(workspace)
    for number in range(2):
        project.store.apply(NewIdentity(tracklets=(f"f1/{number}",)), user="ann", id=f"new-{number}")
    project.close()
    return workspace


def test_a_search_for_an_erased_person_does_not_tell_for_whom(workspace, tmp_path):
    crop = workspace / "f1" / "crops" / "images" / "0000_0.jpg"  # of person 1
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"of somebody else")
    sha256 = hashlib.sha256(crop.read_bytes()).hexdigest()
    for person in (1, 2, 12):
        record_search(workspace, person=person)
    record_search(workspace, [crop, photo])
    record_search(workspace, flights=["f1"])
    path = workspace / "searches.jsonl"
    before = [json.loads(line) for line in path.read_text().splitlines()]
    with path.open("a") as file:
        file.write('{"time": "2024-01-01T00:00:00", "user": "ann", "person": 1')  # a torn line
    ran = CliRunner().invoke(main, ["forget", "1", "--yes", "--workspace", str(workspace)])
    assert ran.exit_code == 0, ran.output
    assert "what searches.jsonl tells of it" in ran.output
    after = [json.loads(line) for line in path.read_text().splitlines()]
    assert sha256 not in path.read_text()
    assert after[0] == {"time": before[0]["time"], "user": before[0]["user"], "erased": True}
    assert after[1:3] == before[1:3]
    assert after[3]["photos"] == [hashlib.sha256(b"of somebody else").hexdigest()]
    assert after[3]["erased"]
    assert after[4:] == before[4:]
    assert not (workspace / ".forget").exists()
