import json
import shutil
import tarfile
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from annotate.log.store import LABELS, LabelStore
from annotate.operations import SetMark
from pipeline.cli import main
from pipeline.workspace.manifest import StageFolder

ARCHIVE = Path(__file__).parent / "old_workspace.tar.xz"
# Files of each kind that the workspace has; those of a group are damaged together, as none hides another's damage.
FILES = {
    "tables": (
        "flight1/frames/frames.parquet/part-00000000.parquet",
        "flight1/detections/detections.parquet/part-00000008.parquet",
        "flight1/crops/crops.parquet/part-00000000.parquet",
        "flight1/motion/motion.parquet/part-00000000.parquet",
        "flight1/motion/edges.parquet/part-00000008.parquet",
        "flight1/appearance/appearance.parquet/part-00000000.parquet",
        "flight1/tracks/tracklets.parquet",
        "dataset/dataset.parquet",
        "dataset/statistics.json",
        "dataset/statistics.html",
        "reid/embedded-4eb80bf4/test/metrics.json",
        "reid/embedded-4eb80bf4/test/queries.parquet",
        "reid/embedded-4eb80bf4/test/ranked.parquet",
    ),
    "manifests": (
        "flight1/flight.json",
        "flight1/frames/manifest.json",
        "flight1/detections/manifest.json",
        "flight1/crops/manifest.json",
        "flight1/motion/manifest.json",
        "flight1/appearance/manifest.json",
        "flight2/tracks/manifest.json",
        "dataset/manifest.json",
        "reid/embedded-4eb80bf4/test/manifest.json",
        "labels.sqlite",
    ),
    "images": (
        "flight1/crops/images/00000000/00000000_000.jpg",
        "flight2/crops/images/00000008/00000010_002.jpg",
        "dataset/bounding_box_train/0002_c1s1_000000_01.jpg",
    ),
}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A finished workspace of two flights, labelled, with a data set and an evaluation."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    test = StageFolder(Path("runs/reid/embedded-4eb80bf4/test"))
    files = json.loads((test.path / "manifest.json").read_text())["files"]
    test.finish({"stage": "evaluate", "fingerprint": "", "inputs": {}, "section": {}, "counts": {}, "files": files})
    return Path("runs")


def verify(status):
    result = CliRunner().invoke(main, ["verify"])
    assert result.exit_code == status, (result.output, result.exception)
    return result.output


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def flip(path):
    content = bytearray(path.read_bytes())
    content[content.find(b"new_identity") if b"SQLite" in content else len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_whole_workspace_is_one_line_a_flight(runs):
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file()}
    first, second, third = verify(0).splitlines()
    assert first.split(maxsplit=1) == ["flight1", first.split(maxsplit=1)[1]]
    assert first.endswith("undamaged; whole: frames, detect, crops, motion, appearance, tracks")
    assert second.startswith("flight2")
    assert third.endswith("undamaged; whole: label, dataset, reid/embedded-4eb80bf4/test")
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.parametrize("damage", [Path.unlink, cut, flip], ids=["delete", "cut", "flip"])
@pytest.mark.parametrize("group", FILES)
def test_each_kind_of_file_is_named_with_what_mends_it(runs, group, damage):
    for name in FILES[group]:
        damage(runs / name)
    out = verify(1)
    assert [name for name in FILES[group] if f"  runs/{name}: " not in out] == [], out
    assert "    mend: " in out


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("crops/images/00000000/00000000_000.jpg", "crops/images/00000000/00000000_001.jpg"),
        (
            "detections/detections.parquet/part-00000000.parquet",
            "detections/detections.parquet/part-00000008.parquet",
        ),
        ("motion/motion.parquet/part-00000000.parquet", "motion/motion.parquet/part-00000008.parquet"),
    ],
)
def test_two_files_that_were_swapped_are_both_named(runs, one, other):
    paths = [runs / "flight1" / name for name in (one, other)]
    first, second = (path.read_bytes() for path in paths)
    paths[0].write_bytes(second)
    paths[1].write_bytes(first)
    out = verify(1)
    assert all(f"{path}: " in out for path in paths)


@pytest.mark.parametrize("stage", ["frames", "detections", "crops", "motion", "appearance", "tracks"])
def test_a_stage_that_others_were_made_from_is_missed(runs, stage):
    shutil.rmtree(runs / "flight1" / stage)
    out = verify(1)
    assert f"runs/flight1/{stage}" in out


