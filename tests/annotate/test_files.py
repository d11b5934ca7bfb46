import pytest

from annotate.errors import AnnotateError
from annotate.files import read_text, temporary_beside, write_text


def test_text_comes_back_and_nothing_stays_beside_it(tmp_path):
    path = tmp_path / "new" / "labels.txt"
    write_text(path, "zwei\nZeilen ä\n")
    write_text(path, "eine\r\n")
    assert path.read_bytes() == b"eine\r\n"
    assert read_text(path) == "eine\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "labels.sqlite"
    path.write_text("old")
    with pytest.raises(RuntimeError), temporary_beside(path) as temporary:
        for suffix in ("", "-wal", "-shm"):
            temporary.with_name(temporary.name + suffix).write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_have_two_names(tmp_path):
    with temporary_beside(tmp_path / "a") as one, temporary_beside(tmp_path / "a") as other:
        assert one != other


def test_a_folder_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AnnotateError, match=r"file/labels\.txt: cannot be created: "):
        write_text(tmp_path / "file" / "labels.txt", "")
