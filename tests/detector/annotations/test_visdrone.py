import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.annotations.visdrone import read_visdrone
from detector.errors import DetectorError

SAMPLES = os.environ.get("UAVPIPE_SAMPLE_DATA")

ROWS = """\
684,8,273,116,0,0,0,0
10,20,5,8,1,1,0,1,
30,40,6,9,1,2,1,2
50,60,7,7,0,1,0,0
1,2,0,5,1,1,0,0
3,4,30,20,1,4,0,0

7,8,3,3,0,11,0,0
"""


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((54, 96, 3), np.uint8))


def stills(folder, **texts):
    (folder / "annotations").mkdir(parents=True)
    for name, text in texts.items():
        picture(folder / "images" / f"{name}.jpg")
        (folder / "annotations" / f"{name}.txt").write_text(text)
    return folder


def video(folder, text, frames=3, name="uav1_v"):
    (folder / "annotations").mkdir(parents=True)
    (folder / "annotations" / f"{name}.txt").write_text(text)
    for frame in range(1, frames + 1):
        picture(folder / "sequences" / name / f"{frame:07d}.jpg")
    return folder


def test_a_still_by_hand(tmp_path):
    result = read_visdrone(stills(tmp_path, **{"0000002_00005_d_0000014": ROWS}))
    (image,) = result.images
    assert (image.file_name, image.size, image.clip) == ("images/0000002_00005_d_0000014.jpg", (96, 54), "0000002")
    assert [
        (row["bbox"], row["iscrowd"], row["truncation"], row["occlusion"], row["original_category"])
        for row in image.annotations
    ] == [
        ([684, 8, 273, 116], 1, 0, 0, 0),
        ([10, 20, 5, 8], 0, 0, 1, 1),
        ([30, 40, 6, 9], 0, 1, 2, 2),
        ([50, 60, 7, 7], 1, 0, 0, 1),
    ]
    assert {row["category_id"] for row in image.annotations} == {1}
    assert result.categories == ("person",)
    assert result.account.left_out == {"without area": 1, "of other categories": 2}
    assert (result.account.read, result.account.used) == (7, 4)


def test_companion_files_of_a_mac_are_passed_over(tmp_path):
    folder = stills(tmp_path, **{"0000002_00005_d_0000014": ROWS})
    for name in ("images/._0000002_00005_d_0000014.jpg", "annotations/._0000002_00005_d_0000014.txt"):
        (folder / name).write_bytes(b"\0\5\x16\7 Mac OS X")
    assert len(read_visdrone(folder).images) == 1


def test_both_categories_share_the_regions(tmp_path):
    result = read_visdrone(stills(tmp_path, a=ROWS), both=True)
    assert result.categories == ("pedestrian", "people")
    rows = [(row["category_id"], row["bbox"][0], row["iscrowd"]) for row in result.images[0].annotations]
    assert rows == [(1, 684, 1), (2, 684, 1), (1, 10, 0), (2, 30, 0), (1, 50, 1)]


def test_a_video_by_hand(tmp_path):
    # By target, as the official files are, not by frame.
    text = "1,7,10,20,5,8,1,1,0,0\n3,7,12,20,5,8,1,1,0,0\n1,8,30,20,5,8,1,2,1,2\n3,0,0,0,9,9,0,0,0,0\n"
    first, second, third = read_visdrone(video(tmp_path, text)).images
    assert [image.file_name[-11:] for image in (first, second, third)] == [f"000000{n}.jpg" for n in (1, 2, 3)]
    assert {image.clip for image in (first, second, third)} == {"uav1_v"}
    assert [(row["track_id"], row["bbox"][0]) for row in first.annotations] == [(7, 10), (8, 30)]
    assert second.annotations == []
    assert [(row["track_id"], row["iscrowd"]) for row in third.annotations] == [(7, 0), (0, 1)]


