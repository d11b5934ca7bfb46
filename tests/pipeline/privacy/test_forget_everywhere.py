"""Erasing a person from folders behind links, leftovers, copies and caches; and what must not be erased."""

import errno
import json
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from annotate.files import TEXT_LOG
from annotate.log import file_system
from annotate.log.store import LABELS, LabelStore
from annotate.operations import NewIdentity, Rename
from annotate.records import read_tracklets
from pipeline.cli import main
from pipeline.workspace.folders import FORGETTING

NAME = "Somebody Unforgettable"
PERSON = 2


@pytest.fixture
def workspace(make_workspace, walk, tmp_path):
    """A flight with three people, each its own identity, and a data set, a network and a report of them."""
    workspace = make_workspace({"f1": [walk(1, 0, 6), walk(2, 2, 6), walk(3, 0, 6)]})
    rng = np.random.default_rng(1)
    for crop in sorted((workspace / "f1" / "crops" / "images").glob("*.jpg")):
        cv2.imwrite(str(crop), rng.integers(0, 255, (40, 20, 3), np.uint8))
    with LabelStore(workspace / LABELS) as store:
        store.add_flight("f1", read_tracklets(workspace, "f1"))
        for number in range(3):
            store.apply(NewIdentity(tracklets=(f"f1/{number}",)), user="ann", id=f"new-{number}")
        store.apply(Rename(identity=PERSON, name=NAME), user="ann", id="name")
    query = workspace / "dataset" / "query"
    query.mkdir(parents=True)
    for place, picture in enumerate(pictures_of(workspace)):
        (query / f"0002_c1s1_{place:06d}_00.jpg").write_bytes(picture)
    (workspace / "dataset" / "manifest.json").write_text("{}")
    network = workspace / "reid" / "drone"
    network.mkdir(parents=True)
    (network / "run.json").write_text(json.dumps({"data": {"name": "dataset"}}))
    (network / "resume.pt").write_text(NAME)
    (workspace / "f1" / "overlay").mkdir()
    (workspace / "f1" / "overlay" / "overlay.mp4").write_text(NAME)
    (workspace / "f1" / "overlay" / "manifest.json").write_text("{}")
    return workspace


def test_labels_that_are_open_on_a_network_file_system_are_in_use(workspace, tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"40 22 0:41 / {tmp_path} rw,relatime - nfs4 server:/share rw\n")
    monkeypatch.setattr(file_system, "MOUNTS", mounts)
    command = ["forget", str(PERSON), "--workspace", str(workspace), "--yes"]
    with LabelStore(workspace / LABELS):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 1
        assert "labels.sqlite: in use; stop the labelling app first" in result.output
    assert pictures_of(workspace)
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    with LabelStore(workspace / LABELS) as store:
        assert PERSON not in store.state.exists


def pictures_of(workspace):
    crops = pd.read_parquet(workspace / "f1" / "crops" / "crops.parquet")
    rows = pd.read_parquet(workspace / "f1" / "tracks" / "tracklets.parquet").merge(crops, on=["frame", "rank"])
    names = rows.loc[rows["tracklet"] == PERSON - 1, "crop"]
    return [(workspace / "f1" / "crops" / name).read_bytes() for name in names]


def erase(workspace, *more, **answers):
    return CliRunner().invoke(
        main, ["forget", str(PERSON), "--workspace", str(workspace), "--yes", *more], **answers
    )


def left_in(folder, pictures):
    """The files below `folder` in which a picture or the name of the person is found."""
    wanted = [*pictures, NAME.encode()]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(each in path.read_bytes() for each in wanted)]


def behind_link(folder, disk):
    """Move `folder` to `disk`, and put a link in its place."""
    disk.mkdir(exist_ok=True)
    shutil.move(folder, disk / folder.name)
    folder.symlink_to(disk / folder.name)


LINKED = ["dataset", "reid", "reid/drone", "f1", "f1/crops", "f1/overlay", "f1/detections", "f1/tracks"]


@pytest.mark.parametrize("folder", LINKED)
def test_what_is_on_another_disk_goes_too(workspace, tmp_path, folder):
    pictures = pictures_of(workspace)
    assert left_in(tmp_path, pictures)
    behind_link(workspace / folder, tmp_path / "disk")
    result = erase(workspace)
    assert result.exit_code == 0, result.output
    assert "identity 2 is erased" in result.output
    assert str(tmp_path / "disk") in result.output
    assert not left_in(tmp_path, pictures)
    assert (workspace / folder).is_symlink()
    rows = pd.read_parquet(workspace / "f1" / "tracks" / "tracklets.parquet")
    assert set(rows["tracklet"]) == {0, 2}


