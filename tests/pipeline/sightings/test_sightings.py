"""Sightings: time, place, best crop and person of each tracklet; which are chosen, and how they are written."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, time

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from annotate.log.store import LABELS, LabelStore
from annotate.operations import Mark, NewIdentity, SetMark, SetNote, SetTags, Split
from annotate.project import Project
from pipeline.cli import main
from pipeline.errors import PipelineError
from pipeline.sightings import Selection, read_sightings
from pipeline.sightings.formats import FORMATS, written
from pipeline.sightings.records import Step
from pipeline.telemetry.position import METRES_A_DEGREE
from pipeline.telemetry.terrain import remember_terrain
from pipeline.workspace.atomic import write_json
from pipeline.workspace.manifest import write_record
from tests.pipeline.sightings.test_maps import ANN


@pytest.fixture
def workspace(make_workspace, walk):
    """Two flights: one with clock and telemetry, of which the first tracklet is a person and the second is junk."""
    workspace = make_workspace({"f1": [walk(1, 0, 10), walk(2, 5, 4)], "f2": [walk(3, 0, 3)]})
    folder = workspace / "f1"
    write_record(folder / "flight.json", {"video": "/gone/DJI_20240917235959_0001.mp4", "sha256": "0"})
    write_json(folder / "camera.json", {"fov_deg": 90.0})
    frames = pd.DataFrame({"frame": range(20)}).assign(
        pts_s=lambda rows: rows["frame"] / 10, altitude_m=10.0, latitude=0.0, longitude=20.0, heading_deg=0.0
    )
    (folder / "frames").mkdir()
    frames.assign(pitch_deg=-45.0, width=201, height=121).to_parquet(folder / "frames/frames.parquet")
    project = Project(workspace)
    project.store.apply(NewIdentity(tracklets=("f1/0",), name="Ann"), user="ann", id="a")
    project.store.apply(SetMark(tracklets=("f1/1",), mark=Mark.JUNK), user="ann", id="b")
    project.close()
    return workspace


def test_a_tracklet_has_its_time_place_crop_and_person(workspace):
    ann, junk, other = read_sightings(workspace)
    assert (ann.tracklet, ann.person, junk.person, other.person) == ("f1/0", "1 Ann", "junk", "open")
    assert (ann.first_frame, ann.last_frame, ann.boxes, ann.begin_s, ann.end_s) == (0, 9, 10, 0.0, 0.9)
    assert (ann.begin, ann.clock, ann.zone) == (datetime(2024, 9, 17, 23, 59, 59), "file name", "unknown")
    assert junk.begin == datetime(2024, 9, 17, 23, 59, 59, 500_000)
    assert (other.begin, other.clock, other.position, other.drone) == (None, "", None, None)
    assert ann.crop == "f1/crops/images/0002_0.jpg"  # of the sharper half, all as tall, the first
    assert ann.drone == (0.0, 20.0)
    # Feet in the middle row, x 14.5 in the median: 85.5 px left of the centre, at 100.5 px a focal length.
    metres = [value * METRES_A_DEGREE for value in (ann.position[0], ann.position[1] - 20)]
    assert metres == pytest.approx([10, -(2**0.5) * 10 * 85.5 / 100.5], abs=0.02)
    # Of the walk's frames 0 to 9 all are in the first second; it ends where it began, a median step to the right.
    assert [each.time_s for each in ann.path] == [0.45]
    assert ann.path[0][1:] == pytest.approx(ann.position)
    assert 3 < ann.radius_m < 5
    assert (other.path, other.radius_m) == ((), None)


def test_places_are_on_the_terrain_of_the_configuration(workspace, tmp_path, caplog):
    """Take-off at 500 m; the ground rises by 1 m in 10 m to the north: 10 m of altitude are 10 / 1.1 m at 45°."""
    rasterio = pytest.importorskip("rasterio", reason="needs rasterio: pip install 'uavpipe[terrain]'")
    north = np.arange(60, -61, -1.0)[:, None] + np.zeros((1, 121))
    degree, half = 1 / METRES_A_DEGREE, 60.5 / METRES_A_DEGREE
    options = {"driver": "GTiff", "height": 121, "width": 121, "count": 1, "dtype": "float64", "crs": "EPSG:4326"}
    transform = rasterio.transform.from_origin(20 - half, half, degree, degree)
    with rasterio.open(tmp_path / "dem.tif", "w", transform=transform, **options) as file:
        file.write(500 + north / 10, 1)
    flat = read_sightings(workspace)[0]
    remember_terrain(workspace / "f1", tmp_path / "dem.tif")
    ann = read_sightings(workspace)[0]
    assert ann.position[0] * METRES_A_DEGREE == pytest.approx(10 / 1.1, abs=0.02)
    assert ann.radius_m < flat.radius_m
    assert caplog.text == ""
    with rasterio.open(tmp_path / "dem.tif", "r+") as file:
        file.nodata = -1
        file.write(np.where(north > 5, -1, 500 + 0.1 * (north < -50)), 1)
    ann = read_sightings(workspace)[0]
    assert (ann.position, ann.radius_m, ann.drone) == (None, None, (0.0, 20.0))
    (warning,) = (each.getMessage() for each in caplog.records)
    assert warning.startswith(
        "f1: 14 of 14 positions are left out: their lines of sight do not meet the ground of "
    )
    (tmp_path / "dem.tif").unlink()
    caplog.clear()
    assert read_sightings(workspace)[0].position is None
    (warning,) = (each.getMessage() for each in caplog.records)
    assert warning.startswith(f"f1: positions of persons are left out: {tmp_path / 'dem.tif'}: no such file")


# Metres north of the start at each time in s, and the speed.
WALKS = [
    ([(0, 0)], None),
    ([(0, 0), (1.5, 3)], 2.0),
    ([(0, 0), (1, 1), (2, 2), (3, 9), (4, 4)], 1.0),  # 2, 8 and 2 m in 2 s
    ([(0, 0), (1, 0.5), (2, 0), (3, 0.5), (4, 0)], 0.0),  # stands, one place a bit off each time
]


@pytest.mark.parametrize(("walked", "speed"), WALKS)
def test_speed_is_the_median_over_two_seconds(walked, speed):
    north = tuple(Step(time, 60 + metres / METRES_A_DEGREE, 179.9999) for time, metres in walked)
    assert replace(ANN, path=north).speed_m_s == speed
    east = (Step(0, 60.0, 179.9999), Step(1, 60.0, 179.9999 + 2 * 7 / METRES_A_DEGREE - 360))  # 7 m at 60 degrees
    assert replace(ANN, path=east).speed_m_s == pytest.approx(7, abs=0.01)


def test_what_labellers_cut_is_two_sightings(workspace):
    project = Project(workspace)
    project.store.apply(Split(tracklet="f1/0", frame=4), user="ann", id="c")
    project.close()
    found = {each.tracklet: (each.first_frame, each.last_frame, each.person) for each in read_sightings(workspace)}
    assert found["f1/0"] == (0, 3, "1 Ann")
    assert found["f1/2"] == (4, 9, "open")


SELECTIONS = [
    (Selection(), ["f1/0", "f2/0"]),
    (Selection(junk=True), ["f1/0", "f1/1", "f2/0"]),
    (Selection(persons=(1,)), ["f1/0"]),
    (Selection(flights=("f2",)), ["f2/0"]),
    (Selection(between=(time(23), time(1))), ["f1/0"]),
    (Selection(between=(time(0), time(23, 59, 58))), []),
    (Selection(between=(time(23, 59, 59, 800_000), time(0))), ["f1/0"]),
    (Selection(junk=True, between=(time(23, 59, 59, 850_000), time(0))), ["f1/0"]),
    # Ann is at 10 m north, 12 m west of the drone, at 0° N 20° E, in a circle of 4 m
    (Selection(near=(10 / METRES_A_DEGREE, 20 - 12 / METRES_A_DEGREE), within_m=0), ["f1/0"]),
    (Selection(near=(30 / METRES_A_DEGREE, 20 - 12 / METRES_A_DEGREE), within_m=17), ["f1/0"]),
    (Selection(near=(30 / METRES_A_DEGREE, 20 - 12 / METRES_A_DEGREE), within_m=10), []),
]


@pytest.mark.parametrize(("selection", "expected"), SELECTIONS)
def test_persons_flights_and_times_of_day_are_chosen(workspace, selection, expected):
    assert [each.tracklet for each in selection.of(read_sightings(workspace))] == expected


def test_a_sighting_in_which_the_clocks_are_changed_is_found_before_and_after(workspace):
    (ann, *_) = read_sightings(workspace)
    autumn = replace(ann, begin=datetime(2024, 10, 27, 2, 59, 50), end=datetime(2024, 10, 27, 2, 0, 10), end_s=20.0)
    for first, last, there in ((2, 2, True), (0, 1, False), (3, 4, True), (4, 1, False)):
        assert bool(Selection(between=(time(first, 0, 5), time(last, 0, 9))).of([autumn])) == there, first


def test_a_zone_moves_the_times(workspace):
    (ann, *_) = read_sightings(workspace, zone="Europe/Berlin")
    assert (ann.begin, ann.zone) == (datetime(2024, 9, 17, 23, 59, 59), "Europe/Berlin")
    assert ann.begin_utc == datetime(2024, 9, 17, 21, 59, 59, tzinfo=UTC)
    with pytest.raises(PipelineError, match="there is no time zone 'Mars'"):
        read_sightings(workspace, zone="Mars")


BAD = {
    ("--near", "91,0"): "expected LAT,LON in degrees",
    ("--near", "47,8", "--within", "5 miles"): "expected a distance, as 50m or 1.5km",
    ("--near", "47,8", "--within", "-5m"): "expected a distance, as 50m or 1.5km",
}


@pytest.mark.parametrize(("options", "message"), BAD.items())
def test_a_place_or_distance_that_is_none_is_refused(workspace, options, message):
    ran = CliRunner().invoke(main, ["sightings", "--workspace", str(workspace), *options])
    assert (ran.exit_code, message in ran.stderr) == (2, True), ran.output


def test_near_is_told_from_the_place_of_the_drone(workspace):
    ran = CliRunner().invoke(
        main, ["sightings", "--workspace", str(workspace), "--near", "0,20", "--within", "0.1 km"]
    )
    assert "f1/0" in ran.stdout
    assert "f2/0" not in ran.stdout
    assert "note: 1 of 3 sightings have no position" in ran.stderr


@pytest.mark.parametrize("selection", [Selection(persons=(9,)), Selection(flights=("f9",))])
def test_who_and_what_is_not_there_is_refused(workspace, selection):
    with pytest.raises(PipelineError, match=r"there is no (person 9; known: 1|flight f9; known: f1, f2)$"):
        selection.of(read_sightings(workspace))


def test_the_formats_say_the_same(workspace):
    found = read_sightings(workspace)
    records = json.loads(written(found, "json"))
    rows = list(csv.DictReader(io.StringIO(written(found, "csv"))))
    assert [{name: "" if value is None else str(value) for name, value in each.items()} for each in records] == rows
    features = json.loads(written(found, "geojson"))["features"]
    assert [each["properties"]["position"] for each in features] == ["person", "person", None]
    assert features[0]["geometry"]["coordinates"] == [records[0]["longitude"], records[0]["latitude"]]
    assert features[2]["geometry"] is None
    assert "1 Ann" in written(found, "table").splitlines()[1]


def test_the_command_says_what_its_times_are(workspace):
    ran = CliRunner().invoke(main, ["sightings", "--workspace", str(workspace)])
    assert ran.exit_code == 0, ran.output
    assert "f1/0" in ran.stdout
    assert "f1/1" not in ran.stdout
    assert "1 of 2 sightings have no date and time" in ran.stderr
    assert "times by file name are the recorder's local time" in ran.stderr


def test_an_erased_person_is_in_none(workspace):
    ran = CliRunner().invoke(main, ["forget", "1", "--yes", "--workspace", str(workspace)])
    assert ran.exit_code == 0, ran.output
    text = "".join(written(read_sightings(workspace, zone="UTC"), form) for form in FORMATS)
    assert "Ann" not in text
    assert "f1/0" not in text
    assert "f2/0" in text


def test_notes_and_tags_are_in_the_csv_and_erased_with_the_person(workspace):
    with LabelStore(workspace / LABELS) as store:
        store.apply(SetTags(identity=1, tags=("child", "red cap")), user="ann", id="tags")
        store.apply(SetNote(identity=1, text="limps,\nalone"), user="ann", id="note")
    ran = CliRunner().invoke(main, ["sightings", "--workspace", str(workspace), "--format", "csv"])
    rows = list(csv.DictReader(io.StringIO(ran.stdout)))
    found = {row["person"]: (row["tags"], row["note"]) for row in rows}
    assert found == {"1": ("child, red cap", "limps,\nalone"), "": ("", "")}
    assert CliRunner().invoke(main, ["forget", "1", "--yes", "--workspace", str(workspace)]).exit_code == 0
    assert not [path for path in workspace.rglob("*") if path.is_file() and b"red cap" in path.read_bytes()]
