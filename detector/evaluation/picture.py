"""The picture of an evaluation: precision by recall, and how often boxes of a score are right."""

from pathlib import Path
from typing import Any

import numpy as np

from detector.evaluation.calibration import calibration_error, reliability
from detector.evaluation.curves import Judged


def plot(path: Path, parts: dict[str, Judged]) -> None:
    """Draw the curves of all `parts` that have persons, and the reliability of the scores of "all".

    Args:
        path: of the picture; its suffix names the format.
        parts: as in `Report`.

    """
    from matplotlib.figure import Figure  # not pyplot, which wants a display

    figure = Figure(figsize=(13, 6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[8, 5])
    _draw_curves(left, parts)
    _draw_reliability(right, parts["all"])
    for axes in (left, right):
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(alpha=0.3)
    left.legend()
    figure.savefig(path, dpi=120)


def _draw_curves(axes: Any, parts: dict[str, Judged]) -> None:
    for name, judged in parts.items():
        persons = len(judged.person_heights)
        if persons:
            curve = judged.curve()
            reached = ~np.isnan(curve.score)
            label = f"{name}: AP50 {judged.ap50():.3f}, {persons:,} persons"
            axes.plot(curve.recall[reached], curve.precision[reached], label=label, marker=".", markersize=3)
    axes.set(xlabel="recall", ylabel="precision", title="Precision and recall at IoU 0.5, by height of the person")


def _draw_reliability(axes: Any, judged: Judged) -> None:
    bins = reliability(judged)
    known = [each for each in bins[1:] if each.count]
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--")
    axes.plot([each.score for each in known], [each.right for each in known], marker="o")
    for each in known:
        axes.annotate(f"{each.count:,}", (each.score, each.right), (0, 7), textcoords="offset points", ha="center")
    error = calibration_error(bins)
    shown = "no boxes" if error is None else f"calibration error {error:.3f}"
    axes.set(xlabel="score", ylabel="share of boxes that are right", title=f"Boxes by score from 0.1 up: {shown}")
