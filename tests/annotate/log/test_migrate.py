import sqlite3
from contextlib import closing

import pytest

from annotate.errors import AnnotateError
from annotate.log import migrate
from annotate.log.store import LabelStore


def add_column(connection):
    connection.execute("ALTER TABLE leases ADD COLUMN note TEXT")


@pytest.fixture
def newer(monkeypatch):
    """A program of the next version, whose leases have a note."""
    monkeypatch.setattr(migrate, "VERSION", 2)
    monkeypatch.setattr(migrate, "STEPS", {1: add_column})


def version(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def backups(path):
    return [each for each in path.parent.iterdir() if ".backup-2" in each.name]


def test_an_older_database_is_migrated_after_a_backup(path, labelled, newer):
    with LabelStore(path) as store:
        assert list(store.state.identities.values()) == ["a", "b", "c"]
        assert store._connection.execute("SELECT note FROM leases").fetchall() == []
    assert version(path) == 2
    (backup,) = backups(path)
    assert version(backup) == 1
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT count(*) FROM operations").fetchone() == (4,)
    with LabelStore(path):
        pass
    assert backups(path) == [backup]  # of each migration one


def test_the_backup_can_be_put_back(path, labelled, newer, monkeypatch):
    with LabelStore(path):
        pass
    (backup,) = backups(path)
    backup.replace(path)
    monkeypatch.undo()
    with LabelStore(path) as store:
        assert list(store.state.identities.values()) == ["a", "b", "c"]


def test_a_migration_that_fails_leaves_the_labels_as_they_were(path, labelled, newer, monkeypatch):
    def fail(connection):
        add_column(connection)
        raise sqlite3.DatabaseError("too much")

    monkeypatch.setattr(migrate, "STEPS", {1: fail})
    with pytest.raises(AnnotateError, match=r"labels\.sqlite: too much"):
        LabelStore(path)
    assert version(path) == 1
    monkeypatch.undo()
    with LabelStore(path) as store:
        assert len(store.entries) == 4


def test_who_only_reads_migrates_a_copy(path, labelled, newer):
    with LabelStore(path, write=False) as store:
        assert len(store.entries) == 4
    assert version(path) == 1
    assert backups(path) == []


def test_without_the_steps_an_older_database_is_refused(path, labelled, monkeypatch):
    monkeypatch.setattr(migrate, "VERSION", 2)
    with pytest.raises(AnnotateError, match="labels of format 1, this uavpipe knows 2"):
        LabelStore(path)


def test_two_backups_of_one_second_have_names_of_their_own(path, labelled):
    first = migrate.dated(path, "backup")
    first.touch()
    assert migrate.dated(path, "backup") not in (first, path)
