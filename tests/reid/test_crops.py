import cv2
import numpy as np
import pytest

from reid.crops import read_crop
from reid.errors import ReidError


def test_colours_are_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / "red.png"), np.full((8, 4, 3), (0, 0, 255), np.uint8))  # OpenCV writes BGR
    assert read_crop(tmp_path / "red.png", 8, 4)[3, 2].tolist() == [255, 0, 0]


def test_unreadable_images_are_named(tmp_path):
    with pytest.raises(ReidError, match=r"none\.jpg: cannot be read: No such file"):
        read_crop(tmp_path / "none.jpg", 8, 4)
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(ReidError, match=r"text\.jpg: not an image"):
        read_crop(tmp_path / "text.jpg", 8, 4)
