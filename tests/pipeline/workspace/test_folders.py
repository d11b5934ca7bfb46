import json
import multiprocessing
import os
import re
import socket
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.workspace.atomic import atomic_file, atomic_folder
from pipeline.workspace.folders import locked, open_flight
from pipeline.workspace.manifest import StageFolder, fingerprint
from pipeline.workspace.stage import Stage


def test_a_fingerprint_knows_content_not_order():
    assert fingerprint({"a": 1, "b": [2, 3]}) == fingerprint({"b": [2, 3], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "table"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(target) as temporary:
        temporary.write_text("half")
        assert target.read_text() == "old"
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["table"]
    with atomic_file(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"


def test_a_folder_replaces_the_old_one_when_whole(tmp_path):
    target = tmp_path / "images"
    for names in (["a", "b"], ["c"]):
        with atomic_folder(target) as temporary:
            for name in names:
                (temporary / name).touch()
    assert [path.name for path in target.iterdir()] == ["c"]
    with pytest.raises(RuntimeError), atomic_folder(target) as temporary:
        (temporary / "half").touch()
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["c"]
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def finished(tmp_path, section):
    folder = StageFolder(tmp_path / "stage")
    folder.begin()
    (folder.path / "table").write_text("rows")
    Stage("stage", folder, {"video": "x"}, section).finish({"rows": 1}, 0.1, ["table"])
    return folder


def test_a_finished_stage_holds_until_something_changes(tmp_path):
    folder = finished(tmp_path, {"every": 1})
    mark = folder.manifest()["fingerprint"]
    assert folder.is_current(mark)
    assert not folder.is_current("another")
    (folder.path / "table").write_text("rows and more")
    assert not folder.is_current(mark)
    (folder.path / "table").unlink()
    assert not folder.is_current(mark)


def test_a_torn_manifest_counts_as_none(tmp_path):
    folder = finished(tmp_path, {})
    mark = folder.manifest()["fingerprint"]
    text = (folder.path / "manifest.json").read_text()
    (folder.path / "manifest.json").write_text(text[: len(text) // 2])
    assert not folder.is_current(mark)


def test_beginning_sweeps_what_a_killed_run_left(tmp_path):
    folder = finished(tmp_path, {})
    (folder.path / ".part-table").write_text("half")
    (folder.path / "images" / ".part-00000000").mkdir(parents=True)
    folder.begin()
    assert sorted(path.name for path in folder.path.rglob("*")) == ["images", "table"]


def test_a_flight_is_hashed_once_and_again_when_it_changed(tmp_path, monkeypatch):
    video = tmp_path / "flight.mp4"
    video.write_bytes(b"one")
    with open_flight(tmp_path / "runs", video) as flight:
        first = flight.sha256
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.video.content_hash", lambda path: pytest.fail("hashed again"))
        with open_flight(tmp_path / "runs", video) as flight:
            assert flight.sha256 == first
    video.write_bytes(b"two and longer")
    with open_flight(tmp_path / "runs", video) as flight:
        assert flight.sha256 != first


def test_another_video_of_the_same_name_is_refused(tmp_path):
    for folder, content in (("a", b"one"), ("b", b"two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "flight.mp4").write_bytes(content)
    with open_flight(tmp_path / "runs", tmp_path / "a" / "flight.mp4") as flight:
        flight.stage("frames").finish({"files": []})
    with (
        pytest.raises(PipelineError, match="holds the flight of"),
        open_flight(tmp_path / "runs", tmp_path / "b" / "flight.mp4"),
    ):
        pass


def test_a_flight_never_leaves_the_workspace(tmp_path, monkeypatch):
    (tmp_path / "images" / "inner").mkdir(parents=True)
    (tmp_path / "images" / "1.png").write_bytes(b"one")
    monkeypatch.chdir(tmp_path / "images" / "inner")
    with open_flight(tmp_path / "runs", Path("..")) as flight:
        assert flight.folder == tmp_path / "runs" / "images"


def _hold(runs, video, held, release):
    with open_flight(runs, video):
        held.set()
        release.wait(60)


@pytest.fixture
def at_work(tmp_path):
    """A video, and another process that is at work on it until `release` is set or it is killed."""
    video = tmp_path / "flight.mp4"
    video.write_bytes(b"one")
    spawn = multiprocessing.get_context("spawn")
    held, release = spawn.Event(), spawn.Event()
    other = spawn.Process(target=_hold, args=(tmp_path / "runs", video, held, release))
    other.start()
    assert held.wait(60)
    yield video, other, release
    if other.is_alive():  # an event that a killed process waited for can never be set again
        release.set()
    other.join()


def test_a_second_run_is_told_who_is_at_work(at_work, tmp_path):
    video, other, release = at_work
    with (
        pytest.raises(PipelineError, match=rf"another uavpipe \(process {other.pid} on {socket.gethostname()}\)"),
        open_flight(tmp_path / "runs", video),
    ):
        pass
    release.set()
    other.join()
    with open_flight(tmp_path / "runs", video) as flight:  # the lock goes with its process
        assert (flight.folder / ".lock").read_text() == f"process {os.getpid()} on {socket.gethostname()}"


def test_a_killed_run_does_not_lock_the_next_one_out(at_work, tmp_path):
    video, other, _ = at_work
    other.kill()
    other.join()
    with open_flight(tmp_path / "runs", video) as flight:
        assert json.loads((flight.folder / "flight.json").read_text())["sha256"] == flight.sha256


def test_what_is_locked_shared_lets_others_share_it_alone(tmp_path):
    with locked(tmp_path, shared=True):
        with locked(tmp_path, shared=True):
            pass
        with pytest.raises(PipelineError, match="is at work here"), locked(tmp_path):
            pass
    with locked(tmp_path), pytest.raises(PipelineError, match="is at work here"), locked(tmp_path, shared=True):
        pass


def test_reopening_leaves_what_another_process_writes(tmp_path):
    folder = finished(tmp_path, {})
    (folder.path / ".part-table").write_text("half")
    folder.reopen()
    assert sorted(path.name for path in folder.path.iterdir()) == [".part-table", "table"]


def test_two_processes_may_write_one_file_or_folder(tmp_path):
    """The second begins while the first is at it, and ends before."""
    for name, write in (("table", atomic_file), ("images", atomic_folder)):
        with write(tmp_path / name, shared=True) as first:
            with write(tmp_path / name, shared=True) as second:
                assert first != second
                for path in (first, second):
                    (path / "1.jpg" if name == "images" else path).write_text("same")
            assert (tmp_path / name).exists()
    assert (tmp_path / "table").read_text() == "same"
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["1.jpg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "table"]


def test_of_two_processes_that_end_a_folder_at_once_one_wins(tmp_path, monkeypatch):
    target, real = tmp_path / "images", os.replace

    def replace(source, destination):
        if Path(destination) == target and not target.exists():  # another process is faster by a moment
            target.mkdir()
            (target / "1.jpg").write_text("theirs")
        real(source, destination)

    monkeypatch.setattr(os, "replace", replace)
    with atomic_folder(target, shared=True) as temporary:
        (temporary / "1.jpg").write_text("ours")
    assert (target / "1.jpg").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_a_name_in_a_temporary_one_is_of_machine_and_process(tmp_path):
    with atomic_file(tmp_path / "table", shared=True) as temporary:
        temporary.touch()
        pattern = rf"\.part-{re.escape(socket.gethostname()[:64])}-{os.getpid()}-[0-9a-f]{{8}}-table"
        assert re.fullmatch(pattern, temporary.name)
