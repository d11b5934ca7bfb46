from xml.etree import ElementTree

import numpy as np
import pytest

from detector.evaluation.curves import Judged
from detector.evaluation.picture import plot


def judged(scores, right):
    heights = np.full(len(scores), 40, np.float32)
    return Judged(
        np.array(scores, np.float32), np.array(right, bool), heights, np.full(4, 40, np.float32), images=2
    )


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_curves_beside_how_often_scores_are_right(tmp_path, suffix):
    path = tmp_path / f"curves{suffix}"
    plot(path, {"all": judged([0.95, 0.95, 0.55], [1, 1, 0]), "12 to 20 px": judged([], [])})
    if suffix == ".png":
        assert path.read_bytes().startswith(b"\x89PNG")
    else:  # matplotlib repeats each text of a drawing in a comment
        parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
        text = ElementTree.tostring(ElementTree.parse(path, parser).getroot(), "unicode")
        error = (2 * 0.05 + 0.55) / 3  # of the two at 0.95 both are right, of the one at 0.55 none
        assert f"calibration error {error:.3f}" in text
        assert "all: AP50" in text
        assert "12 to 20 px" in text  # four persons, of whom none is found


def test_without_boxes_there_is_no_error_to_state(tmp_path):
    plot(tmp_path / "curves.svg", {"all": judged([], [])})
    assert "no boxes" in (tmp_path / "curves.svg").read_text("utf-8")