def test_files_are_copied_to_a_disk_that_cannot_be_renamed_to(workspace, tmp_path, monkeypatch):
    pictures = pictures_of(workspace)
    behind_link(workspace / "f1" / "crops", tmp_path / "disk")
    replace = Path.replace

    def only_on_one_disk(self, target):
        if FORGETTING in self.parts and "disk" in Path(target).resolve().parts:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", only_on_one_disk)
    result = erase(workspace)
    assert result.exit_code == 0, result.output
    assert not left_in(tmp_path, pictures)


def refused(workspace, message):
    """Erasing is refused on one line, and nothing has changed."""
    before = {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file() and path.name != ".lock"}
    result = erase(workspace)
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("uavpipe: ")
    assert message in result.output
    assert "is erased" not in result.output
    after = {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before


def test_links_within_a_folder_are_refused(workspace, tmp_path):
    behind_link(workspace / "f1" / "crops" / "images", tmp_path / "disk")
    refused(workspace, "f1/crops/images: a link; only all of")


def test_a_link_to_a_file_is_refused(workspace, tmp_path):
    behind_link(workspace / LABELS, tmp_path / "disk")
    refused(workspace, f"{LABELS}: a link")


def test_a_folder_that_is_not_of_uavpipe_is_not_erased_through_a_link(workspace, tmp_path):
    shutil.rmtree(workspace / "dataset")
    (tmp_path / "mine" / "query").mkdir(parents=True)
    (tmp_path / "mine" / "query" / "0001_c1s1_000001_00.jpg").write_text("precious")
    (workspace / "dataset").symlink_to(tmp_path / "mine")
    refused(workspace, "a link to a folder that uavpipe did not write")


def test_a_disk_that_is_not_connected_is_refused(workspace, tmp_path):
    behind_link(workspace / "dataset", tmp_path / "disk")
    (tmp_path / "disk").rename(tmp_path / "away")
    refused(workspace, "which is not there; connect that disk")


def test_what_cannot_be_deleted_is_named_and_a_rerun_resumes(workspace, tmp_path, monkeypatch):
    pictures = pictures_of(workspace)
    unlink = Path.unlink

    def forbidden(self, missing_ok=False):
        if self.name == "0002_c1s1_000003_00.jpg":
            raise PermissionError(errno.EPERM, "Operation not permitted")
        unlink(self, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", forbidden)
        for _ in range(2):
            result = erase(workspace)
            assert result.exit_code == 1
            assert "0002_c1s1_000003_00.jpg: cannot be deleted: Operation not permitted" in result.output
            assert "is erased" not in result.output
    result = erase(workspace)
    assert result.exit_code == 0, result.output
    assert not left_in(tmp_path, pictures)
    assert not (workspace / "dataset").exists()


def test_copies_are_found_by_their_content(workspace, tmp_path):
    pictures = pictures_of(workspace)
    (workspace / "f1" / "mine").mkdir()
    (workspace / "f1" / "mine" / "nice.jpg").write_bytes(pictures[0])
    (workspace / "dataset" / "cut.jpg").write_bytes(pictures[1][:-50])
    with tarfile.open(workspace / "copy.tar", "w") as archive:
        archive.add(workspace / "f1" / "crops", "crops")
    result = erase(workspace)
    assert result.exit_code == 1
    assert "is erased" not in result.output
    assert "not erased yet, 3 files" in result.output
    for name in ("f1/mine/nice.jpg (a picture)", "dataset/cut.jpg (a picture)", "copy.tar (a picture)"):
        assert name in result.output
    run = CliRunner().invoke(main, ["dataset", "--workspace", str(workspace)])
    assert "was interrupted here; run it again" in run.output
    for name in ("f1/mine/nice.jpg", "dataset/cut.jpg", "copy.tar"):
        (workspace / name).unlink()
    result = erase(workspace)
    assert result.exit_code == 0, result.output
    assert not left_in(tmp_path, pictures)


LEFT = [
    "f1/crops/images/Thumbs.db",
    "dataset/query/._0002_c1s1_000000_00.jpg",
    "f1/crops/images/.nfs000000000001",
    "f1/crops/@eaDir/0.jpg/thumb.jpg",
    "f1/.part-crops/0.jpg",
    f"{LABELS}.2026-01-01.bak",
    f"{LABELS}-journal",
    "labels-copy.sqlite",
    "reid/drone/.part-resume.pt",
]


def test_caches_leftovers_and_old_labels_go_too(workspace, tmp_path):
    pictures = pictures_of(workspace)
    for name in LEFT:
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_bytes(b"cache" + pictures[0])
    behind_link(workspace / "dataset", tmp_path / "disk")
    (tmp_path / "disk" / ".part-former-dataset" / "query").mkdir(parents=True)
    (tmp_path / "disk" / ".part-former-dataset" / "query" / "0002_c1s1_000000_00.jpg").write_bytes(pictures[0])
    result = erase(workspace)
    assert result.exit_code == 0, result.output
    assert not left_in(tmp_path, pictures)


def test_the_users_own_files_are_kept_and_named(workspace):
    for name in ("dataset/notes.txt", "f1/overlay/notes.txt", "reid/drone/notes.txt", "notes.txt"):
        (workspace / name).write_text("mine")
    result = erase(workspace)
    assert result.exit_code == 0, result.output
    for name in ("dataset/notes.txt", "f1/overlay/notes.txt", "reid/drone/notes.txt"):
        assert f"look whether it shows the person: {name}" in result.output
        assert (workspace / name).read_text() == "mine"
    assert (workspace / "notes.txt").exists()


def test_networks_that_began_from_one_of_its_people_go_too(workspace):
    runs = {
        "second": "runs/reid/drone/best.safetensors",
        "third": "reid/second/last.safetensors",
        "other": "imagenet",
    }
    for name, init in runs.items():
        (workspace / "reid" / name).mkdir()
        description = {"data": {"name": "market1501"}, "config": {"init": init}}
        (workspace / "reid" / name / "run.json").write_text(json.dumps(description))
        (workspace / "reid" / name / "resume.pt").write_text("state")
    assert erase(workspace).exit_code == 0
    assert sorted(path.name for path in (workspace / "reid").iterdir()) == ["other"]


def test_the_labels_have_no_free_pages(workspace):
    assert erase(workspace).exit_code == 0
    with closing(sqlite3.connect(workspace / LABELS)) as labels:
        assert labels.execute("PRAGMA freelist_count").fetchone() == (0,)
    files = sorted(workspace.glob("labels*"))
    assert [path.name for path in files] == [LABELS, f"{LABELS}{TEXT_LOG}"]
    assert not any(NAME.encode() in path.read_bytes() for path in files)


# --- a workspace from somebody else


def journal(workspace, *delete, **more):
    (workspace / FORGETTING).mkdir(exist_ok=True)
    content = {"step": "delete", "delete": list(delete), "move": [], "flights": []} | more
    (workspace / FORGETTING / "journal.json").write_text(json.dumps(content))


def test_a_journal_deletes_nothing_behind_a_link(workspace, tmp_path):
    (tmp_path / "home" / "sub").mkdir(parents=True)
    (tmp_path / "home" / "precious.txt").write_text("precious")
    (tmp_path / "home" / "sub" / "precious.txt").write_text("precious")
    (workspace / "a").mkdir()
    (workspace / "a" / "link").symlink_to(tmp_path / "home")
    (workspace / "f1" / "export").symlink_to(tmp_path / "home")
    for name in ("a/link/precious.txt", "f1/export/precious.txt", "a/link/sub"):
        journal(workspace, name)
        result = erase(workspace)
        assert result.exit_code == 1
        assert "is behind a link and no file of uavpipe" in result.output
    journal(workspace, "a/link", move=["a/link"])  # the link itself is of the workspace
    erase(workspace)
    assert (tmp_path / "home" / "precious.txt").exists()
    assert (tmp_path / "home" / "sub" / "precious.txt").exists()


def test_the_folder_of_the_erasure_is_not_followed_as_a_link(workspace, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "precious.txt").write_text("precious")
    (workspace / FORGETTING).symlink_to(tmp_path / "home")
    result = erase(workspace)
    assert result.exit_code == 1
    assert f"{FORGETTING}: a link" in result.output
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["precious.txt"]


def test_a_crop_outside_of_its_folder_does_not_lock_the_workspace(workspace, tmp_path):
    table = workspace / "f1" / "crops" / "crops.parquet"
    rows = pd.read_parquet(table)
    cv2.imwrite(str(tmp_path / "x.jpg"), np.zeros((8, 8, 3), np.uint8))
    rows.assign(crop="../../../x.jpg").to_parquet(table)
    refused(workspace, "nothing was deleted")
    assert (tmp_path / "x.jpg").exists()
    assert not (workspace / FORGETTING).exists()
