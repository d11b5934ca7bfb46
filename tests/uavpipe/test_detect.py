"""`uavpipe.detect` on images, folders and videos."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import uavpipe
from detector.backends.images import scaled
from detector.config import Resize
from tests.pipeline.relinking.squares import LANE, SquareDetector
from uavpipe import UavpipeError

LEFT = 20  # px, of the squares in frame 0


@pytest.fixture(autouse=True)
def _squares(squares):
    """Detects the squares."""


def expected(frame):
    """The boxes of a frame, as they were drawn."""
    return [[LEFT + 3 * frame, y, LEFT + 3 * frame + 18, y + 36] for y in (10, 10 + LANE, 10 + 2 * LANE)]


def test_an_image_an_array_and_a_picture_are_the_same(folder):
    path = folder / "f1" / "000.png"
    found = uavpipe.detect(path, weights="embedded")
    assert found.boxes.tolist() == expected(0)
    assert found.source == str(path)
    picture = Image.open(path)
    for same in (
        uavpipe.detect(np.asarray(picture), weights="embedded"),
        uavpipe.detect(picture, weights="embedded"),
    ):
        assert same.boxes.tolist() == expected(0)
        assert same.source == ""


def test_a_threshold_leaves_out_what_is_below(folder):
    path = folder / "f1" / "000.png"
    scores = uavpipe.detect(path, weights="embedded").scores
    least = float(scores[1])
    kept = uavpipe.detect(path, weights="embedded", threshold=least).scores
    assert kept.tolist() == scores[:2].tolist()


def test_a_folder_gives_what_a_run_stores(folder):
    found = list(uavpipe.detect(folder / "f1", weights="embedded"))
    assert [each.frame for each in found] == list(range(12))
    assert [each.boxes.tolist() for each in found] == [expected(frame) for frame in range(12)]
    rows = pd.concat([each.to_pandas() for each in found], ignore_index=True)
    stored = pd.read_parquet(folder / "runs" / "f1" / "detections" / "detections.parquet")
    columns = ["frame", "pts_s", "rank", "x1", "y1", "x2", "y2", "score"]
    pd.testing.assert_frame_equal(rows[columns], stored[columns], check_dtype=False)


def test_an_iterator_may_be_left_early(folder):
    frames = uavpipe.detect(folder / "f1", weights="embedded")
    assert next(frames).frame == 0
    frames.close()


def test_a_users_mistakes_are_the_lines_of_the_command(folder, tmp_path):
    mistakes = {
        "did you mean 'weights'": lambda: uavpipe.detect("a.jpg", weigths="embedded"),
        "a.jpg: cannot be read: No such file": lambda: uavpipe.detect("a.jpg", weights="embedded"),
        "no such file; a video file or a folder": lambda: uavpipe.detect("a.mp4", weights="embedded"),
        "no image in this folder": lambda: uavpipe.detect(tmp_path, weights="embedded"),
        "no such checkpoint": lambda: uavpipe.detect(folder / "f1", weights=tmp_path / "a.pth"),
    }
    for words, make in mistakes.items():
        with pytest.raises(UavpipeError, match=words) as raised:
            make()
        assert "\n" not in str(raised.value)


def test_an_array_of_another_form_is_refused(monkeypatch):
    rule = Resize(width=8, height=8)
    monkeypatch.setattr(SquareDetector, "preprocess", lambda self, image: scaled(image, rule))  # as the real ones
    with pytest.raises(UavpipeError, match=r"the array: an image must be uint8 \(H, W, 3\), not float64 \(4, 4\)"):
        uavpipe.detect(np.zeros((4, 4)), weights="embedded")
