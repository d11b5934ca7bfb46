"""Labels on a network file system, which the table of mounts pretends."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from annotate.errors import AnnotateError, Unusable
from annotate.log import database, file_system, one_host
from annotate.log.file_system import FileSystem, Support
from annotate.log.recover import recover
from annotate.log.store import LabelStore
from annotate.operations import NewIdentity

WRITER = """
import sys
from pathlib import Path
from annotate.log import file_system
from annotate.log.store import LabelStore
from annotate.operations import NewIdentity
file_system.MOUNTS = Path(sys.argv[2])
with LabelStore(Path(sys.argv[1])) as store:
    print(store._connection.execute("PRAGMA journal_mode").fetchone()[0], flush=True)
    for number in range(int(sys.argv[4]), int(sys.argv[5])):
        store.apply(NewIdentity(name=f"{sys.argv[3]}-{number}"), user=sys.argv[3], id=f"{sys.argv[3]}-{number}")
        print(number, flush=True)
"""


@pytest.fixture
def mounted(tmp_path, monkeypatch):
    """Called with a type: the folder of the labels is of it."""

    def mount(kind):
        table = tmp_path.parent / f"{tmp_path.name}-mounts"
        root = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        table.write_text(f"{root}40 22 0:41 / {tmp_path} rw,relatime shared:9 - {kind} server:/share rw\n")
        monkeypatch.setattr(file_system, "MOUNTS", table)
        database._announce.cache_clear()
        return table

    return mount


def names(path, **options):
    with LabelStore(path, create=False, **options) as store:
        return list(store.state.identities.values())


def mode(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]


@pytest.mark.parametrize(
    ("kind", "support"),
    [
        *((kind, Support.ALL) for kind in ("ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk", "fuse.mergerfs")),
        *((kind, Support.ROLLBACK) for kind in ("nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "9p", "ceph")),
        *((kind, Support.ROLLBACK) for kind in ("fuse.sshfs", "fuse.glusterfs", "fuse.never-heard-of", "fuse")),
        *((kind, Support.READING) for kind in ("fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "davfs", "fuse.davfs2")),
    ],
)
def test_a_type_tells_what_sqlite_supports(kind, support, mounted, path):
    mounted(kind)
    assert file_system.file_system(path) == FileSystem(kind, support)


@pytest.mark.parametrize("content", [None, "", "no table\n", "1 2 3\n1 2 3 4 / - \n"])
def test_where_the_system_does_not_tell_everything_goes_on(content, tmp_path, monkeypatch, path):
    table = tmp_path / "mounts"
    if content is not None:
        table.write_text(content)
    monkeypatch.setattr(file_system, "MOUNTS", table)
    assert file_system.file_system(path).support is Support.ALL


def test_the_innermost_and_the_last_mount_counts(tmp_path, monkeypatch):
    (tmp_path / "a b" / "c").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a b" / "c")
    outer, inner = str(tmp_path / "a b").replace(" ", "\\040"), str(tmp_path / "a b" / "c").replace(" ", "\\040")
    lines = [(inner, "ext4"), ("/", "xfs"), (outer, "ext4"), (outer, "nfs4"), (f"{inner}ontinued", "cifs")]
    table = tmp_path / "mounts"
    table.write_text("".join(f"1 1 0:1 / {folder} rw - {kind} what rw\n" for folder, kind in lines))
    monkeypatch.setattr(file_system, "MOUNTS", table)
    found = {name: file_system.file_system(tmp_path / name).type for name in ("a b/x", "a b/c/x", "link/x", "d")}
    assert found == {"a b/x": "nfs4", "a b/c/x": "ext4", "link/x": "ext4", "d": "xfs"}


def test_it_is_noticed_once_and_runs_without_a_write_ahead_log(path, mounted, labelled, caplog):
    assert mode(path) == "wal"  # as a local disk left it
    mounted("nfs4")
    for name in ("d", "e"):
        labelled(name)
        assert not path.with_name("labels.sqlite-shm").exists()
    assert mode(path) == "delete"
    assert names(path) == ["a", "b", "c", "d", "e"]
    [notice] = [each.getMessage() for each in caplog.records]
    assert "network file system (nfs4): one host at a time" in notice


def test_back_on_a_local_disk_it_is_in_wal_mode_again(path, mounted, labelled):
    mounted("nfs4")
    labelled("d")
    mounted("ext4")
    labelled("e")
    assert mode(path) == "wal"
    assert names(path) == ["a", "b", "c", "d", "e"]


def test_what_a_kill_left_in_a_write_ahead_log_is_taken_in(path, mounted, killed):
    mounted("nfs4")
    assert names(path, write=False) == ["a", "b", "c", "d", "e"]
    assert names(path) == ["a", "b", "c", "d", "e"]
    assert mode(path) == "delete"


def test_nothing_is_lost_to_kill_9_while_another_process_writes(path, mounted, labelled):
    table, answered = mounted("nfs4"), {"ann": -1, "bob": -1}
    for kill in range(2):
        processes = {}
        for name, number in answered.items():
            command = [sys.executable, "-c", WRITER, path, table, name, str(number + 1), str(10**6)]
            processes[name] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for process in processes.values():
            assert process.stdout.readline() == "delete\n"
        for name, process in processes.items():
            for _ in range(3 + kill):
                answered[name] = int(process.stdout.readline())
        for process in processes.values():
            os.kill(process.pid, signal.SIGKILL)
        for name, process in processes.items():
            for line in process.stdout.read().splitlines(keepends=True):
                answered[name] = int(line) if line.endswith("\n") else answered[name]
            process.wait()
            process.stdout.close()
        found = names(path, write=False)
        assert names(path)[: len(found)] == found
        for name, number in answered.items():
            mine = [each for each in found if each.startswith(name)]
            assert mine[: number + 1] == [f"{name}-{each}" for each in range(number + 1)]
            assert len(mine) == len(set(mine)) <= number + 2  # at most one was decided whose answer was lost


@pytest.fixture
def hot(path, mounted, labelled):
    """Labels as a kill leaves them at the end of a commit: the journal that takes it back is not deleted yet."""
    mounted("nfs4")
    labelled("d")
    journal, kept = path.with_name("labels.sqlite-journal"), path.with_name("kept")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")  # so that the journal is written before the commit
        connection.execute("BEGIN IMMEDIATE")
        for number in range(200):
            row = (1000 + number, f"torn-{number}", "ann", "2030", "{}", "x" * 500)
            connection.execute("INSERT INTO operations VALUES (?, ?, ?, ?, ?, ?)", row)
        shutil.copyfile(journal, kept)
        connection.execute("COMMIT")
    kept.rename(journal)
    return journal


def test_half_a_commit_is_rolled_back(path, hot):
    assert names(path) == ["a", "b", "c", "d"]
    assert not hot.exists()


def test_half_a_commit_is_rolled_back_in_a_copy_where_one_may_not_write(path, hot, locked_up, unprivileged):
    table = file_system.MOUNTS
    code = WRITER.replace("LabelStore(Path(sys.argv[1]))", "LabelStore(Path(sys.argv[1]), write=False)")
    code = code.split("    print")[0] + "    print(*store.state.identities.values())"
    locked_up(path.parent)
    command = [*unprivileged, sys.executable, "-c", code, path, table]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.stdout == "a b c d\n", found.stderr


def test_a_recovered_file_is_not_rolled_back_by_the_journal_of_the_damaged_one(path, hot):
    path.write_bytes(b"\xff" * path.stat().st_size)
    assert recover(path).from_text == 5
    assert not hot.exists()
    assert names(path) == ["a", "b", "c", "d"]


def test_another_host_is_kept_out_until_the_last_process_ends(path, mounted, labelled, monkeypatch):
    mounted("nfs4")
    with LabelStore(path), LabelStore(path):
        monkeypatch.setattr(one_host, "_name", lambda: "lab7 0-1")
        monkeypatch.setattr(one_host, "_PAUSE_S", 0)
        here = one_host.platform.node()
        with pytest.raises(AnnotateError, match=f"labels.sqlite: in use on {here}; .* end the labelling app there"):
            LabelStore(path)
        assert names(path, write=False) == ["a", "b", "c"]
        assert database.in_use(path)
    assert not database.in_use(path)
    with LabelStore(path) as store:
        store.apply(NewIdentity(name="d"), user="ann", id="d")
    monkeypatch.undo()
    mounted("nfs4")
    assert names(path) == ["a", "b", "c", "d"]  # a name that nobody holds keeps nobody out


def test_a_mount_that_uploads_is_only_read(path, mounted, killed):
    mounted("fuse.s3fs")
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    with pytest.raises(Unusable, match=r"labels.sqlite: fuse.s3fs uploads files .* another disk$"):
        LabelStore(path)
    assert names(path, write=False) == ["a", "b", "c", "d", "e"]
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == before


def test_new_labels_are_refused_there_too(path, mounted):
    mounted("fuse.gcsfuse")
    with pytest.raises(Unusable, match="uploads files"):
        LabelStore(path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("code", [1, 38, 95])
def test_a_disk_without_hard_links_takes_new_labels(path, mounted, monkeypatch, code):
    mounted("cifs")

    def hardlink_to(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("pathlib.Path.hardlink_to", hardlink_to)
    with LabelStore(path) as store:
        store.apply(NewIdentity(name="a"), user="ann", id="a")
    assert names(path) == ["a"]
