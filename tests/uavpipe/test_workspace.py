"""The tables of a workspace, against its parquet files read by pandas and what was labelled."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

import uavpipe
from pipeline.cli import main
from tests.pipeline.relinking.squares import LANE
from uavpipe import UavpipeError, columns

from .conftest import FRAMES, JUNK, PERSONS

KEY = ["flight", "frame", "rank"]
TABLES = ("flights", "frames", "detections", "crops", "tracklets", "identities", "sightings")


def stored(folder, table):
    """The rows of both flights, in the order of the files."""
    found = [pd.read_parquet(folder / "runs" / flight / table).assign(flight=flight) for flight in ("f1", "f2")]
    return pd.concat(found, ignore_index=True)


def identity(y1):
    """The label that a box there was given: the lane's, or that of junk."""
    lane = int(y1 // LANE)
    return None if lane == JUNK else lane + 1


@pytest.mark.parametrize("name", TABLES)
def test_the_columns_are_the_documented_ones(runs, name):
    kinds = getattr(columns, name.upper())
    for workspace in (runs, runs["f1"]):
        table = getattr(workspace, name)
        assert {column: str(kind) for column, kind in table.dtypes.items()} == kinds
        assert list(table) == list(kinds)
        assert len(table) > 0


def test_flights(runs, folder):
    table = runs.flights.set_index("flight")
    assert table.index.tolist() == ["f1", "f2"]
    card = json.loads((folder / "runs" / "f2" / "flight.json").read_text())
    assert (table.video["f2"], table.sha256["f2"]) == (str(folder / "f2"), card["sha256"])
    counts = table.loc["f1", ["frames", "lost", "detections", "crops", "tracklets"]].tolist()
    assert counts == [FRAMES, 0, FRAMES * PERSONS, FRAMES * PERSONS, PERSONS]


@pytest.mark.parametrize("name", ["frames", "detections"])
def test_rows_are_those_of_the_files(runs, folder, name):
    rows = stored(folder, f"{name}/{name}.parquet")
    ours = getattr(runs, name)[rows.columns]
    pd.testing.assert_frame_equal(ours, rows, check_dtype=False)


def test_crops_are_those_of_the_files_and_of_people(runs, folder):
    rows = stored(folder, "crops/crops.parquet")
    rows["crop"] = rows["flight"] + "/crops/" + rows["crop"]
    pd.testing.assert_frame_equal(runs.crops[rows.columns], rows, check_dtype=False)
    assert all((folder / "runs" / crop).is_file() for crop in runs.crops["crop"])


@pytest.mark.parametrize("name", ["detections", "crops"])
def test_every_box_has_its_label(runs, folder, name):
    rows = getattr(runs, name)
    assert len(rows) == 2 * FRAMES * PERSONS
    for row in rows.itertuples():
        expected = identity(row.y1)
        if expected is None:
            assert pd.isna(row.identity)
            assert row.mark == "junk"
        else:
            assert row.identity == expected
            assert pd.isna(row.mark)
    members = stored(folder, "tracks/tracklets.parquet")
    members["tracklet"] = members["flight"] + "/" + members["tracklet"].astype(str)
    both = rows.merge(members[[*KEY, "tracklet"]], on=KEY, suffixes=("", "_stored"))
    assert len(both) == len(rows)
    assert (both["tracklet"] == both["tracklet_stored"]).all()


def test_tracklets_and_identities(runs, folder):
    rows = runs.tracklets
    sizes = stored(folder, "tracks/tracklets.parquet").groupby(["flight", "tracklet"]).size()
    assert dict(zip(rows["tracklet"], rows["boxes"], strict=True)) == {f"{f}/{n}": k for (f, n), k in sizes.items()}
    assert rows["first_frame"].tolist() == [0] * len(rows)
    assert rows["last_frame"].tolist() == [FRAMES - 1] * len(rows)
    assert (rows["mark"] == "junk").sum() == 2
    people = runs.identities
    assert people["identity"].tolist() == [1, 2]
    assert people["name"].tolist() == ["lane 0", "lane 1"]
    assert people[["flights", "tracklets", "boxes", "crops"]].to_numpy().tolist() == [[2, 2, 24, 24]] * 2


def test_sightings_are_those_of_the_command(runs, folder):
    result = CliRunner().invoke(main, ["sightings", "--workspace", str(folder / "runs"), "--format", "json"])
    listed = pd.DataFrame(json.loads(result.stdout)).rename(columns={"person": "identity"})
    ours = runs.sightings
    assert ours["tracklet"].tolist() == listed["tracklet"].tolist()
    assert len(ours) == 4  # without junk
    same = ["flight", "identity", "name", "begin_s", "end_s", "boxes", "suspect", "crop"]
    pd.testing.assert_frame_equal(ours[same], listed[same], check_dtype=False)
    assert ours["begin"].isna().all()


def test_one_flight_alone(runs):
    one = runs["f2"]
    for name in ("flights", "frames", "detections", "crops", "tracklets", "sightings"):
        every = getattr(runs, name)
        pd.testing.assert_frame_equal(getattr(one, name), every[every["flight"] == "f2"].reset_index(drop=True))
    assert one.identities["crops"].tolist() == [12, 12]
    with pytest.raises(UavpipeError, match="there is no flight f3; known: f1, f2"):
        _ = runs["f3"]


def test_what_is_not_finished_is_left_out_with_a_warning(folder, tmp_path, caplog):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    (tmp_path / "runs" / "f2" / "crops" / "manifest.json").unlink()
    runs = uavpipe.open(tmp_path / "runs")
    assert set(runs.crops["flight"]) == {"f1"}
    assert "crops is not finished, and left out" in caplog.text
    assert runs.flights["crops"].isna().tolist() == [False, True]
    assert set(runs.detections["flight"]) == {"f1", "f2"}


def test_without_tracklets_and_labels(folder, tmp_path):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    for path in tmp_path.glob("runs/labels*"):
        path.unlink()
    runs = uavpipe.open(tmp_path / "runs")
    assert set(runs.crops["mark"]) == {"open"}
    assert len(runs.identities) == 0
    for path in tmp_path.glob("runs/*/tracks"):
        shutil.rmtree(path)
    assert runs.crops[["tracklet", "identity", "mark"]].isna().all(axis=None)
    for name in ("tracklets", "identities", "sightings"):
        table = getattr(runs, name)
        assert list(table) == list(getattr(columns, name.upper()))
        assert len(table) == 0


def test_tables_that_came_from_elsewhere(make_workspace, walk):
    runs = uavpipe.open(make_workspace({"f1": [walk(0, 0, 4), walk(1, 2, 3)]}))
    assert len(runs.crops) == len(runs.detections) == 7
    assert runs.crops["suspect"].tolist() == [False] * 7
    assert runs.flights["video"].isna().all()


def test_a_users_mistakes_are_one_line(tmp_path, folder):
    for place, words in ((tmp_path / "none", "no such workspace"), (tmp_path, "no flights here")):
        with pytest.raises(UavpipeError, match=words):
            uavpipe.open(place)
    shutil.copytree(folder / "runs", tmp_path / "runs")
    part = next((tmp_path / "runs" / "f1" / "crops" / "crops.parquet").glob("*.parquet"))
    part.write_bytes(b"damaged")
    with pytest.raises(UavpipeError, match="not a table that can be read") as raised:
        _ = uavpipe.open(tmp_path / "runs").crops
    assert "\n" not in str(raised.value)


def test_the_pixels_of_a_crop_are_those_of_its_file(runs, folder):
    crop = runs.crops.loc[5, "crop"]
    assert runs.image(crop).tolist() == np.asarray(Image.open(folder / "runs" / crop)).tolist()
    with pytest.raises(UavpipeError, match=r"none\.jpg: cannot be read: No such file"):
        runs.image("f1/crops/images/none.jpg")


def test_crops_in_tar_files(runs, folder, tmp_path, squares):
    config = {
        "video": str(folder / "f1"),
        "workspace": str(tmp_path / "runs"),
        "detector": {"weights": "embedded"},
        "crops": {"store": "tar"},
    }
    tarred = uavpipe.run(config, last="crops").workspace
    assert not list(tmp_path.glob("runs/**/*.jpg"))
    assert tarred.crops["crop"].str.contains(".tar/", regex=False).all()
    pairs = zip(tarred.crops["crop"], runs["f1"].crops["crop"], strict=True)
    assert all(np.array_equal(tarred.image(ours), runs.image(theirs)) for ours, theirs in pairs)
