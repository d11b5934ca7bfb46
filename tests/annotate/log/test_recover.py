import shutil
from contextlib import suppress

import pytest

from annotate.errors import AnnotateError
from annotate.log import recover as recovery
from annotate.log.recover import Recovered, recover
from annotate.log.store import LabelStore
from annotate.log.text import read_log


def names(path):
    with LabelStore(path) as store:
        assert read_log(path.with_name(f"{path.name}.log.jsonl")) == store.entries
        return list(store.state.identities.values())


def kept(path):
    return sorted(each.name for each in path.parent.iterdir() if "damaged" in each.name)


def overwrite(path, page):
    """Fill a page of the database, from 1, with what is no page."""
    with path.open("rb+") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xa5" * 4096)


def test_whole_labels_are_left_alone(path, text, labelled):
    before = path.read_bytes(), text.read_bytes()
    assert recover(path) == Recovered(4, 0, 0, None)
    assert (path.read_bytes(), text.read_bytes()) == before
    assert kept(path) == []


def test_a_lost_write_ahead_log_is_made_good_by_the_text(path, killed):
    path.with_name("labels.sqlite-wal").unlink()
    found = recover(path)
    assert (found.from_text, found.from_database, found.lost) == (6, 0, 0)
    assert names(path) == ["a", "b", "c", "d", "e"]
    assert kept(path) == [found.kept.name, f"{found.kept.name}.log.jsonl"]
    assert found.kept.name.startswith("labels.sqlite.damaged-2")


def test_a_lost_database_is_made_good_by_the_text(path, labelled):
    path.unlink()
    assert recover(path).from_text == 4
    assert names(path) == ["a", "b", "c"]


def test_a_lost_text_is_written_from_the_database(path, text, labelled):
    text.unlink()
    found = recover(path)
    assert (found.from_text, found.from_database) == (0, 4)
    assert names(path) == ["a", "b", "c"]


@pytest.mark.parametrize("page", range(1, 6))
def test_any_page_may_be_damaged(path, labelled, page):
    overwrite(path, page)
    assert recover(path).from_text == 4
    assert names(path) == ["a", "b", "c"]


def test_a_gap_in_each_is_closed_by_the_other(path, text, killed):
    path.with_name("labels.sqlite-wal").unlink()  # d and e
    lines = text.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b'"b"', b'"B"')  # b
    text.write_bytes(b"".join(lines))
    found = recover(path)
    assert (found.from_text, found.from_database, found.lost) == (5, 1, 0)
    assert names(path) == ["a", "b", "c", "d", "e"]


def test_what_follows_a_gap_in_both_is_counted_as_lost(path, text, killed):
    path.with_name("labels.sqlite-wal").unlink()
    lines = text.read_bytes().splitlines(keepends=True)
    del lines[5]  # d
    text.write_bytes(b"".join(lines))
    found = recover(path)
    assert (found.from_text, found.from_database, found.lost) == (4, 0, 2)
    assert names(path) == ["a", "b", "c"]
    assert b'"e"' in (path.with_name(f"{found.kept.name}.log.jsonl")).read_bytes()


def test_a_changed_line_in_the_middle_is_found_and_written_again(path, text, labelled):
    text.write_bytes(
        text.read_bytes().replace(b'"name":"a"', b'"name":"A"').replace(b'"name": "a"', b'"name": "A"')
    )
    assert names_alone(path) == ["a", "b", "c"]  # only the end is compared when the labels are opened
    found = recover(path)
    assert (found.from_text, found.from_database) == (3, 1)
    assert names(path) == ["a", "b", "c"]


def names_alone(path):
    with LabelStore(path, write=False) as store:
        return list(store.state.identities.values())


def test_of_two_that_diverged_the_longer_is_taken_and_both_are_kept(path, text, labelled):
    mine = text.read_bytes()
    path.unlink()
    text.unlink()
    labelled("w", "x", "y", "z")
    text.write_bytes(mine)
    found = recover(path)
    assert (found.from_text, found.from_database) == (0, 5)
    assert names(path) == ["w", "x", "y", "z"]
    assert (path.with_name(f"{found.kept.name}.log.jsonl")).read_bytes() == mine


@pytest.mark.parametrize("content", [b"", b"no text\n", b"\xff\n\xff\n"])
def test_where_nothing_can_be_read_nothing_is_changed(path, text, labelled, content):
    path.write_bytes(content)
    text.write_bytes(content)
    with pytest.raises(AnnotateError, match="no operation can be read"):
        recover(path)
    assert (path.read_bytes(), text.read_bytes()) == (content, content)
    path.unlink()
    text.unlink()
    with pytest.raises(AnnotateError, match="there is nothing to recover"):
        recover(path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("step", range(8))
def test_a_kill_at_any_step_loses_nothing(path, killed, monkeypatch, step):
    """The steps are the calls that put a file or a name on the disk."""
    path.with_name("labels.sqlite-wal").unlink()
    left = step

    def until_killed(real):
        def call(*arguments):
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return real(*arguments)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(recovery.shutil, "copyfile", until_killed(shutil.copyfile))
        patch.setattr(recovery, "sync_file", until_killed(recovery.sync_file))
        patch.setattr(recovery, "sync_folder", until_killed(recovery.sync_folder))
        with suppress(KeyboardInterrupt):
            recover(path)
    recover(path)
    assert names(path) == ["a", "b", "c", "d", "e"]
