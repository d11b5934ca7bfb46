import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from annotate.errors import AnnotateError, Busy, Refused, Unusable
from annotate.log.recover import recover
from annotate.log.store import LabelStore
from annotate.operations import Assign, Mark, NewIdentity, Rename, SetMark, Split, Undo
from annotate.records import Detection, Tracklet

SECONDS = 60


def tracklets(flight="f", count=3):
    content = [Detection(frame, 0, frame / 10, (0, 0, 10, 20), 0.9) for frame in range(4 * count)]
    return [Tracklet(flight, number, tuple(content[4 * number : 4 * number + 4])) for number in range(count)]


@pytest.fixture
def store(path):
    with LabelStore(path) as store:
        store.add_flight("f", tracklets())
        yield store


def reopened(path, **options):
    with LabelStore(path, create=False, **options) as store:
        return store


def test_what_was_decided_is_there_again(store, path):
    new = store.apply(NewIdentity(tracklets=("f/0",), name="Anna"), user="ann", id="a")
    store.apply(Split(tracklet="f/0", frame=2), user="ann", id="b")
    store.undo(user="ann", id="c")
    store.redo(user="ann", id="d")
    assert new.created == 1
    again = reopened(path)
    assert again.state == store.state
    assert again.entries == store.entries
    assert again.chain == store.chain


def test_a_repeated_request_is_applied_once(store):
    first = store.apply(NewIdentity(tracklets=("f/0",)), user="ann", id="a")
    again = store.apply(NewIdentity(tracklets=("f/0",)), user="ann", id="a")
    assert (first.repeated, again.repeated) == (False, True)
    assert (again.entry, again.created) == (first.entry, first.created)
    store.apply(SetMark(tracklets=("f/0",), mark=Mark.JUNK), user="ann", id="b")
    assert store.undo(user="ann", id="c").entry.operation == Undo(target=3)
    assert store.undo(user="ann", id="c").repeated
    assert store.state.labels["f/0"] == 1


@pytest.mark.parametrize("user", ["ann", "bob"])
def test_an_id_names_one_request(store, user):
    store.apply(NewIdentity(), user="ann", id="a")
    with pytest.raises(Refused, match="id a was used for operation 2"):
        store.apply(NewIdentity(name="Berta"), user=user, id="a")
    with pytest.raises(Refused, match="id a was used"):
        store.undo(user=user, id="a")


@pytest.mark.parametrize(("user", "id", "field"), [("", "a", "user"), ("a\nb", "a", "user"), ("ann", "a b", "id")])
def test_users_and_ids_are_checked(store, user, id, field):
    with pytest.raises(AnnotateError, match=f"^{field}: "):
        store.apply(NewIdentity(), user=user, id=id)


def test_what_is_refused_leaves_no_trace(store, path):
    with pytest.raises(Refused, match="no tracklet f/9"):
        store.apply(NewIdentity(tracklets=("f/0", "f/9")), user="ann", id="a")
    assert len(store.entries) == len(reopened(path).entries) == 1
    assert store.state == reopened(path).state
    store.apply(NewIdentity(tracklets=("f/0",)), user="ann", id="a")  # the id is still free


def test_each_takes_in_what_the_other_decided(store, path):
    with LabelStore(path) as other:
        number = store.apply(NewIdentity(), user="ann", id="a").created
        other.apply(Assign(tracklets=("f/1",), identity=number), user="bob", id="b")
        assert store.state.labels["f/1"] is Mark.OPEN
        store.refresh()
        assert store.state.labels["f/1"] == number


def test_a_decision_on_what_changed_meanwhile_is_refused(store):
    number = store.apply(NewIdentity(name="Anna"), user="ann", id="a").created
    seen = len(store.entries)
    store.apply(Split(tracklet="f/0", frame=2), user="bob", id="b")
    with pytest.raises(Refused, match=r"tracklet f/0 was changed meanwhile by operation 3 \(split by bob\)"):
        store.apply(Assign(tracklets=("f/0",), identity=number), user="ann", id="c", seen=seen)
    store.apply(Assign(tracklets=("f/1",), identity=number), user="ann", id="c", seen=seen)
    with pytest.raises(Refused, match=r"by operation 3 \(split by bob\)"):  # in another window of his
        store.apply(Assign(tracklets=("f/0",), identity=number), user="bob", id="d", seen=seen)


