import cv2
import numpy as np
import pandas as pd
import pytest

from pipeline.dataset.leaks import check_leaks
from pipeline.errors import PipelineError
from reid.errors import ReidError

COLUMNS = ["split", "identity", "camera", "tracklet", "pts_s"]
SAFE = [
    ("train", 1, 1, "f1/1", 0.0),
    ("query", 2, 1, "f1/2", 0.0),
    ("gallery", 2, 1, "f1/2", 0.1),  # the query's own tracklet, in its own flight
    ("gallery", 2, 1, "f1/3", 0.4),  # a neighbour
    ("gallery", 2, 1, "f1/4", 9.0),
    ("gallery", 2, 2, "f2/2", 0.0),
    ("gallery", 0, 2, "f2/0", 0.0),
    ("gallery", -1, 2, "f2/1", 0.0),
]


@pytest.fixture
def table(tmp_path):
    def make(rows):
        rng = np.random.default_rng(0)
        for number in range(len(rows)):
            cv2.imwrite(str(tmp_path / f"{number}.png"), rng.integers(0, 256, (40, 20, 3), np.uint8))
        return pd.DataFrame(rows, columns=COLUMNS).assign(crop=[f"{number}.png" for number in range(len(rows))])

    return make


def test_each_protocol_is_told_what_it_would_count(table, tmp_path):
    report = check_leaks(table(SAFE), tmp_path, "flight", gap_s=1)
    assert report == {
        "flight": {"queries": 1, "right_answers": 1, "own_tracklet": 0, "neighbours": 0},
        "tracklet": {"queries": 1, "right_answers": 3, "own_tracklet": 0, "neighbours": 1},
        "strict": {"queries": 1, "right_answers": 1, "own_tracklet": 0, "neighbours": 0},
    }


def test_a_neighbouring_frame_stops_the_protocol_that_counts_it(table, tmp_path):
    with pytest.raises(PipelineError, match=r"leak: query 1\.png .* 3\.png are of one flight and less than 1 s"):
        check_leaks(table(SAFE), tmp_path, "tracklet", gap_s=1)
    assert check_leaks(table(SAFE), tmp_path, "tracklet", gap_s=0.3)["tracklet"]["neighbours"] == 0


def test_an_identity_in_both_halves_stops(table, tmp_path):
    with pytest.raises(ReidError, match=r"leak: 1 identities are both in the training and in the test set \(2\)"):
        check_leaks(table([*SAFE, ("train", 2, 2, "f2/9", 5.0)]), tmp_path, "flight", gap_s=1)


def test_a_tracklet_in_both_halves_stops(table, tmp_path):
    with pytest.raises(ReidError, match="leak: 1 tracklets are both"):
        check_leaks(table([*SAFE, ("train", 1, 2, "f2/2", 5.0)]), tmp_path, "flight", gap_s=1)


def test_the_same_picture_in_another_flight_stops(table, tmp_path):
    crops = table(SAFE)
    (tmp_path / "5.png").write_bytes((tmp_path / "1.png").read_bytes())
    with pytest.raises(
        PipelineError, match=r"leak: .*1\.png and .*5\.png are one picture.* mark its tracklet as junk"
    ):
        check_leaks(crops, tmp_path, "flight", gap_s=1)
