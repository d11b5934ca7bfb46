import pandas as pd
import pytest

from annotate.errors import AnnotateError
from annotate.log.store import LABELS, LabelStore
from annotate.operations import Merge, Rename, Split
from pipeline.dataset.labelled import COLUMNS, UNKNOWN, read_labelled
from pipeline.workspace.atomic import write_json
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.stage import Stage


def labelled(workspace):
    with LabelStore(workspace / LABELS, create=False) as store:
        return read_labelled(workspace, store)


def test_every_crop_is_there_or_counted(workspace):
    found = labelled(workspace)
    assert found.left_out == {"open": 10, "skipped": 5, "without_tracklet": 0, "flight_without_labels": 0}
    assert len(found.crops) + found.left_out.total() == 2 * 9 * 5
    assert list(found.crops.columns) == list(COLUMNS)
    assert set(found.crops["identity"]) == {-1, 0, 1, 2, 3, 4, 5, 6}
    assert (found.crops["identity"] == -1).sum() == 10


def test_crops_that_labelling_never_saw_are_counted(workspace, fly):
    path = workspace / "f1" / "tracks" / "tracklets.parquet"
    crops = workspace / "f1" / "crops" / "crops.parquet"
    table = pd.read_parquet(crops)
    extra = table.iloc[[0]].assign(frame=500)
    pd.concat([table, extra]).to_parquet(crops, index=False)
    fly(workspace, "f3", [(0, 4)])
    found = labelled(workspace)
    assert found.left_out["without_tracklet"] == 1
    assert found.left_out["flight_without_labels"] == 4
    assert path.exists()


def test_a_row_says_where_its_crop_comes_from(workspace):
    write_json(workspace / "f2" / "flight.json", {"video": "f2.mp4", "sha256": "v" * 64})
    (workspace / "f2" / "frames").mkdir()
    frames = pd.DataFrame({"frame": [8, 9], "altitude_m": [21.5, 22.5]})
    frames.to_parquet(workspace / "f2" / "frames" / "frames.parquet", index=False)
    Stage("detect", StageFolder(workspace / "f2" / "detections"), {"weights": "w" * 64}, {}).finish({}, 0, [])
    with LabelStore(workspace / LABELS) as store:
        store.apply(Rename(identity=2, name="Eve"), user="bob", id="r")
        entry = store.decision("f2/1")
    rows = labelled(workspace).crops
    row = rows[(rows["tracklet"] == "f2/1") & (rows["frame"] == 9)].iloc[0]
    assert row.to_dict() == {
        "identity": 2,
        "person": "Eve",
        "camera": 2,
        "flight": "f2",
        "tracklet": "f2/1",
        "frame": 9,
        "rank": 1,
        "pts_s": 0.9,
        "altitude_m": 22.5,
        "x1": 30.0,
        "y1": 0.0,
        "x2": 50.0,
        "y2": 41.0,
        "height": 41.0,
        "score": 0.9,
        "sharpness": 50.0,
        "crop": "f2/crops/images/0009_1.jpg",
        "crc32": UNKNOWN,
        "suspect": False,
        "video": "v" * 64,
        "weights": "w" * 64,
        "decision": entry.sequence,
        "labeller": "ann",
        "decided": entry.time,
    }
    assert entry.operation.tracklets == ("f2/1",)
    assert rows.loc[(rows["flight"] == "f1") | (rows["frame"] < 8), "altitude_m"].isna().all()


def test_splits_and_merges_are_followed(workspace):
    with LabelStore(workspace / LABELS) as store:
        tail = store.apply(Split(tracklet="f1/0", frame=2), user="ann", id="s").created
        store.apply(Merge(source=2, into=3), user="ann", id="m")
    found = labelled(workspace)
    sizes = found.crops["identity"].value_counts()
    assert sizes[1] == 2 + 5
    assert sizes[3] == 4 * 5
    assert 2 not in sizes
    assert tail not in set(found.crops["tracklet"])
    assert found.left_out["open"] == 10 + 3


def test_a_new_flight_renumbers_nobody(workspace, fly, label):
    before = labelled(workspace).crops
    fly(workspace, "a_flight_that_sorts_first", [(0, 4)])
    label(workspace, {"a_flight_that_sorts_first/0": 3})
    after = labelled(workspace).crops
    assert set(after.loc[after["flight"] == "a_flight_that_sorts_first", "camera"]) == {3}
    pd.testing.assert_frame_equal(after[after["camera"] < 3].reset_index(drop=True), before)


def test_other_tracklets_than_those_labelled_are_refused(workspace):
    path = workspace / "f1" / "tracks" / "tracklets.parquet"
    pd.read_parquet(path).iloc[1:].to_parquet(path, index=False)
    with pytest.raises(AnnotateError, match="the tracklets of f1 are not those that were labelled"):
        labelled(workspace)
