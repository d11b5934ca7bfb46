"""Coverage: a person's height by hand, looks that are independent and frames that are not, formats, refusals."""

import json
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.stats import betabinom

from pipeline.cli import main
from pipeline.coverage.formats import written
from pipeline.coverage.ground import heights_px, read_coverage
from pipeline.coverage.recall import Recall, read_recall
from pipeline.errors import PipelineError
from pipeline.telemetry.position import METRES_A_DEGREE
from pipeline.workspace.atomic import write_json

# fov 90° and 201 px: a focal length of 100.5 px; 10 m high, 45° down, to the north.
FRAME = {"altitude_m": 10.0, "heading_deg": 0.0, "pitch_deg": -45.0, "width": 201.0, "height": 201.0}
SURE = Recall(origin="test", from_px=(5, 12), recall=(0.4, 0.8))


def test_a_person_is_as_tall_as_the_rays_to_head_and_feet_say():
    north = np.array([10.0, 10.0, 30.0, -10.0, 10.0])
    east = np.array([0.0, 20.0, 0.0, 0.0, 0.0])
    found = heights_px(FRAME, 90, north, east)
    # Feet on the line of sight; the head's ray falls at atan(8.3 / 10), so it is 45° less that above the centre.
    assert found[0] == pytest.approx(100.5 * np.tan(np.pi / 4 - np.arctan(0.83)))
    # Three times as far: feet at atan(1/3), head at atan(8.3/30).
    far = [np.tan(np.pi / 4 - np.arctan(height / 30)) for height in (8.3, 10)]
    assert found[2] == pytest.approx(100.5 * (far[0] - far[1]))
    assert np.isnan(found[[1, 3]]).all()  # beside the picture, and behind the camera
    turned = heights_px(FRAME | {"heading_deg": 90.0}, 90, -east, north)
    np.testing.assert_allclose(turned, found)
    above = heights_px(FRAME | {"pitch_deg": -90.0}, 90, np.zeros(1), np.zeros(1))
    assert above[0] == pytest.approx(0.5 * 100.5 / 10)  # the shoulders


@pytest.fixture
def flown(tmp_path):
    """Two flights that stand still for 3 s: the second one looks away for 10 s, and looks again."""
    for flight, times in (("f1", [0, 1, 2, 3]), ("f2", [0, 1, 2, 13, 14])):
        folder = tmp_path / "runs" / flight
        (folder / "frames").mkdir(parents=True)
        rows = pd.DataFrame({"frame": range(len(times)), "pts_s": np.array(times, float)})
        rows = rows.assign(lost=False, corrupt=False, suspect=False, latitude=0.0, longitude=20.0, **FRAME)
        rows.to_parquet(folder / "frames/frames.parquet")
        write_json(folder / "camera.json", {"fov_deg": 90.0})
    write_json(tmp_path / "runs/f1/clock.json", {"start": "2024-09-17T14:30:00+02:00", "offset_s": 0.0})
    return tmp_path / "runs"


def cell(coverage, north, east):
    """Row and column of the cell of a place, metres from the drone."""
    row = (north / METRES_A_DEGREE - coverage.origin[0]) * METRES_A_DEGREE / coverage.cell_m
    column = (20 + east / METRES_A_DEGREE - coverage.origin[1]) * METRES_A_DEGREE / coverage.cell_m
    return int(row), int(column)


def test_frames_of_a_pass_are_one_look_and_passes_are_independent(flown):
    found = read_coverage(flown, SURE, cell_m=0.5)
    one, two = found.flights
    near, far = cell(found, 9.9, 0.1), cell(found, 18, 0.1)  # 9 px and less, from 5 px up
    assert heights_px(FRAME, 90, np.array([9.9, 18.0]), np.full(2, 0.1)) == pytest.approx([9.3, 8.4], abs=0.1)
    for place in (near, far):
        assert (one.looks[place], two.looks[place]) == (1, 2)
        assert 1 - one.missed[place] == pytest.approx(0.4)
        assert 1 - two.missed[place] == pytest.approx(1 - 0.6**2)
        assert found.found[place] == pytest.approx(1 - 0.6**3)
        assert (two.first_s[place], two.last_s[place]) == (0, 14)
    steep = cell(found, 4.5, 0.1)  # below 5 px: only shoulders from nearly above
    assert (found.looks[steep] > 0) == (heights_px(FRAME, 90, np.array([4.5]), np.array([0.1]))[0] >= 5)
    assert found.looks[cell(found, -3, 0)] == 0
    assert found.found[cell(found, -3, 0)] == 0


