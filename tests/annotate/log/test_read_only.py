"""Labels in a folder in which the user may not write."""

import subprocess
import sys

from annotate.log.store import LabelStore

READ = """
import sys
from pathlib import Path
from annotate.log.store import LabelStore
with LabelStore(Path(sys.argv[1]), write=False) as store:
    print(*store.state.identities.values())
"""


def read(path, unprivileged):
    return subprocess.run([*unprivileged, sys.executable, "-c", READ, path], capture_output=True, text=True)


def test_they_are_read(path, labelled, locked_up, unprivileged):
    before = sorted(each.name for each in path.parent.iterdir())
    locked_up(path.parent)
    found = read(path, unprivileged)
    assert found.stdout == "a b c\n", found.stderr
    assert sorted(each.name for each in path.parent.iterdir()) == before


def test_they_are_read_with_what_a_kill_left_in_the_write_ahead_log(path, killed, locked_up, unprivileged):
    locked_up(path.parent)
    found = read(path, unprivileged)
    assert found.stdout == "a b c d e\n", found.stderr


def test_they_are_read_while_somebody_who_may_writes(path, labelled, decide, locked_up, unprivileged):
    with LabelStore(path) as store:
        decide(store, "d")
        locked_up(path.parent)
        found = read(path, unprivileged)
        assert found.stdout == "a b c d\n", found.stderr


def test_what_may_not_even_be_read_is_reported(path, labelled, locked_up, unprivileged):
    locked_up(path.parent)
    path.chmod(0)
    found = read(path, unprivileged)
    assert "Unusable: " in found.stderr
    assert "labels.sqlite: cannot be read: Permission denied" in found.stderr


def test_reading_changes_no_file(path, labelled):
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    with LabelStore(path, write=False) as store:
        store.undo(user="ann", id="u")  # in the copy
        assert list(store.state.identities.values()) == ["a", "b"]
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == before
    with LabelStore(path, write=False) as store:
        assert list(store.state.identities.values()) == ["a", "b", "c"]
