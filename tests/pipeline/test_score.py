import numpy as np
import pytest

from detector.records import Detections
from pipeline.errors import PipelineError
from pipeline.score import Truth, iou, match, read_truth, score


def found(*rows):
    rows = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(rows[:, :4], rows[:, 4])


def truth(*boxes, asked=None):
    return Truth(
        np.array(boxes, float).reshape(-1, 4), np.array(asked or [True] * len(boxes), bool), np.arange(len(boxes))
    )


def test_iou_by_hand():
    ours = np.array([[0, 0, 10, 10]], np.float32)
    theirs = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    np.testing.assert_allclose(iou(ours, theirs), [[1, 50 / 150, 0]])


def test_each_person_is_found_once_and_the_second_box_on_him_is_wrong():
    boxes = found((0, 0, 10, 10, 0.9), (0, 0, 10, 9, 0.8), (50, 50, 60, 60, 0.7))
    assert match(truth((0, 0, 10, 10)), boxes, 0.5) == (1, 2)


def test_a_box_on_a_hidden_person_is_neither_right_nor_wrong():
    assert match(truth((0, 0, 10, 10), asked=[False]), found((0, 0, 10, 10, 0.9)), 0.5) == (0, 0)


def test_figures_by_hand():
    people = {0: truth((0, 0, 10, 10), (20, 0, 30, 10)), 2: truth((0, 0, 10, 10))}
    boxes = {
        0: found((0, 0, 10, 10, 0.9), (100, 0, 110, 10, 0.6)),
        1: found((0, 0, 10, 10, 0.95)),
        2: found((0, 0, 10, 10, 0.55)),
    }
    at_half, at_eighty = score(people, boxes, (0.5, 0.8), frames=4)
    assert (at_half.recall, at_half.precision, at_half.wrong_per_frame) == (2 / 3, 2 / 4, 2 / 4)
    assert (at_eighty.recall, at_eighty.precision, at_eighty.wrong_per_frame) == (1 / 3, 1 / 2, 1 / 4)
    assert at_half.persons == 3


def test_both_forms_are_read(tmp_path):
    mot = tmp_path / "flight.gt.txt"
    mot.write_text("1,7,10,20,30,40,1,1,1.0\n1,8,0,0,5,5,1,1,0.1\n\n3,7,11,20,30,40,1,1,0.5\n")
    people = read_truth(mot)
    assert sorted(people) == [0, 2]
    np.testing.assert_array_equal(people[0].boxes, [[10, 20, 40, 60], [0, 0, 5, 5]])
    np.testing.assert_array_equal(people[0].asked, [True, False])
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
