"""A workspace that an earlier version finished: what may stay stays, the rest says why it runs again."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.chain.table import FRAMES
from pipeline.config.models import FlightConfig
from pipeline.engine.progress import progress_bar
from pipeline.run.flight import describe, run_segment_stages
from pipeline.stages.frames import FramesStage
from pipeline.workspace.folders import open_flight
from pipeline.workspace.manifest import StageFolder, write_record
from pipeline.workspace.stage import Stage
from tests.pipeline.video.samples import write_video


@pytest.fixture
def config(tmp_path):
    return FlightConfig(video=write_video(tmp_path / "v.mp4", 6, size=(64, 48)), workspace=tmp_path / "runs")


def frames(config):
    (result,) = run_segment_stages(config, config.video, FRAMES, progress_bar)
    return result


def rewritten(config, change):
    """Make the table of frames one of an earlier version, by `change` of the table."""
    folder = StageFolder(config.workspace / "v" / "frames")
    for path in folder.path.glob("frames.parquet/part-*.parquet"):
        table = pq.read_table(path)
        pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), path)
    folder.accept(folder.manifest(), ())
    return folder


def narrow(table):
    return table.drop_columns("suspect").set_column(0, "frame", table["frame"].cast(pa.int64()))


def test_a_table_of_an_earlier_layout_is_migrated_and_nothing_is_done_again(config, caplog):
    frames(config)
    (part,) = (config.workspace / "v" / "frames").glob("frames.parquet/part-*.parquet")
    today = part.read_bytes()
    folder = rewritten(config, narrow)
    assert part.read_bytes() != today
    with open_flight(config.workspace, config.video, "v") as flight:
        (stage,) = describe(config, flight, FRAMES)
        assert stage.why_stale() == ""  # also for --dry-run, which writes nothing
    assert frames(config).skipped
    assert "v: frames: 1 parts of an earlier version migrated" in caplog.text
    assert part.read_bytes() == today
    assert folder.is_current(stage.fingerprint)
    caplog.clear()
    assert frames(config).skipped
    assert not caplog.text


def test_segments_of_an_interrupted_run_are_migrated_too(config):
    frames(config)
    folder = rewritten(config, narrow)
    (folder.path / "manifest.json").unlink()
    with open_flight(config.workspace, config.video, "v") as flight:
        (stage,) = describe(config, flight, FRAMES)
        assert not stage.tables[0].has(0)
        assert stage.migrate() == 1
        assert stage.tables[0].has(0)


def test_a_table_that_lacks_what_cannot_be_known_is_made_again_and_says_so(config, caplog):
    frames(config)
    rewritten(config, lambda table: table.drop_columns("altitude_m"))
    assert not frames(config).skipped
    assert "v: frames runs again: frames.parquet was made without the column altitude_m" in caplog.text
    assert frames(config).skipped


def test_a_file_that_others_put_there_stops_nothing(config):
    frames(config)
    (config.workspace / "v" / "frames" / "frames.parquet" / "part-notes.parquet").write_text("mine")
    assert frames(config).skipped


def without(config, *names):
    """As a version finished the stage that did not have these settings yet."""
    folder = StageFolder(config.workspace / "v" / "frames")
    with open_flight(config.workspace, config.video, "v") as flight:
        (stage,) = describe(config, flight, FRAMES)
    settings = {name: value for name, value in stage.settings.items() if name not in names}
    before = replace(stage, settings=settings)
    manifest = json.loads((folder.path / "manifest.json").read_text())
    del manifest["check"]
    write_record(folder.path / "manifest.json", manifest | {"section": settings, "fingerprint": before.fingerprint})


def test_a_setting_that_is_new_leaves_what_was_done_without_it(config, caplog):
    frames(config)
    without(config, "stride")
    assert frames(config).skipped
    other = config.model_copy(update={"frames": config.frames.model_copy(update={"stride": 2})})
    assert not frames(other).skipped
    assert "v: frames runs again: stride is new, and 2" in caplog.text


@pytest.mark.parametrize(
    ("inputs", "settings", "versions", "told"),
    [
        ({"video": "b"}, {"floor": 1}, {}, "other video"),
        ({"video": "a", "lens": "c"}, {"floor": 1}, {}, "with lens"),
        ({}, {"floor": 1}, {}, "without video"),
        ({"video": "a"}, {"floor": 2, "tiles": None}, {}, "floor 1 is now 2, tiles is new, and None"),
        ({"video": "a"}, {}, {}, "floor 1 is no setting any more"),
        ({"video": "b"}, {"floor": 1}, {"uavpipe": "0.0.9"}, "other video, made by uavpipe 0.0.9, this is "),
    ],
)
def test_why_a_stage_runs_again(tmp_path, inputs, settings, versions, told):
    stage = Stage("detect", StageFolder(tmp_path), {"video": "a"}, {"floor": 1})
    stage.run([], lambda folder: {})
    folder = StageFolder(tmp_path)
    manifest = folder.manifest()
    write_record(tmp_path / "manifest.json", manifest | {"versions": manifest["versions"] | versions})
    now = replace(stage, inputs=inputs, settings=settings)
    assert now.why_stale().startswith(told)
    assert stage.why_stale() == ""
    assert replace(stage, name="other").why_stale().startswith("made by ")


def test_columns_that_were_added_are_columns():
    assert set(FramesStage.added) <= set(FramesStage.schemas["frames.parquet"].names)
