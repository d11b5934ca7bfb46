"""Calibration of scores, checked on draws whose probabilities are known, and on a network."""

import numpy as np
import pytest
import torch
from scipy.special import expit, logit
from torch import nn

from detector.errors import DetectorError
from detector.evaluation.calibration import calibrated, calibration_error, fit, reliability
from detector.evaluation.curves import Judged
from detector.scores import ScoreLine

NAMES = [f"roi_heads.box_predictor.cls_score.{part}" for part in ("weight", "bias")]


def line_of(slope, offset):
    return ScoreLine(slope=slope, offset=offset)


def judged(scores, right):
    order = np.argsort(-np.asarray(scores), kind="stable")
    scores, right = np.asarray(scores, np.float32)[order], np.asarray(right, bool)[order]
    return Judged(scores, right, np.full(len(scores), 30, np.float32), np.full(9, 30, np.float32), images=1)


def drawn(line, count=40_000):
    """Detections that are right as often as `line` says of their scores."""
    draw = np.random.default_rng(5)
    scores = draw.uniform(0.01, 0.99, count)
    return judged(scores, draw.uniform(size=count) < line(scores))


def test_the_line_from_which_the_truth_was_drawn_is_found():
    found = fit(drawn(line_of(1.4, -0.8)))
    assert found.slope == pytest.approx(1.4, abs=0.06)
    assert found.offset == pytest.approx(-0.8, abs=0.06)


def test_calibrated_scores_are_right_as_often_as_they_say():
    overconfident = drawn(line_of(0.6, -1.2))
    line = fit(overconfident)
    after = judged(line(overconfident.scores), overconfident.right)
    assert calibration_error(reliability(overconfident)) > 0.2
    assert calibration_error(reliability(after)) < 0.02


def test_reliability_by_hand():
    bins = reliability(judged([0.95, 1.0, 0.81, 0.05], [True, False, True, False]))
    assert [each.count for each in bins] == [1, 0, 0, 0, 0, 0, 0, 0, 1, 2]
    assert (bins[9].low, bins[9].right) == (0.9, 0.5)
    assert bins[9].score == pytest.approx(0.975)
    assert (bins[3].score, bins[3].right) == (None, None)
    # Of three detections from 0.1 up: two are 0.475 off, one 0.19.
    assert calibration_error(bins) == pytest.approx((2 * 0.475 + 0.19) / 3, abs=1e-6)
    assert calibration_error(reliability(judged([], []))) is None


def test_a_line_keeps_the_order_and_is_the_logit_s():
    scores = np.array([0.0, 0.2, 0.5, 0.9, 1.0])
    after = line_of(2.0, 0.3)(scores)
    assert (np.diff(after) > 0).all()
    assert [line_of(2.0, 0.3).inverse(score) for score in after[1:4]] == pytest.approx(scores[1:4])
    assert after[1:4] == pytest.approx(expit(2 * logit(scores[1:4]) + 0.3))


def test_the_network_gives_the_line_s_scores():
    torch.manual_seed(1)
    layer = nn.Linear(8, 2)
    state = dict(zip(NAMES, (layer.weight.detach(), layer.bias.detach()), strict=True)) | {"other": torch.ones(1)}
    line = line_of(1.7, -0.4)
    changed = calibrated(state, line)
    inputs = torch.randn(50, 8)
    scores = layer(inputs).softmax(1)[:, 1].detach().double().numpy()
    after = nn.functional.linear(inputs, changed[NAMES[0]], changed[NAMES[1]]).softmax(1)[:, 1].double().numpy()
    assert after == pytest.approx(line(scores), abs=1e-5)
    assert torch.equal(state[NAMES[1]], layer.bias)  # the original is untouched
    assert changed["other"] is state["other"]


def test_what_cannot_be_calibrated_is_refused():
    with pytest.raises(DetectorError, match="3 right and 0 wrong"):
        fit(judged([0.9, 0.8, 0.7], [True, True, True]))
    with pytest.raises(DetectorError, match="wrong detections have higher scores"):
        fit(judged(np.linspace(0.1, 0.9, 40), np.arange(40) < 20))
    with pytest.raises(DetectorError, match="classes background and person"):
        calibrated({NAMES[0]: torch.ones(91, 4), NAMES[1]: torch.ones(91)}, line_of(1, 0))
