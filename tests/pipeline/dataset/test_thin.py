import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.models import ThinConfig
from pipeline.dataset.thin import kept
from reid.errors import ReidError


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), unique=True), st.integers(1, 20))
def test_neighbours_are_far_apart_and_none_is_missing(rows, frames):
    rows = sorted(rows, key=lambda row: row[1])
    crops = pd.DataFrame(rows, columns=["tracklet", "frame"]).assign(crop="")
    stays = crops[kept(crops, None, ThinConfig(frames=frames))]
    for tracklet, there in crops.groupby("tracklet"):
        left = stays.loc[stays["tracklet"] == tracklet, "frame"].to_numpy()
        assert left[0] == there["frame"].iloc[0]
        assert (np.diff(left) >= frames).all()
        # What went was too near to the one before it that stayed.
        for frame in set(there["frame"]) - set(left):
            assert frame - left[left < frame].max() < frames


def test_pictures_that_look_the_same_go(tmp_path):
    levels = [50, 52, 54, 90, 91, 50]
    for number, level in enumerate(levels):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((40, 20, 3), level, np.uint8))
    crops = pd.DataFrame({"tracklet": "a", "frame": range(6), "crop": [f"{n}.png" for n in range(6)]})
    assert kept(crops, tmp_path, ThinConfig(difference=4)).tolist() == [True, False, True, True, False, True]
    assert kept(crops, tmp_path, ThinConfig(difference=4, frames=3)).tolist() == [
        True,
        *[False] * 2,
        True,
        False,
        False,
    ]
    crops.loc[2, "crop"] = "gone.png"
    with pytest.raises(ReidError, match=r"gone\.png: cannot be read"):
        kept(crops, tmp_path, ThinConfig(difference=4))
