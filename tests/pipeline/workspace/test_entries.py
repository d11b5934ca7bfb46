import errno
import os
from pathlib import Path

import pytest

from pipeline.chain.table import CHAIN
from pipeline.errors import PipelineError
from pipeline.workspace.atomic import atomic_file, atomic_folder, sweep
from pipeline.workspace.entries import MANIFEST, empty, files_below, is_leftover, is_ours
from pipeline.workspace.manifest import StageFolder, write_record

LEFTOVERS = [
    *(".DS_Store", "Thumbs.db", "thumbs.db", "ehthumbs.db", "desktop.ini", "._x", "._00000001_000.jpg", ".nfs0001"),
    *("lost+found/x", "@eaDir/0.jpg/thumb.jpg", ".Trash-1000/files/0.jpg"),
]


@pytest.mark.parametrize("name", LEFTOVERS)
def test_leftovers_are_known_in_every_folder(name):
    for path in (name, f"images/{name}"):
        assert is_leftover(path)
        assert not any(is_ours(path, stage.ours) for stage in CHAIN)


@pytest.mark.parametrize("name", ["notes.txt", "photo.jpg", "my.db", "a/notes.txt", "images/notes.txt"])
def test_the_users_own_files_are_no_leftovers_and_not_ours(name):
    assert not is_leftover(name)
    assert not any(is_ours(name, stage.ours) for stage in CHAIN if "images" not in name)


def test_a_replaced_folder_keeps_what_is_not_ours(tmp_path):
    target = tmp_path / "images"
    for content in ("old", "new"):
        with atomic_folder(target, r"\d+\.jpg") as temporary:
            (temporary / "1.jpg").write_text(content)
        (target / "sub").mkdir(exist_ok=True)
        for name in ("notes.txt", ".DS_Store", "sub/notes.txt"):
            (target / name).write_text("mine") if content == "old" else None
    assert {name: (target / name).read_text() for name in files_below(target)} == {
        "1.jpg": "new",
        "notes.txt": "mine",
        ".DS_Store": "mine",
        "sub/notes.txt": "mine",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_what_is_not_ours_survives_a_kill_while_a_folder_is_replaced(tmp_path):
    (tmp_path / ".part-former-images").mkdir()
    (tmp_path / ".part-former-images" / "1.jpg").touch()
    (tmp_path / ".part-former-images" / "notes.txt").touch()
    (tmp_path / "images").mkdir()
    sweep(tmp_path / "images", r"\d+\.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["notes.txt"]


def test_a_folder_behind_a_link_is_replaced_there(tmp_path):
    (tmp_path / "disk" / "images").mkdir(parents=True)
    (tmp_path / "images").symlink_to(tmp_path / "disk" / "images")
    with atomic_folder(tmp_path / "images") as temporary:
        (temporary / "1.jpg").touch()
    assert (tmp_path / "images").is_symlink()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["images"]
    assert [path.name for path in (tmp_path / "disk" / "images").iterdir()] == ["1.jpg"]


def test_an_unfinished_name_that_is_a_link_is_not_followed(tmp_path):
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    (home / "precious.txt").write_text("precious")
    stage = tmp_path / "stage"
    stage.mkdir()
    for name in (".part-table", ".part-images", ".part-former-images"):
        (stage / name).symlink_to(home / "precious.txt" if name == ".part-table" else home)
    with atomic_file(stage / "table") as temporary:
        temporary.write_text("rows")
    with atomic_folder(stage / "images") as temporary:
        (temporary / "1.jpg").touch()
    (stage / ".part-other").symlink_to(home)
    StageFolder(stage).begin()
    assert sorted(path.name for path in stage.iterdir()) == ["images", "table"]
    assert not (stage / "table").is_symlink()
    assert (home / "precious.txt").read_text() == "precious"
    assert sorted(path.name for path in home.iterdir()) == ["precious.txt", "sub"]


def test_a_manifest_from_elsewhere_deletes_nothing_behind_a_link(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "precious.txt").write_text("precious")
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "link").symlink_to(tmp_path / "home")
    rest = {"fingerprint": "x", "inputs": {}, "section": {}, "counts": {}}
    write_record(tmp_path / "stage" / MANIFEST, {**rest, "files": {"link/precious.txt": "another hash"}})
    StageFolder(tmp_path / "stage").begin()
    assert (tmp_path / "home" / "precious.txt").exists()


def test_emptying_keeps_what_is_not_ours(tmp_path):
    folder = tmp_path / "images" / "00000000"
    folder.mkdir(parents=True)
    (folder / "1.jpg").touch()
    empty(folder, r"\d+\.jpg")
    assert not folder.exists()
    folder.mkdir()
    for name in ("1.jpg", "notes.txt"):
        (folder / name).touch()
    empty(folder, r"\d+\.jpg")
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.fixture
def hold(monkeypatch):
    """Called with names: files of these names cannot be deleted or moved from then on, folders as before."""
    held = []

    def refusing(real):
        def call(path, *more, **options):
            if Path(path).name in held and not Path(path).is_dir():
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), os.fspath(path))
            return real(path, *more, **options)

        return call

    for name in ("unlink", "replace", "rename"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    return lambda *names: held.__setitem__(slice(None), names)


@pytest.mark.parametrize("name", ["1.jpg", "notes.txt"])
def test_a_file_that_cannot_be_deleted_is_told_and_the_folder_replaced_once_it_can(tmp_path, hold, name):
    target = tmp_path / "images"

    def write(content):
        with atomic_folder(target, r"\d+\.jpg") as temporary:
            (temporary / "2.jpg").write_text(content)

    target.mkdir()
    (target / name).touch()
    hold(name)
    for content in ("a", "b", "c"):
        try:
            write(content)
        except PipelineError as error:
            assert name in str(error)
            assert "cannot be deleted or moved: Operation not permitted" in str(error)
    assert (target / "2.jpg").read_text() == "a"
    with pytest.raises(PipelineError, match="cannot be deleted or moved"):
        sweep(target, r"\d+\.jpg")
    hold()
    write("d")
    assert (target / "2.jpg").read_text() == "d"
    assert (target / "notes.txt").exists() == (name == "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_the_former_folder_is_back_where_the_new_one_cannot_be_moved(tmp_path, monkeypatch):
    target = tmp_path / "images"
    target.mkdir()
    (target / "1.jpg").write_text("old")
    real = os.replace

    def refusing(source, destination):
        if Path(source).name == ".part-images":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), os.fspath(source))
        real(source, destination)

    monkeypatch.setattr(os, "replace", refusing)
    with pytest.raises(PipelineError, match="cannot be deleted or moved"), atomic_folder(target) as temporary:
        (temporary / "1.jpg").write_text("new")
    assert (target / "1.jpg").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
