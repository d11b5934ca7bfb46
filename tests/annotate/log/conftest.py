"""Labels of one flight, and ways to damage them."""

import shutil

import pytest

from annotate.log.store import LabelStore
from annotate.operations import NewIdentity
from annotate.records import Detection, Tracklet


@pytest.fixture
def path(tmp_path):
    return tmp_path / "labels.sqlite"


@pytest.fixture
def text(path):
    return path.with_name("labels.sqlite.log.jsonl")


@pytest.fixture
def decide():
    def decide(store, *names):
        for name in names:
            store.apply(NewIdentity(name=name), user="ann", id=name)

    return decide


@pytest.fixture
def labelled(path, decide):
    """Labels with a flight and the identities a, b, c; closed. Called again with more names, it adds these."""

    def label(*names):
        with LabelStore(path) as store:
            content = tuple(Detection(frame, 0, frame / 10, (0, 0, 10, 20), 0.9) for frame in range(4))
            store.add_flight("f", [Tracklet("f", 0, content)])
            decide(store, *names)
            return store

    label("a", "b", "c")
    return label


@pytest.fixture
def killed(path, labelled, decide, tmp_path):
    """Labels as a kill leaves them: further decisions, d and e, are in the write-ahead log alone."""
    with LabelStore(path) as store:
        store._connection.execute("PRAGMA wal_autocheckpoint = 0")
        decide(store, "d", "e")
        names = [each for each in path.parent.iterdir() if each.name.startswith(path.name)]
        copies = {each: shutil.copyfile(each, tmp_path / f"copy-{each.name}") for each in names}
    for name, copy in copies.items():
        copy.rename(name)
    path.with_name("labels.sqlite-shm").unlink()
