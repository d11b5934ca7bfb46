"""Counted things in words, and in the line of a stage."""

from pathlib import Path

import pytest

from pipeline.cli.stages import report_stage
from pipeline.words import counted
from pipeline.workspace.stage import StageResult


@pytest.mark.parametrize(("count", "words"), [(0, "0 boxes"), (1, "1 box"), (1234, "1,234 boxes")])
def test_one_and_several(count, words):
    assert counted(count, "box", "boxes") == words


def test_a_stage_counts_in_words(capsys):
    found = {"tracklets": 1, "detections": 1, "median_length": 1.0}
    report_stage(StageResult("tracks", Path("runs/f/tracks"), found, skipped=False))
    assert "1 tracklet, 1 detection, 1.0 median length  →" in capsys.readouterr().out
