import json
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector.annotations.conversion import ConvertedImage, hold_out, write_coco
from detector.annotations.pictures import image_size
from detector.backends.images import read_image
from detector.errors import DetectorError


def images(*sizes):
    """sizes[k] images of clip k."""
    return [
        ConvertedImage(f"{clip}_{n}.jpg", (8, 8), f"clip{clip}", [])
        for clip, size in enumerate(sizes)
        for n in range(size)
    ]


@given(st.lists(st.integers(1, 20), min_size=2, max_size=30), st.floats(0.01, 0.99), st.integers(0, 99))
def test_a_clip_is_never_torn_and_nothing_is_lost(sizes, share, seed):
    whole = images(*sizes)
    kept, held = hold_out(whole, share, seed)
    assert kept
    assert held
    assert not {image.clip for image in kept} & {image.clip for image in held}
    assert sorted(image.file_name for image in kept + held) == sorted(image.file_name for image in whole)
    # As much as asked for, or less by no more than a clip; a single clip may be more.
    assert len(held) <= share * len(whole) or len({image.clip for image in held}) == 1
    assert len(held) > share * len(whole) - max(sizes)


def test_the_draw_depends_on_the_seed_alone():
    whole = images(*[1] * 40)
    assert hold_out(whole, 0.25, 1) == hold_out(whole, 0.25, 1)
    assert hold_out(whole, 0.25, 1) != hold_out(whole, 0.25, 2)
    assert len(hold_out(whole, 0.25, 1)[1]) == 10


@pytest.mark.parametrize(
    ("sizes", "share", "expected"),
    [((4,), 0.2, "all 4 images are of one clip"), ((1, 1), 0, "a share between 0 and 1"), ((1, 1), 20, "as 0.2")],
)
def test_what_cannot_be_held_out(sizes, share, expected):
    with pytest.raises(DetectorError, match=expected):
        hold_out(images(*sizes), share, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_decoded_image(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert image_size(tmp_path / "a.jpg") == read_image(tmp_path / "a.jpg").shape[1::-1]


def test_only_the_header_is_read(tmp_path):
    cv2.imwrite(str(tmp_path / "a.jpg"), np.random.default_rng(0).integers(0, 255, (90, 160, 3)))
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    assert image_size(tmp_path / "torn.jpg") == (160, 90)


def test_files_that_are_no_images_are_named(tmp_path):
    (tmp_path / "a.jpg").write_text("not an image")
    with pytest.raises(DetectorError, match=r"a\.jpg: not a readable image"):
        image_size(tmp_path / "a.jpg")
    with pytest.raises(DetectorError, match=r"b\.jpg: cannot be read: No such file"):
        image_size(tmp_path / "b.jpg")


def test_a_header_of_absurd_size_is_named(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((9, 9), np.uint8))
    header = bytearray((tmp_path / "a.png").read_bytes())
    header[16:24] = (100_000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(header)
    with pytest.raises(DetectorError, match=r"a\.png: .*10000000000 pixels.*cut it into smaller images"):
        image_size(tmp_path / "a.png")


def test_the_json_is_cocos(tmp_path):
    row = {"category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0, "truncation": 1}
    write_coco(tmp_path / "new" / "a.json", [ConvertedImage("images/7_1.jpg", (64, 48), "7", [row])], ["person"])
    assert json.loads((tmp_path / "new" / "a.json").read_text()) == {
        "images": [{"id": 1, "file_name": "images/7_1.jpg", "width": 64, "height": 48, "clip": "7"}],
        "annotations": [{"id": 1, "image_id": 1, **row, "area": 12}],
        "categories": [{"id": 1, "name": "person"}],
    }
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]


def test_a_place_that_cannot_be_written_is_named_and_left_clean(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "a.json", tmp_path / "folder"):
        with pytest.raises(DetectorError, match=f"{path}: cannot be written"):
            write_coco(path, [], ["person"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