def test_what_is_not_ones_own_is_not_taken_back(store):
    first = store.apply(NewIdentity(name="Anna"), user="ann", id="one.1").entry
    with pytest.raises(Refused, match="operation 2, the last of ann, was made in another window"):
        store.undo(user="ann", id="two.1", own=lambda entry: entry.id.startswith("two."))
    undone = store.undo(user="ann", id="one.2", own=lambda entry: entry.id.startswith("one."))
    assert undone.entry.operation == Undo(target=first.sequence)
    with pytest.raises(Refused, match="made in another window"):
        store.redo(user="ann", id="two.2", own=lambda entry: entry.id.startswith("two."))


def test_tracklets_made_again_are_refused(store):
    store.add_flight("f", tracklets())
    assert len(store.entries) == 1
    with pytest.raises(AnnotateError, match="tracklets of f are not those that were labelled"):
        store.add_flight("f", tracklets(count=2))
    store.add_flight("g", tracklets("g", 2))
    assert list(store.state.flights) == ["f", "g"]


def test_threads_share_a_store(store):
    def work(user):
        for number in range(20):
            store.apply(NewIdentity(name=user), user=user, id=f"{user}-{number}")

    threads = [threading.Thread(target=work, args=(user,)) for user in ("ann", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(store.state.identities.values()) == ["ann"] * 20 + ["bob"] * 20


def test_a_failure_in_the_middle_leaves_memory_and_disk_as_they_were(store, path, monkeypatch):
    def fail(*_):
        raise OSError("no space left")

    store.apply(NewIdentity(), user="ann", id="a")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(store._history, "perform", fail)
        store.apply(NewIdentity(), user="ann", id="b")
    assert store.state == reopened(path).state
    assert store.apply(NewIdentity(), user="ann", id="b").created == 2


def test_a_full_disk_is_one_line_and_no_decision(store, path):
    store.apply(NewIdentity(), user="ann", id="a")
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(AnnotateError, match=r"labels\.sqlite: cannot be used: database or disk is full"):
        for number in range(100):
            store.apply(NewIdentity(name="x" * 200), user="ann", id=f"b{number}")
    store._connection.execute("PRAGMA max_page_count = 1000")
    assert store.state == reopened(path).state
    store.apply(NewIdentity(name="x" * 200), user="ann", id=f"b{number}")
    assert store.state.last_identity == number + 2


def test_several_decisions_are_all_or_none(store, path):
    with store.together(user="ann", id="a") as decide:
        decide(NewIdentity(tracklets=(decide(Split(tracklet="f/0", frame=2)),)))
    assert store.state.labels["f/3"] == 1
    with pytest.raises(Refused, match="no identity 9"), store.together(user="ann", id="b") as decide:
        decide(SetMark(tracklets=("f/1",), mark=Mark.JUNK))
        decide(Assign(tracklets=("f/1",), identity=9))
    assert store.state.labels["f/1"] is Mark.OPEN
    assert store.state == reopened(path).state


def test_nobody_decides_while_somebody_reads(store):
    with store.reading() as state:
        thread = threading.Thread(target=lambda: store.apply(NewIdentity(), user="bob", id="a"))
        thread.start()
        thread.join(0.1)
        assert state.identities == {}
    thread.join()
    assert store.state.identities == {1: ""}


# --- leases


def test_leases_run_out(path):
    clock = [datetime(2030, 1, 1, tzinfo=UTC)]
    with LabelStore(path, now=lambda: clock[0]) as store, LabelStore(path, now=lambda: clock[0]) as other:
        assert store.leases.take("f/0", "ann", SECONDS)
        assert not other.leases.take("f/0", "bob", SECONDS)
        assert store.leases.take("f/0", "ann", SECONDS)
        assert other.leases.held() == {"f/0": "ann"}
        clock[0] += timedelta(seconds=SECONDS)
        assert other.leases.held() == {}
        assert other.leases.take("f/0", "bob", SECONDS)
        assert store.leases.held() == {"f/0": "bob"}
        assert not store.leases.take("f/0", "ann", SECONDS)
    assert reopened(path).entries == []


def test_who_leaves_gives_back_what_was_theirs(store, path, impatient):
    for tracklet, user in (("f/0", "ann"), ("f/1", "ann"), ("f/2", "bob")):
        assert store.leases.take(tracklet, user, SECONDS)
    with held(path):
        store.leases.give_up("ann")
        assert set(store.leases.held()) == {"f/0", "f/1", "f/2"}  # nobody waits; these run out
        assert store.leases.take("f/3", "bob", SECONDS)
        store.leases.give_up("bob")
        assert "f/3" not in store.leases.held()  # was in memory alone
    store.leases.give_up("ann")
    assert store.leases.held() == {"f/2": "bob"}


@contextmanager
def held(path, begin="BEGIN IMMEDIATE"):
    """Another program that has begun to write, and takes its time."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        for statement in begin.split("; "):
            other.execute(statement)
        yield other
        if other.in_transaction:
            other.execute("ROLLBACK")


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("annotate.log.database.WAIT_S", 0.05)


@pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_while_another_program_writes_reading_goes_on_and_deciding_is_busy(store, path, text, impatient, begin):
    store.apply(NewIdentity(name="before"), user="ann", id="a")
    before = text.read_bytes()
    with held(path, begin):
        with store.reading() as state:
            assert state.identities == {1: "before"}
        assert reopened(path, write=False).entries == store.entries
        assert store.leases.take("f/0", "ann", SECONDS)
        assert not store.leases.take("f/0", "bob", SECONDS)
        assert store.leases.held() == {"f/0": "ann"}
        with pytest.raises(Busy, match=r"labels\.sqlite: another program is writing to the labels: try again"):
            store.apply(NewIdentity(name="during"), user="ann", id="b")
    assert text.read_bytes() == before
    assert not store.apply(NewIdentity(name="during"), user="ann", id="b").repeated
    assert list(reopened(path).state.identities.values()) == ["before", "during"]


def test_readers_do_not_wait_for_a_thread_that_waits_to_decide(store, path):
    with held(path):
        thread = threading.Thread(target=lambda: store.apply(NewIdentity(name="late"), user="bob", id="a"))
        thread.start()
        for _ in range(20):
            with store.reading() as state:
                assert state.identities == {}
        assert thread.is_alive()  # the reader was not kept until the other program ended
    thread.join()
    assert store.state.identities == {1: "late"}


def test_where_the_file_cannot_even_be_read_the_labels_are_those_known(store, monkeypatch):
    def busy(*_):
        raise Busy("kept by another program")

    store.apply(NewIdentity(name="a"), user="ann", id="a")
    monkeypatch.setattr(store, "refresh", busy)
    with store.reading() as state:
        assert state.identities == {1: "a"}


# --- damage


@pytest.mark.parametrize("page", [1, 2, 3, 4])
def test_a_page_overwritten_under_the_program_is_noticed_at_the_next_decision(store, path, text, page):
    store.apply(NewIdentity(name="a"), user="ann", id="a")
    with path.open("rb+") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xa5" * 4096)
    os.utime(path, (1, 1))  # the clock of a file is coarse
    for _ in range(2):
        with pytest.raises(Unusable, match="it was damaged or changed by hand: `uavpipe annotate log --recover"):
            store.apply(NewIdentity(name="b"), user="ann", id="b")
    assert store.state.identities == {1: "a"}  # what is known can still be shown
    store.close()
    assert recover(path).from_text == 2
    assert list(reopened(path).state.identities.values()) == ["a"]


def test_a_file_touched_by_others_is_no_damage(store, path):
    store.apply(NewIdentity(name="a"), user="ann", id="a")
    os.utime(path, (1, 1))
    assert store.apply(NewIdentity(name="b"), user="ann", id="b").created == 2


def tamper(path, *statements):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER operations_stay")
        connection.execute("DROP TRIGGER operations_are_kept")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("DELETE FROM operations WHERE sequence = 2", "operation 2 is missing"),
        ("UPDATE operations SET user = 'eve' WHERE sequence = 2", r"operation 2 \(new_identity by eve\) is not as"),
        ('UPDATE operations SET operation = \'{"op": "drop"}\' WHERE sequence = 3', "operation 3: .*'drop'"),
        (
            "UPDATE operations SET operation = substr(operation, 1, 9) WHERE sequence = 3",
            "operation 3: Invalid JSON",
        ),
        ("UPDATE operations SET hash = '' WHERE sequence = 1", "operation 1 .* is not as"),
        ("DROP TABLE operations", "no such table"),
        ("PRAGMA user_version = 9", "labels of format 9, this uavpipe knows 1; install a newer"),
        ("PRAGMA application_id = 9", "not of labels"),
    ],
)
def test_damage_is_named_and_nothing_skipped(store, path, statement, complaint):
    store.apply(NewIdentity(), user="ann", id="a")
    store.apply(Rename(identity=1, name="Anna"), user="ann", id="b")
    store.close()
    tamper(path, statement)
    with pytest.raises(AnnotateError, match=complaint):
        LabelStore(path)


def test_a_log_that_does_not_follow_from_itself_is_refused(store, path):
    store.apply(NewIdentity(), user="ann", id="a")
    chain, entry = store.chain, store.entries[-1]
    store.close()
    row = type(entry)(3, "b", "ann", entry.time, Rename(identity=7, name="x"))
    tamper(
        path,
        f"INSERT INTO operations VALUES (3, 'b', 'ann', '{row.time}', "
        f"'{row.operation.model_dump_json()}', '{row.chained(chain)}')",
    )
    with pytest.raises(AnnotateError, match="operation 3 cannot follow: there is no identity 7"):
        LabelStore(path)


def test_the_log_only_grows(store, path):
    with closing(sqlite3.connect(path)) as connection:
        for statement in ("DELETE FROM operations", "UPDATE operations SET user = 'eve'"):
            with pytest.raises(sqlite3.DatabaseError, match="only grows"):
                connection.execute(statement)


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + bytes(100)])
def test_what_is_no_database_is_one_line(path, content):
    path.write_bytes(content)
    with pytest.raises(AnnotateError, match=r"labels\.sqlite: "):
        LabelStore(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_left_alone(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")
    before = path.read_bytes()
    with pytest.raises(AnnotateError, match="not of labels"):
        LabelStore(path)
    assert path.read_bytes() == before


def test_missing_labels_are_not_made_where_they_are_only_read(path):
    with pytest.raises(AnnotateError, match="no such file"):
        LabelStore(path, create=False)
    assert not path.exists()


# --- processes

WRITER = """
import sys
from pathlib import Path
from annotate.operations import NewIdentity
from annotate.log.store import LabelStore
path, name, first = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with LabelStore(path) as store:
    for number in range(first, first + int(sys.argv[4])):
        outcome = store.apply(NewIdentity(name=f"{name}-{number}"), user=name, id=f"{name}-{number}")
        print(number, flush=True)
"""


def writer(path, name, first, count):
    command = [sys.executable, "-c", WRITER, str(path), name, str(first), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_no_acknowledged_decision_is_lost_to_kill_9(path):
    acknowledged = -1
    for kill in range(20):
        # The client asks again for all that it got no answer to: here, from the next number on.
        process = writer(path, "ann", acknowledged + 1, 10**6)
        for _ in range(1 + kill % 5):
            acknowledged = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        for line in process.stdout.read().splitlines(keepends=True):
            acknowledged = int(line) if line.endswith("\n") else acknowledged
        process.wait()
        process.stdout.close()
        names = list(reopened(path).state.identities.values())
        assert names[: acknowledged + 1] == [f"ann-{number}" for number in range(acknowledged + 1)]
        assert len(names) <= acknowledged + 2  # at most one was decided whose answer was lost
        assert len(names) == len(set(names))


def test_two_processes_write_at_once(store, path):
    processes = [writer(path, name, 0, 40) for name in ("ann", "bob")]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    names = sorted(reopened(path).state.identities.values())
    assert names == sorted(f"{name}-{number}" for name in ("ann", "bob") for number in range(40))


def test_an_emptied_file_is_refused_and_stays(store, path):
    store.apply(NewIdentity(), user="ann", id="a")
    store.close()
    path.write_bytes(b"")
    for create in (True, False):
        with pytest.raises(AnnotateError, match=r"labels\.sqlite: empty, its labels are lost: restore a copy"):
            LabelStore(path, create=create)
    assert path.read_bytes() == b""


def test_a_new_file_is_whole_from_the_first_moment(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("annotate.log.database.sqlite3.connect", _killed_but_for_memory(sqlite3.connect))
        with pytest.raises(KeyboardInterrupt):
            LabelStore(path)
    assert path.stat().st_size
    with LabelStore(path, create=False) as store:
        assert store.entries == []
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name, f"{path.name}.log.jsonl"]


def _killed_but_for_memory(connect):
    def maybe(target, *arguments, **options):
        if target != ":memory:":
            raise KeyboardInterrupt
        return connect(target, *arguments, **options)

    return maybe
