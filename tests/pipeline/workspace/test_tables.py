import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import PipelineError
from pipeline.workspace.entries import MANIFEST
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.promises import read_columns
from pipeline.workspace.tables import SegmentTable, read_file, read_table

SCHEMA = pa.schema([("frame", pa.int32()), ("score", pa.float32())])


def table(tmp_path, fingerprint="mark"):
    return SegmentTable(tmp_path / "t.parquet", SCHEMA, fingerprint)


def test_rows_come_back_in_order_of_frames(tmp_path):
    parts = table(tmp_path)
    parts.write(256, [{"frame": 256, "score": 0.5}])
    parts.write(0, [{"frame": 0, "score": 0.25}, {"frame": 1, "score": 1.0}])
    expected = pd.DataFrame({"frame": [0, 1, 256], "score": [0.25, 1.0, 0.5]}).astype(
        {"frame": "int32", "score": "float32"}
    )
    pd.testing.assert_frame_equal(read_table(parts.folder), expected)
    pd.testing.assert_frame_equal(pd.read_parquet(parts.folder), expected)


def test_only_whole_parts_of_the_same_fingerprint_count(tmp_path):
    parts = table(tmp_path)
    assert not parts.has(0)
    parts.write(0, [])
    assert parts.has(0)
    assert not table(tmp_path, "other").has(0)
    data = parts.part(0).read_bytes()
    parts.part(0).write_bytes(data[: len(data) // 2])
    assert not parts.has(0)
    parts.part(0).write_bytes(b"")
    assert not parts.has(0)


def test_a_part_that_another_machine_has_just_written_is_seen(tmp_path, monkeypatch):
    """A network file system says that there is none, until the folder is opened."""
    parts, real, opened = table(tmp_path), pq.read_table, []
    parts.write(0, [])

    def listing(path):
        opened.append(path)
        return iter(())

    def read(path, **options):
        if not opened:
            raise FileNotFoundError(path)
        return real(path, **options)

    monkeypatch.setattr("pathlib.Path.iterdir", listing)
    monkeypatch.setattr(pq, "read_table", read)
    assert parts.has(0)
    assert opened == [parts.folder]


def test_a_part_with_one_bit_changed_does_not_count(tmp_path):
    parts = table(tmp_path)
    parts.write(0, [{"frame": frame, "score": 0.5} for frame in range(100)])
    data = bytearray(parts.part(0).read_bytes())
    data[len(data) // 8] ^= 1
    parts.part(0).write_bytes(data)
    assert not parts.has(0)


def test_equal_rows_are_equal_bytes(tmp_path):
    for name in ("a", "b"):
        table(tmp_path / name).write(0, [{"frame": 3, "score": 0.1}])
    assert table(tmp_path / "a").part(0).read_bytes() == table(tmp_path / "b").part(0).read_bytes()


def test_parts_of_segments_that_are_no_more_are_swept(tmp_path):
    parts = table(tmp_path)
    for first in (0, 100, 200):
        parts.write(first, [])
    parts.sweep({0, 200})
    assert [path.name for path in sorted(parts.folder.iterdir())] == [
        "part-00000000.parquet",
        "part-00000200.parquet",
    ]


@pytest.mark.parametrize("read", [read_file, read_table, read_columns])
def test_a_part_that_vanished_is_missed(tmp_path, read):
    parts = table(tmp_path)
    for first in (0, 100):
        parts.write(first, [{"frame": first, "score": 0.5}])
    StageFolder(tmp_path).finish({"files": parts.files(tmp_path, [0, 100])})
    assert len(read(parts.folder, ["frame"])["frame"]) == 2
    parts.part(100).unlink()
    with pytest.raises(PipelineError, match=r"t\.parquet/part-00000100\.parquet: missing"):
        read(parts.folder, ["frame"])
    (tmp_path / MANIFEST).unlink()  # unfinished: the parts are those that are there
    assert len(read(parts.folder, ["frame"])["frame"]) == 1