def test_the_archives_own_folder_may_lie_below(tmp_path):
    stills(tmp_path / "VisDrone2019-DET-train", a=ROWS)
    assert read_visdrone(tmp_path).images[0].file_name == "VisDrone2019-DET-train/images/a.jpg"
    stills(tmp_path / "VisDrone2019-DET-val", b=ROWS)
    with pytest.raises(DetectorError, match=r"2 data sets: VisDrone2019-DET-train, .*-val; convert each"):
        read_visdrone(tmp_path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1,2,3", "'1,2,3'; expected 8 whole numbers: left,top,width"),
        ("1,2,3,4,1,1,0,0,0", "expected 8 whole numbers"),
        ("1,2,3,x,1,1,0,0", "expected 8 whole numbers"),
        ("1,2,3,4,1,12,0,0", "score 1, category 12; expected 0 or 1, and 0 to 11"),
        ("1,2,3,4,2,1,0,0", "score 2, category 1"),
    ],
)
def test_a_malformed_row_is_named_by_file_and_line(tmp_path, line, expected):
    with pytest.raises(DetectorError, match=r"annotations/a\.txt line 2: ?.*" + expected):
        read_visdrone(stills(tmp_path, a=f"1,2,3,4,1,1,0,0\n{line}\n"))


def test_a_binary_file_is_named(tmp_path):
    folder = stills(tmp_path, a="")
    (folder / "annotations" / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DetectorError, match=r"a\.txt: not a text file"):
        read_visdrone(folder)


def test_what_is_missing_is_named_or_counted(tmp_path):
    folder = stills(tmp_path, a=ROWS, b=ROWS, c=ROWS)
    (folder / "images" / "b.jpg").unlink()
    with pytest.raises(DetectorError, match=r"annotations/b\.txt: no such image; .*--skip-missing"):
        read_visdrone(folder)
    picture(folder / "images" / "b.jpg")
    (folder / "annotations" / "c.txt").unlink()
    with pytest.raises(DetectorError, match=r"images/c\.jpg: no annotations of this image"):
        read_visdrone(folder)
    result = read_visdrone(folder, skip_missing=True)
    assert [image.file_name for image in result.images] == ["images/a.jpg", "images/b.jpg"]
    assert result.account.notes["images without annotations left out"] == 1


def test_a_frame_without_image_is_named_by_file_and_line(tmp_path):
    folder = video(tmp_path, "1,7,10,20,5,8,1,1,0,0\n4,7,12,20,5,8,1,1,0,0\n")
    with pytest.raises(DetectorError, match=r"uav1_v\.txt line 2: frame 4 has no image in .*uav1_v"):
        read_visdrone(folder)
    assert read_visdrone(folder, skip_missing=True).account.left_out == {"of a frame without an image": 1}


def test_a_folder_of_anything_else_says_what_is_expected(tmp_path):
    with pytest.raises(DetectorError, match=r"no VisDrone data here .*annotations/ beside images/"):
        read_visdrone(tmp_path)
    with pytest.raises(DetectorError, match="no such folder"):
        read_visdrone(tmp_path / "gone")
    stills(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(DetectorError, match="no images with annotations"):
        read_visdrone(tmp_path)


@pytest.mark.skipif(SAMPLES is None, reason="UAVPIPE_SAMPLE_DATA names no sample data")
def test_real_files_give_what_their_rows_say():
    folder = Path(SAMPLES) / "detection/visdrone_raw5"
    result = read_visdrone(folder)
    # Counted by column, with nothing of the reader's.
    columns = [
        line.rstrip(",").split(",")
        for path in (folder / "annotations").iterdir()
        for line in path.read_text().split()
    ]
    rows = [row for image in result.images for row in image.annotations]
    assert sum(not row["iscrowd"] for row in rows) == sum(c[4] == "1" and c[5] in "12" for c in columns) == 66
    assert sum(row["iscrowd"] for row in rows) == sum(c[5] == "0" for c in columns) == 32
    for image in result.images:
        assert image.size == cv2.imread(str(folder / image.file_name)).shape[1::-1]
