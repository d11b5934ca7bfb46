import pytest

from detector.scores import TileScores


def test_scores_in_tiles_by_hand():
    # Fitted where persons are four times as large: logit 2 becomes 0.5 * 2 - 3 = -2 there, sigmoid 0.1192.
    scores = TileScores(slope=0.5, offset=-3.0, enlargement=4.0)
    sure = 0.880797  # logit 2
    assert scores.at(4.0)(sure) == pytest.approx(0.119203, abs=1e-6)
    # Twice as large is half of the way by the logarithm: 0.75 * 2 - 1.5 = 0.
    assert scores.at(2.0)(sure) == pytest.approx(0.5, abs=1e-6)
    # Beyond, nothing was measured.
    assert scores.at(9.0) == scores.at(4.0)
    assert scores.at(1.0) is None
    assert scores.at(0.5) is None


def test_a_line_without_enlargement_holds_for_all_tiles():
    scores = TileScores(slope=0.5, offset=-3.0)
    assert scores.at(1.1) == scores.at(8.0)
    assert scores.at(2.0)(0.5) == scores(0.5)
