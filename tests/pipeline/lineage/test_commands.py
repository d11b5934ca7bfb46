"""The commands that lineage names, against the chain's table."""

import pytest

from pipeline.chain.table import CHAIN, CLIP, DATASET, EMBEDDINGS, OVERLAY, TRACKS, Scope
from pipeline.lineage.commands import command_of, stage_of
from pipeline.workspace.manifest import StageFolder, write_record
from pipeline.workspace.stage import Stage


@pytest.fixture
def flight(tmp_path):
    """A flight whose stages obeyed no defaults."""
    folder = tmp_path / "runs" / "f1"
    sections = {
        "detections": {"floor": 0.02},
        "crops": {"every": 3, "threshold": 0.2, "camera": {"fov_deg": 70.0}},
        "appearance": {"low": 0.3},
        "tracks": {"low": 0.3, "lost_s": 4.0},
        "overlay": {"max_width": 320},
    }
    inputs = {"frames": {"segment_frames": 64, "telemetry": "off"}, "detections": {"weights": "0" * 64}}
    for stage in CHAIN:
        if stage.scope is not Scope.WORKSPACE:
            of = inputs.get(stage.folder, {})
            place = StageFolder(folder / stage.folder)
            place.begin()
            Stage(stage.name, place, of, sections.get(stage.folder, {})).finish({}, 0.0, [])
    write_record(folder / "flight.json", {"video": "f1.mp4", "sha256": "", "stamp": []})
    return folder


def test_a_command_repeats_the_settings_of_all_that_it_runs(flight):
    reading = "--set telemetry=off --set frames.segment_frames=64"
    detect = "--set detector.weights=FILE_WITH_THAT_HASH --set detector.floor=0.02"
    where = f"f1.mp4 --workspace {flight.parent} {reading} {detect}"
    assert stage_of(flight, TRACKS)["command"] == (
        f"uavpipe tracks {where} --set detector.threshold=0.2 --set camera.fov_deg=70.0 --set crops.stride=3 "
        "--set tracks.min_score=0.3 --set tracks.max_gap_s=4.0"
    )
    assert stage_of(flight, OVERLAY)["command"] == f"uavpipe overlay {where} --set overlay.max_width=320"


def test_what_is_of_all_flights_names_the_workspace(flight):
    assert stage_of(flight, CLIP)["command"] == f"uavpipe report --workspace {flight.parent}"
    assert stage_of(flight, EMBEDDINGS)["command"] == f"uavpipe annotate embed --workspace {flight.parent}"
    dataset = command_of(DATASET, flight.parent / "dataset", {"section": {"gap_s": 9.0}})
    assert dataset == f"uavpipe dataset --workspace {flight.parent} --set dataset.gap_s=9.0"


def test_an_unfinished_stage_has_no_provenance(flight):
    (flight / TRACKS.folder / "manifest.json").unlink()
    assert stage_of(flight, TRACKS) is None