def test_a_part_that_vanished_and_one_too_many(runs):
    parts = runs / "flight2" / "crops" / "crops.parquet"
    shutil.copy(parts / "part-00000008.parquet", parts / "part-00000099.parquet")
    assert "part-00000099.parquet: a part that the plan of segments does not have" in verify(1)
    (parts / "part-00000099.parquet").unlink()
    (parts / "part-00000008.parquet").unlink()
    assert "part-00000008.parquet: missing" in verify(1)


def rewrite(table, change):
    """Change a table of one part, and its manifest as if the stage had written it so."""
    rows = change(pd.read_parquet(table))
    rows.to_parquet(table, index=False)
    folder = StageFolder(next(path for path in table.parents if (path / "manifest.json").exists()))
    manifest = folder.manifest()
    manifest.pop("check", None)
    folder.finish({**manifest, "files": sorted(manifest["files"])})


@pytest.mark.parametrize(
    ("table", "change", "expected"),
    [
        (
            "tracks/tracklets.parquet",
            lambda rows: rows.assign(rank=rows["rank"] + 50),
            "no detection of detections",
        ),
        ("tracks/tracklets.parquet", lambda rows: pd.concat([rows, rows[:1]]), "a detection is there twice"),
        (
            "detections/detections.parquet/part-00000008.parquet",
            lambda rows: rows.assign(frame=99),
            "no decoded frame",
        ),
        (
            "crops/crops.parquet/part-00000008.parquet",
            lambda rows: rows.assign(rank=rows["rank"] + 50),
            "no detection",
        ),
        ("frames/frames.parquet/part-00000008.parquet", lambda rows: rows[1:], "its frames are not 0, 1, 2"),
        ("motion/motion.parquet/part-00000008.parquet", lambda rows: rows[1:], "no row for frame"),
        ("crops/crops.parquet/part-00000008.parquet", lambda rows: rows[1:], "crops, expected"),
    ],
)
def test_tables_that_do_not_fit_each_other(runs, table, change, expected):
    rewrite(runs / "flight1" / table, change)
    out = verify(1)
    assert expected in out
    assert "mend: remove runs/flight1/" in out


def test_stale_stages_and_strays_are_notes(runs):
    with LabelStore(runs / LABELS) as store:
        store.apply(SetMark(tracklets=("flight1/0",), mark="junk"), user="ann", id="1")
    (runs / "flight1" / "notes.txt").write_text("a sunny day")
    (runs / "flight1" / "crops" / ".DS_Store").write_text("")
    out = verify(0)
    assert "note: dataset is stale: other labels" in out
    assert "note: 2 files that no stage made: runs/flight1/crops/.DS_Store, runs/flight1/notes.txt" in out
    path = runs / "flight1" / "detections" / "manifest.json"
    content = json.loads(path.read_text())
    content.pop("check", None)
    path.write_text(json.dumps({**content, "fingerprint": "of another detector"}))
    assert "note: crops is stale: other detect; uavpipe crops " in verify(0)


def test_notes_where_a_stage_was_are_no_unfinished_stage(runs):
    for folder in ("dataset", "flight1/overlay"):
        shutil.rmtree(runs / folder, ignore_errors=True)
        (runs / folder).mkdir()
        (runs / folder / "notes.txt").write_text("mine")
    result = CliRunner().invoke(main, ["verify", "--workspace", str(runs)])
    assert "interrupted" not in result.output
    (runs / "flight1" / "overlay" / "overlay.mp4").touch()
    result = CliRunner().invoke(main, ["verify", "--workspace", str(runs)])
    assert "overlay/manifest.json: missing or damaged: the stage was interrupted" in result.output


def test_labels_of_other_tracklets(runs):
    rewrite(runs / "flight1" / "tracks/tracklets.parquet", lambda rows: rows[rows["tracklet"] > 0])
    assert "tracklets.parquet: these tracklets are not the labelled ones" in verify(1)
    (runs / LABELS).unlink()
    assert "labels.sqlite: missing, and a data set was made of it" in verify(1)


def test_a_place_without_flights(runs):
    result = CliRunner().invoke(main, ["verify", "--workspace", "nowhere"])
    assert (result.exit_code, result.output.strip()) == (
        1,
        "uavpipe: nowhere: no flights here; name the --workspace",
    )
