import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.annotations.yolo import read_yolo
from detector.errors import DetectorError

SAMPLES = os.environ.get("UAVPIPE_SAMPLE_DATA")


def data(folder, subset="", **texts):
    images, labels = folder / "images" / subset, folder / "labels" / subset
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    for name, text in texts.items():
        cv2.imwrite(str(images / f"{name}.png"), np.zeros((50, 200, 3), np.uint8))
        if text is not None:
            (labels / f"{name}.txt").write_text(text)
    return folder


def test_shares_of_the_image_become_pixels(tmp_path):
    result = read_yolo(
        data(tmp_path, clip3_0001="0 0.5 0.4 0.1 0.2\n1 0.5 0.5 0.5 0.5\n0 .1 .1 0 .1\n"), persons=(0,)
    )
    (image,) = result.images
    assert (image.file_name, image.size, image.clip) == ("images/clip3_0001.png", (200, 50), "clip3")
    # Centre (100, 20), 20 x 10 px.
    assert image.annotations == [{"category_id": 1, "bbox": [90, 15, 20, 10], "iscrowd": 0}]
    assert dict(result.account.left_out) == {"of class 1": 1, "without area": 1}
    assert (result.account.read, result.account.used) == (3, 1)


def test_several_classes_may_be_persons(tmp_path):
    folder = data(tmp_path, a="0 .5 .5 .1 .1\n1 .5 .5 .1 .1\n4 .5 .5 .1 .1\n")
    assert len(read_yolo(folder, persons=(0, 1)).images[0].annotations) == 2


def test_an_image_without_labels_shows_nobody(tmp_path):
    result = read_yolo(data(tmp_path, a="0 .5 .5 .1 .1\n", b=None, c=""))
    assert [len(image.annotations) for image in result.images] == [1, 0, 0]
    assert result.account.notes["images without a label file, taken as empty"] == 1


def test_companion_files_of_a_mac_are_passed_over(tmp_path):
    folder = data(tmp_path, a="0 .5 .5 .1 .1\n")
    for name in ("images/._a.png", "labels/._a.txt", "labels/._.txt"):
        (folder / name).write_bytes(b"\0\5\x16\7 Mac OS X")
    assert [len(image.annotations) for image in read_yolo(folder).images] == [1]


def test_a_subset_has_folders_of_its_own(tmp_path):
    data(tmp_path, "train", a="0 .5 .5 .1 .1\n")
    data(tmp_path, "val", b="0 .5 .5 .1 .1\n")
    assert [image.file_name for image in read_yolo(tmp_path, subset="train").images] == ["images/train/a.png"]
    with pytest.raises(DetectorError, match=r"images: no images here.*--subset train"):
        read_yolo(tmp_path)
    for outside in ("..", "../train", "/train"):
        with pytest.raises(DetectorError, match="expected the name of a folder"):
            read_yolo(tmp_path, subset=outside)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 .1 .2 .3", "'0 .1 .2 .3'; expected 5 numbers: class x_centre"),
        ("0 .1 .2 .3 x", "expected 5 numbers"),
        ("0 .1 .2 .3 40", r"four shares of the image in 0\.\.1"),
        ("0 .1 .2 .3 nan", "four shares"),
        ("0.5 .1 .2 .3 .4", "a whole class"),
    ],
)
def test_a_malformed_row_is_named_by_file_and_line(tmp_path, line, expected):
    with pytest.raises(DetectorError, match=r"labels/a\.txt line 2: ?.*" + expected):
        read_yolo(data(tmp_path, a=f"0 .5 .5 .1 .1\n{line}\n"))


def test_labels_without_an_image_and_classes_that_do_not_occur(tmp_path):
    folder = data(tmp_path, a="0 .5 .5 .1 .1\n")
    with pytest.raises(DetectorError, match=r"no row of class 7; the rows are of class 0: .*--person"):
        read_yolo(folder, persons=(7,))
    (folder / "labels" / "b.txt").touch()
    with pytest.raises(DetectorError, match=r"labels/b\.txt: no image b in .*images"):
        read_yolo(folder)
    with pytest.raises(DetectorError, match="images: no such folder"):
        read_yolo(tmp_path / "gone")


@pytest.mark.skipif(SAMPLES is None, reason="UAVPIPE_SAMPLE_DATA names no sample data")
def test_real_files_come_back_as_whole_pixels():
    folder = Path(SAMPLES) / "detection/visdrone_person_150"
    # VisDrone's boxes are whole pixels: what comes back from rounded shares nearly is.
    sides = np.array([row["bbox"] for image in read_yolo(folder).images for row in image.annotations])
    assert len(sides) == 2593
    assert np.abs(sides - sides.round()).max() <= 0.011
