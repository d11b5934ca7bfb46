"""What goes wrong beside the server: crops deleted or replaced by links, the disk full, the labels' file gone."""

import os
import resource
import shutil
import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from annotate.errors import AnnotateError
from annotate.log.recover import recover
from annotate.log.store import LABELS, LabelStore
from annotate.project import Project
from pipeline.cli import main

from_page = {"base_url": "http://127.0.0.1:8750"}
CROP = "f1/crops/images/0000_0.jpg"


def decision(name):
    return {"user": "ann", "id": name, "operation": {"op": "new_identity", "name": name}}


@pytest.fixture
def client(make_app):
    return TestClient(make_app(), **from_page)


def one_crop(workspace):
    (workspace / CROP).unlink()


def all_crops(workspace):
    shutil.rmtree(workspace / "f1/crops/images")


def the_stage(workspace):
    shutil.rmtree(workspace / "f1/crops")


@pytest.mark.parametrize(
    ("remove", "complaint"),
    [
        (one_crop, "0000_0.jpg: missing, and 0 more of 126 crops of f1; run `uavpipe crops` again"),
        (all_crops, "0000_0.jpg: missing, and 125 more of 126 crops of f1; run `uavpipe crops` again"),
        (the_stage, "crops.parquet: no such table; make it with `uavpipe crops`"),
    ],
)
def test_a_workspace_whose_crops_are_gone_is_refused_on_one_line(workspace, remove, complaint):
    remove(workspace)
    shown = CliRunner().invoke(main, ["label", "--workspace", str(workspace), "--no-browser", "--port", "0"])
    assert shown.exit_code == 1
    assert complaint in shown.output
    assert shown.output.count("\n") == 1
    assert not (workspace / LABELS).exists()


def test_crops_deleted_under_the_server_are_told_and_decisions_go_on(client, workspace):
    all_crops(workspace)
    answer = client.get("/api/crops/f1/0/0.jpg")
    assert answer.status_code == 404
    assert "0000_0.jpg: the crop is missing; run `uavpipe crops` again" in answer.json()["error"]
    assert client.post("/api/decide", json={**decision("a"), "next": True}).json()["item"]["tracklet"] == "f1/0"


@pytest.mark.parametrize("linked", ["f1/crops", "f1"])
def test_crops_on_another_disk_are_shown(client, workspace, tmp_path, linked):
    inside, outside = workspace / linked, tmp_path / "outside"
    inside.rename(outside)
    inside.symlink_to(outside)
    assert client.get("/api/crops/f1/0/0.jpg").content == (workspace / CROP).read_bytes()


@pytest.mark.parametrize("linked", [CROP, "f1/crops/images"])
def test_nothing_is_shown_through_a_link_out_of_the_folder_of_crops(client, workspace, tmp_path, linked):
    inside, outside = workspace / linked, tmp_path / "outside"
    inside.rename(outside)
    inside.symlink_to(outside)
    answer = client.get("/api/crops/f1/0/0.jpg")
    assert answer.status_code == 404
    assert "a link out of the flight's folder of crops; only crops inside are shown" in answer.json()["error"]


def test_a_crop_that_is_no_plain_file_does_not_hold_the_server_up(client, workspace):
    (workspace / CROP).unlink()
    os.mkfifo(workspace / CROP)
    assert client.get("/api/crops/f1/0/0.jpg").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/api/crops/..%2f..%2fetc/0/0.jpg",
        "/api/crops/%2e%2e/0/0.jpg",
        "/api/crops/f1/../../../etc/passwd",
        "/api/crops//etc/0/0.jpg",
        "/api/frames/..%2f..%2fetc/0.jpg",
        "/%2e%2e/server.py",
        "/..%2fserver.py",
        "/%2fetc/passwd",
        "/%00",
    ],
)
def test_no_address_leads_out_of_the_workspace_or_the_pages(client, path):
    assert client.get(path).status_code in (403, 404)


def test_a_full_disk_is_told_nothing_is_lost_and_there_is_more_once_there_is_room(client, project, workspace):
    assert client.post("/api/decide", json=decision("before")).status_code == 200
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        answer = client.post("/api/decide", json=decision("during"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert answer.status_code == 500
    assert "labels.sqlite: cannot be used: " in answer.json()["error"]
    assert list(project.store.state.identities.values()) == ["before"]
    assert client.post("/api/decide", json=decision("during")).json()["repeated"] is False
    with LabelStore(workspace / LABELS, create=False) as again:
        assert list(again.state.identities.values()) == ["before", "during"]


@pytest.mark.parametrize("file", [LABELS, f"{LABELS}-wal"])
@pytest.mark.parametrize("replaced", [False, True])
def test_labels_that_are_gone_take_no_decision(client, project, workspace, file, replaced):
    assert client.post("/api/decide", json=decision("before")).status_code == 200
    copy = shutil.copyfile(workspace / file, workspace / "copy")
    (workspace / file).unlink()
    if replaced:
        copy.rename(workspace / file)
    for answer in (client.post("/api/decide", json=decision("after")), client.get("/api/progress")):
        assert answer.status_code == 500
        assert "labels.sqlite: deleted, moved or replaced while it was in use" in answer.json()["error"]


def test_a_page_overwritten_under_the_server_is_told_and_recovered(client, project, workspace):
    assert client.post("/api/decide", json=decision("before")).status_code == 200
    path = workspace / LABELS
    with path.open("rb+") as file:
        file.seek(4096)
        file.write(bytes(3 * 4096))
    os.utime(path, (1, 1))  # the clock of a file is coarse
    for _ in range(2):
        answer = client.post("/api/decide", json=decision("after"))
        assert answer.status_code == 500
        assert f"`uavpipe annotate log --recover --workspace {workspace}` rebuilds it" in answer.json()["error"]
        assert "\n" not in answer.json()["error"]
    project.close()
    assert recover(path).from_text == 3
    with LabelStore(path) as again:
        assert list(again.state.identities.values()) == ["before"]


def test_while_another_program_writes_a_decision_is_to_be_tried_again_and_reading_goes_on(
    client, workspace, monkeypatch
):
    monkeypatch.setattr("annotate.log.database.WAIT_S", 0.05)
    with closing(sqlite3.connect(workspace / LABELS, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for answer in (
            client.post("/api/decide", json=decision("during")),
            client.post("/api/undo", json={"user": "ann", "id": "u"}),
        ):
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert "another program is writing to the labels: try again" in answer.json()["error"]
        assert client.post("/api/next", json={"user": "ann"}).json()["item"]["tracklet"] == "f1/0"
        for path in ("progress", "identities", "findings", "tracklets/f1/0", "session"):
            assert client.get(f"/api/{path}").status_code == 200, path
    answer = client.post("/api/decide", json=decision("during"))
    assert (answer.status_code, answer.json()["repeated"]) == (200, False)


def test_labels_cut_off_are_refused(project, workspace):
    project.close()
    path = workspace / LABELS
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(
        AnnotateError,
        match=r"damaged or changed by hand: `uavpipe annotate log --recover --workspace .*` rebuilds it",
    ):
        Project(workspace)


def test_a_workspace_that_is_read_only_is_told(workspace):
    workspace.chmod(0o555)
    try:
        if os.access(workspace, os.W_OK):
            pytest.skip("root may write everywhere")
        with pytest.raises(AnnotateError, match=r"labels\.sqlite: cannot be used: unable to open"):
            Project(workspace)
    finally:
        workspace.chmod(0o755)
