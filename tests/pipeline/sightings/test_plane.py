"""Places in a flight's own plane: by hand for a camera that pans, and across a cut."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from annotate.suggestions.ground import Ground
from pipeline.sightings import read_sightings
from pipeline.sightings.drawing import HEIGHT, WIDTH, make_map, make_maps
from pipeline.sightings.formats import missing_on_map, written
from pipeline.sightings.plane import COLUMNS
from pipeline.sightings.records import PlanePlace, PlaneStep
from pipeline.workspace.atomic import write_json
from pipeline.workspace.manifest import write_record
from tests.pipeline.sightings.test_maps import ANN

WIDE, HIGH = 200, 120  # px of a frame
METRE = 40 / 1.7  # px: the boxes of the workspace are 40 px high
HERE = replace(ANN, position=None, drone=None, radius_m=None, path=(), plane=PlanePlace(1.0, 2.0, 1))


@pytest.fixture
def panned(make_workspace, walk):
    """Called with frames at which the scene is cut: a flight whose picture moves 3 px left and 1 px up a frame."""

    def make(*cuts):
        # The first walks from frame 0 to 29, the second from 12 to 16; each moves 1 px right a frame.
        workspace = make_workspace({"f1": [walk(1, 0, 30), walk(2, 12, 5)]})
        frames = pd.DataFrame({"frame": range(30), "pts_s": np.arange(30) / 10, "width": WIDE, "height": HIGH})
        motion = frames[["frame"]].assign(a=1.0, b=0.0, x=-3.0, c=0.0, d=1.0, y=-1.0)
        motion.loc[0, ["x", "y"]] = 0.0
        motion["unlike"] = np.where(motion["frame"].isin(cuts), 0.9, 0.1)
        motion.loc[motion["frame"].isin(cuts), ["x", "y"]] = 77.0  # which is nonsense
        edges = pd.DataFrame({"frame": [0], "first": [b""], "last": [b""], "scale": [1.0]})
        for folder, name, rows in (
            ("frames", "frames", frames),
            ("motion", "motion", motion),
            ("motion", "edges", edges),
        ):
            (workspace / "f1" / folder).mkdir(exist_ok=True)
            rows.to_parquet(workspace / "f1" / folder / f"{name}.parquet")
        # A fingerprint of its own: the motion of a fingerprint is read once.
        write_record(
            workspace / "f1/motion/manifest.json",
            {
                "stage": "motion",
                "fingerprint": str(workspace),
                "inputs": {},
                "section": {},
                "counts": {},
                "files": {},
            },
        )
        return workspace

    return make


def test_places_are_those_of_the_first_frame_in_metres(panned):
    one, other = read_sightings(panned())
    # In frame n the first one's feet are at (10 + n, 60), which the first frame has at (10 + 4n, 60 + n).
    assert one.plane == pytest.approx(((10 + 4 * 14.5 - 100) / METRE, 14.5 / METRE, 1), abs=0.01)
    assert other.plane == pytest.approx(((70 + 2 + 3 * 14 - 100) / METRE, 14 / METRE, 1), abs=0.01)
    assert [step.time_s for step in one.plane_path] == pytest.approx([0.45, 1.45, 2.45])
    assert one.plane_path[2][1:] == pytest.approx(((10 + 4 * 24.5 - 100) / METRE, 24.5 / METRE), abs=0.01)
    assert one.speed_m_s == pytest.approx(10 * np.hypot(4, 1) / METRE, abs=0.01)  # at 10 frames a second
    assert (one.position, one.path, other.speed_m_s) == (None, (), None)


def test_after_a_cut_places_are_in_another_piece(panned):
    one, other = read_sightings(panned(6))
    assert (one.plane, one.plane_path, one.speed_m_s) == (None, (), None)  # it is in both
    # Of the second piece, frame 6 is the first one.
    assert other.plane == pytest.approx(((70 + 2 + 3 * 8 - 100) / METRE, 8 / METRE, 2), abs=0.01)


def test_a_person_with_a_position_has_no_place_in_the_plane(panned):
    workspace = panned()
    write_json(workspace / "f1/camera.json", {"fov_deg": 90.0})
    frames = pd.read_parquet(workspace / "f1/frames/frames.parquet").assign(
        altitude_m=10.0, latitude=0.0, longitude=20.0, heading_deg=0.0, pitch_deg=-45.0
    )
    frames.to_parquet(workspace / "f1/frames/frames.parquet")
    assert all(each.position and each.plane is None for each in read_sightings(workspace))


def test_without_motion_there_is_no_place(make_workspace, walk):
    (one,) = read_sightings(make_workspace({"f1": [walk(1, 0, 5)]}))
    assert (one.plane, one.plane_path) == (None, ())


def test_pieces_begin_at_the_cuts():
    shift = np.array([[1, 0, 5], [0, 1, 0]], np.float32)
    flat = Ground(dict.fromkeys(range(4), shift), cuts=(2,)).flatten(
        np.arange(4), np.tile([0.0, 0, 20, 17], (4, 1))
    )
    assert flat.piece.tolist() == [0, 0, 1, 1]
    assert flat.x.tolist() == [5, 0, 10, 5]
    assert flat.metre == pytest.approx(10)


def test_tables_have_the_place_and_maps_say_that_they_have_none():
    assert [json.loads(written([HERE], "json"))[0][name] for name in COLUMNS] == [1.0, 2.0, 1]
    assert written([HERE], "csv").splitlines()[0].count("plane_") == 3
    assert "plane: 1.0, 2.0 m" in written([HERE], "table")
    assert "plane 2: 1.0, 2.0 m" in written([replace(HERE, plane=PlanePlace(1.0, 2.0, 2))], "table")
    for form in ("geojson", "gpx", "kml", "cot"):
        assert "plane" not in written([HERE, ANN], form)
        assert missing_on_map([HERE, ANN], form).startswith("1 of 2 sightings ")
    assert missing_on_map([HERE], "csv") == ""


def test_the_map_of_a_plane_is_to_scale_without_north():
    far = replace(HERE, plane=PlanePlace(31.0, 42.0, 1), plane_path=(PlaneStep(0, 31, 42), PlaneStep(1, 31, 32)))
    sightings = [HERE, ANN, far, replace(HERE, plane=PlanePlace(0.0, 0.0, 2))]
    globe, first, second = make_maps(sightings, {})
    assert globe == make_map(sightings, {})
    assert [[each.number for each in found.traces] for found in (globe, first, second)] == [[2], [1, 3], [4]]
    assert (first.plane, second.plane) == ("f1", "f1, piece 2")
    one, other = (each.place for each in first.traces)
    scale = first.bar / float(first.bar_text.removeprefix("about ").removesuffix(" m"))
    assert np.hypot(other[0] - one[0], other[1] - one[1]) / scale == pytest.approx(50, abs=0.1)
    assert 0 < one[0] < other[0] < WIDTH
    assert 0 < one[1] < other[1] < HEIGHT  # down is down
