import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.boxes import iou
from pipeline.errors import PipelineError
from pipeline.groundtruth.read import inside, read_truth


def test_iou_by_hand():
    ours = np.array([[0, 0, 10, 10]], np.float32)
    theirs = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    np.testing.assert_allclose(iou(ours, theirs), [[1, 50 / 150, 0]])


def test_half_a_box_in_a_region_is_inside():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [6, 0, 16, 10]], np.float32)
    assert inside(boxes, np.array([[0.0, 0, 10, 10], [40, 40, 50, 50]])).tolist() == [True, True, False]
    assert inside(boxes, np.empty((0, 4))).tolist() == [False] * 3


def test_both_forms_are_read(tmp_path):
    mot = tmp_path / "flight.gt.txt"
    mot.write_text("1,7,10,20,30,40,1,1,1.0\n1,8,0,0,5,5,1,1,0.1\n\n3,7,11,20,30,40,1,1,0.5\n")
    people = read_truth(mot)
    assert sorted(people) == [0, 2]
    np.testing.assert_array_equal(people[0].boxes, [[10, 20, 40, 60], [0, 0, 5, 5]])
    np.testing.assert_array_equal(people[0].evaluated, [True, False])
    one = tmp_path / "target.txt"
    one.write_text("1,2,3,4\nNaN,NaN,NaN,NaN\n5,6,7,8\n")
    people = read_truth(one)
    np.testing.assert_array_equal(people[0].boxes, [[1, 2, 4, 6]])
    assert len(people[1].boxes) == 0
    np.testing.assert_array_equal(people[2].boxes, [[5, 6, 12, 14]])


@pytest.mark.parametrize("line", ["1,2,3", "a,b,c,d", "0,1,2,3,4,5,1,1,1", "1.5,1,2,3,4,5,1,1,1"])
def test_a_row_of_another_form_is_named(tmp_path, line):
    path = tmp_path / "gt.txt"
    path.write_text(f"1,7,10,20,30,40,1,1,1\n{line}\n")
    with pytest.raises(PipelineError, match=r"gt\.txt line 2: expected"):
        read_truth(path)


VISDRONE = """1,3,10,20,30,40,1,1,0,0
1,4,0,0,5,5,0,2,1,2
1,5,0,0,50,50,1,4,0,0
2,0,100,0,100,100,0,0,0,0
2,3,110,20,30,40,1,1,0,0
2,6,190,0,40,10,1,2,0,0
"""


def test_visdrone_by_hand(tmp_path):
    path = tmp_path / "visdrone.txt"
    path.write_text(VISDRONE)
    people = read_truth(path)
    # Not asked for: person 4 by its score. The car 5 is nobody.
    np.testing.assert_array_equal(people[0].boxes, [[10, 20, 40, 60], [0, 0, 5, 5]])
    assert people[0].evaluated.tolist() == [True, False]
    assert people[0].identities.tolist() == [3, 4]
    assert people[0].regions.shape == (0, 4)
    # Person 3 is in the region, of person 6 a quarter.
    assert people[1].evaluated.tolist() == [False, True]
    np.testing.assert_array_equal(people[1].regions, [[100, 0, 200, 100]])


def test_mot_with_ten_columns_is_no_visdrone(tmp_path):
    path = tmp_path / "gt.txt"
    path.write_text("1,3,10,20,30,40,1,-1,-1,-1\n2,3,10,20,30,40,1,1.5,1,1\n3,3,10,20,30,40,0,4.5,0.1,0\n")
    evaluated = [people.evaluated.tolist() for people in read_truth(path).values()]
    assert evaluated == [[True], [True], []]  # the tenth column is a place on the ground, no visibility


def test_a_file_of_visdrone_itself():
    samples = os.environ.get("UAVPIPE_SAMPLE_DATA")
    if not samples:
        pytest.skip("UAVPIPE_SAMPLE_DATA is not set: it names the folder of sample footage")
    path = Path(samples) / "video" / "visdrone_vid_uav0000086" / "annotations" / "uav0000086_00000_v.txt"
    people = read_truth(path)
    # Counted with awk: rows of category 1 or 2 among the first twelve frames, and of category 0 in all.
    assert sum(people[frame].evaluated.sum() for frame in range(12)) == 408
    assert sum(len(here.regions) for here in people.values()) == 780