def test_frames_of_a_pass_are_as_correlated_as_the_recall_says(flown):
    """Seven frames, half a second apart, in which nothing moves: a beta-binomial distribution."""
    path = flown / "f1/frames/frames.parquet"
    rows = pd.concat([pd.read_parquet(path).iloc[:1]] * 7).assign(frame=range(7), pts_s=np.arange(7) / 2)
    rows.to_parquet(path)
    for correlation in (0.9, 0.3, 1e-6):
        found = read_coverage(flown, SURE.model_copy(update={"correlation": correlation}), ["f1"], cell_m=0.5)
        v = (1 - correlation) / correlation
        expected = betabinom(7, 0.4 * v, 0.6 * v).pmf(0)
        assert found.flights[0].missed[cell(found, 9.9, 0.1)] == pytest.approx(expected, abs=1e-6)
    assert expected == pytest.approx(0.6**7, rel=1e-4)  # independent frames


def test_the_best_frame_of_a_pass_counts_whole_and_the_others_by_their_mean():
    recall = SURE.model_copy(update={"correlation": 0.5})
    best, total, frames = np.array([0.8, 0.0, 0.8]), np.array([1.6, 0.0, 0.8]), np.array([3, 0, 1])
    # After one miss the others, 0.4 in the mean, are found with 0.4 / 2, then with 0.4 / 3.
    expected = [0.2 * (1 - 0.4 / 2) * (1 - 0.4 / 3), 1, 0.2]
    assert recall.missed(best, total, frames) == pytest.approx(expected)


def test_frames_that_may_be_wrong_show_nothing(flown):
    path = flown / "f1/frames/frames.parquet"
    pd.read_parquet(path).assign(suspect=True).to_parquet(path)
    assert [each.flight for each in read_coverage(flown, SURE).flights] == ["f2"]
    assert read_coverage(flown, SURE).without == ("f1",)


def test_the_formats_say_the_same(flown):
    found = read_coverage(flown, SURE, cell_m=0.5)
    features = json.loads(written(found, "geojson"))["features"]
    assert len(features) == (found.looks > 0).sum()
    place = cell(found, 9.9, 0.1)
    ring = [list(reversed(found.corner(*at))) for at in (place, (place[0] + 1, place[1] + 1))]
    (there,) = [each for each in features if each["geometry"]["coordinates"][0][0] == ring[0]]
    assert there["geometry"]["coordinates"][0][2] == ring[1]
    assert there["properties"]["probability"] == pytest.approx(1 - 0.6**3, abs=1e-3)
    assert [each["begin"] for each in there["properties"]["flights"]] == ["2024-09-17T14:30:00", None]
    drawn = ElementTree.fromstring(written(found, "svg"))
    shapes = [each for each in drawn.iter() if each.tag.endswith("rect") and float(each.get("height")) < 16]
    side = min(float(each.get("height")) for each in shapes)
    assert sum(float(each.get("width")) for each in shapes) / side == pytest.approx(len(features), rel=0.03)
    lines = written(found, "table").splitlines()
    assert [line.split()[0] for line in lines] == ["flight", "f1", "f2", "all"]
    assert f"{len(features) * 0.25:,.0f} m²" in lines[-1]


def test_the_command_writes_and_says_what_it_assumes(flown, tmp_path):
    ran = CliRunner().invoke(main, ["coverage", "--workspace", str(flown)])
    assert ran.exit_code == 0, ran.output
    assert "flat, open ground" in ran.stderr
    out = tmp_path / "seen.geojson"
    for _ in range(2):  # its own file may be written again
        ran = CliRunner().invoke(
            main, ["coverage", "--workspace", str(flown), "--format", "geojson", "--out", str(out)]
        )
        assert ran.exit_code == 0, ran.output
    assert json.loads(out.read_text())["type"] == "FeatureCollection"


BAD = {
    "no json": "is no JSON",
    '{"origin": "a", "from_px": [9, 5], "recall": [0.1, 0.2]}': "ascending heights",
    '{"origin": "a", "from_px": [9], "recall": [1.5]}': "shares from 0 to 1",
    '{"origin": "a", "from_px": [9]}': "recall: Field required",
    '{"origin": "a", "from_px": [9], "recall": [0.5], "correlation": 0}': "correlation: ",
}


@pytest.mark.parametrize(("text", "said"), BAD.items())
def test_a_recall_that_is_none_is_refused(tmp_path, text, said):
    path = tmp_path / "recall.json"
    path.write_text(text)
    with pytest.raises(PipelineError, match=said):
        read_recall(path)


def test_without_telemetry_nothing_is_claimed(flown):
    for flight in ("f1", "f2"):
        (flown / flight / "camera.json").unlink()
    with pytest.raises(PipelineError, match="no flight has altitude"):
        read_coverage(flown, SURE)
    with pytest.raises(PipelineError, match="there is no flight f9; known: f1, f2"):
        read_coverage(flown, SURE, ["f9"])


def test_the_bundled_recall_says_where_it_is_from():
    assert "574 persons" in read_recall().origin
    assert read_recall().at(np.array([5.0, 12.0, 40.0, 900.0])).tolist() == [0.0, 0.111, 0.556, 0.533]
