import pandas as pd
import pytest

from annotate.errors import AnnotateError
from annotate.records import Detection, Tracklet, count_frames, flights_with_tracklets, read_tracklets

ROWS = pd.DataFrame(
    {
        "frame": [0, 1, 1, 2],
        "rank": [0, 0, 1, 0],
        "pts_s": [0.0, 0.1, 0.1, 0.2],
        "x1": [10.0, 11.0, 50.0, 51.0],
        "y1": 5.0,
        "x2": [20.0, 21.0, 60.0, 61.0],
        "y2": 30.0,
        "score": [0.9, 0.3, 0.9, 0.9],
    }
)


@pytest.fixture
def workspace(tmp_path):
    save(tmp_path, "detections/detections.parquet/part-0.parquet", ROWS)
    crops = ROWS[ROWS["score"] > 0.5][["frame", "rank"]]
    names = [f"images/0/{frame}_{rank}.jpg" for frame, rank in crops.itertuples(index=False)]
    save(tmp_path, "crops/crops.parquet/part-0.parquet", crops.assign(crop=names, sharpness=7.5))
    members = ROWS[["frame", "rank"]].assign(tracklet=[4, 4, 9, 9])
    save(tmp_path, "tracks/tracklets.parquet", members.sample(frac=1, random_state=1))
    return tmp_path


def save(workspace, name, rows):
    path = workspace / "f1" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(path, index=False)


def test_tracklets_come_with_their_boxes_and_crops(workspace):
    (workspace / "f1/crops/crops.parquet/.part-x.parquet").write_bytes(b"unfinished")
    assert flights_with_tracklets(workspace) == ["f1"]
    first, second = read_tracklets(workspace, "f1")
    assert (first.id, second.id) == ("f1/4", "f1/9")
    assert first.detections == (
        Detection(0, 0, 0.0, (10, 5, 20, 30), 0.9, "f1/crops/images/0/0_0.jpg", 7.5),
        Detection(1, 0, 0.1, (11, 5, 21, 30), 0.3),
    )
    assert [each.frame for each in second.detections] == [1, 2]
    assert count_frames(workspace, "f1") is None


@pytest.mark.parametrize("name", ["../secret.jpg", "images/../../../x.jpg", "/etc/passwd", "a\\b.jpg", "a\nb.jpg"])
def test_a_crop_outside_the_workspace_is_refused(workspace, name):
    rows = pd.DataFrame({"frame": [0], "rank": [0], "crop": [name], "sharpness": [1.0]})
    save(workspace, "crops/crops.parquet/part-0.parquet", rows)
    if name == "/etc/passwd":  # stays below the stage's folder, whatever it looks like
        assert read_tracklets(workspace, "f1")[0].detections[0].crop == "f1/crops//etc/passwd"
        return
    with pytest.raises(
        AnnotateError, match=r"tracklets\.parquet: tracklet 4, frame 0: crop .*inside the workspace"
    ):
        read_tracklets(workspace, "f1")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("..", "expected the name of a folder"),
        ("a/b", "expected the name of a folder"),
        ("", "expected the name of a folder"),
        ("a\x1b[2J", "expected printable"),
        (201 * "x", "of 201 characters, expected 200 at most"),
    ],
)
def test_what_cannot_name_a_flight_is_refused(workspace, name, complaint):
    with pytest.raises(AnnotateError, match=complaint):
        read_tracklets(workspace, name)


def members(**columns):
    return pd.DataFrame({"tracklet": [4, 4], "frame": [0, 1], "rank": [0, 0], **columns})


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (members(frame=[0, 7]), "frame 7 has no detection 0"),
        (members(frame=[0, 0]), "frame 0: detection 0 is there twice"),
        (members(frame=["0", "1"]), "column frame has .*, expected integers"),
        (members(frame=[0, None]), "column frame has float64, expected integers"),
        (members(frame=[1, 1], rank=[0, 1]), "tracklet 4: frame 1 after frame 1"),
        (members().drop(columns="rank"), "not a table with columns tracklet, frame, rank"),
        (members(tracklet=[-1, -1]), "tracklet -1"),
        (members(tracklet=[10**9, 10**9]), "tracklet 1000000000"),
    ],
)
def test_tables_that_cannot_be_are_refused(workspace, rows, complaint):
    save(workspace, "tracks/tracklets.parquet", rows)
    with pytest.raises(AnnotateError, match=complaint):
        read_tracklets(workspace, "f1")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"frame": [0, 0, 1, 2], "rank": 0}, "frame 0: detection 0 is there twice"),
        ({"score": "high"}, "column score has .*, expected numbers"),
        ({"rank": [0.5, 0.5, 1.5, 0.5]}, "column rank has float64, expected integers"),
    ],
)
def test_detections_that_cannot_be_are_refused(workspace, change, complaint):
    save(workspace, "detections/detections.parquet/part-0.parquet", ROWS.assign(**change))
    with pytest.raises(AnnotateError, match=rf"detections\.parquet: {complaint}; run `uavpipe detect`"):
        read_tracklets(workspace, "f1")


def test_a_frame_beyond_what_the_log_holds_is_refused(workspace):
    for table, rows in (("tracks/tracklets", members()), ("detections/detections.parquet/part-0", ROWS)):
        save(workspace, f"{table}.parquet", rows.assign(frame=rows["frame"] + 2**31))
    with pytest.raises(AnnotateError, match="frame 2147483648, rank 0: expected numbers from 0 to 2147483647"):
        read_tracklets(workspace, "f1")


def test_what_is_missing_is_named_with_the_command_that_makes_it(workspace):
    with pytest.raises(AnnotateError, match=r"f2/tracks/tracklets\.parquet: no such table; .*`uavpipe tracks`"):
        read_tracklets(workspace, "f2")
    with pytest.raises(AnnotateError, match="no flight with tracklets"):
        flights_with_tracklets(workspace / "f1")


@pytest.mark.parametrize(
    "change",
    [
        {"frame": -1},
        {"time": float("nan")},
        {"score": 2.0},
        {"box": (5, 0, 5, 9)},
        {"box": (0, 0, 1, float("inf"))},
    ],
)
def test_detections_check_themselves(change):
    with pytest.raises(ValueError, match="expected"):
        Detection(**{"frame": 0, "rank": 0, "time": 0.0, "box": (0, 0, 1, 1), "score": 1.0, **change})


def test_tracklets_check_themselves():
    with pytest.raises(ValueError, match="and one"):
        Tracklet("f", 0, ())
