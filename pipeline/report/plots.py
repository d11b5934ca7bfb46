"""The plots of a flight and of the evaluations."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray

from pipeline.pages.plot import AMBER, BLUE, CYCLE, ORANGE, SKY, plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from detector.evaluation.curves import Judged

_BINS = 120  # in time: as many as a phone can show apart


def persons_over_time(name: str, frames: pd.DataFrame, boxes: pd.DataFrame) -> Markup:
    """Persons a frame by time, and where frames are lost or suspect.

    Args:
        name: of the flight.
        frames: the flight's table of frames.
        boxes: its detections from the threshold up.

    """
    decoded = frames[~frames["lost"]]
    counts = boxes.groupby("frame").size().reindex(decoded["frame"], fill_value=0).to_numpy()
    times = decoded["pts_s"].to_numpy()
    begin, end = float(frames["pts_s"].min()), float(frames["pts_s"].max())
    edges = np.linspace(begin, max(end, begin + 1e-3), min(_BINS, max(1, len(times))) + 1)
    bins = pd.Series(counts).groupby(np.clip(np.searchsorted(edges, times, "right") - 1, 0, len(edges) - 2))
    middles = (edges[:-1] + edges[1:])[bins.mean().index.to_numpy()] / 2 - begin
    bad = frames.loc[frames["lost"] | frames["suspect"], "pts_s"].to_numpy() - begin

    def draw(axes: "Axes") -> None:
        axes.fill_between(middles, bins.min(), bins.max(), color=SKY, alpha=0.4, linewidth=0)
        axes.plot(middles, bins.mean(), color=BLUE, linewidth=1.2)
        if len(bad):
            height = max(1, counts.max(initial=0))
            axes.vlines(bad, -0.06 * height, -0.01 * height, color=ORANGE, linewidth=1)
        axes.set(xlabel="seconds", ylabel="persons in a frame", xlim=(0, max(end - begin, 1e-3)))
        axes.set_ylim(bottom=None if len(bad) else 0)
        axes.locator_params(axis="y", integer=True)

    return plot(f"persons over time, {name}", draw)


def heights(name: str, boxes: pd.DataFrame) -> Markup:
    """Histogram of the persons' heights in pixels; arguments as above."""
    values = (boxes["y2"] - boxes["y1"]).to_numpy(np.float64)

    def draw(axes: "Axes") -> None:
        axes.hist(values, bins=40, color=BLUE)
        axes.set(xlabel="height of the box, pixels", ylabel="detections", xlim=(0, None))

    return plot(f"heights, {name}", draw)


def scores(name: str, found: pd.DataFrame, threshold: float) -> Markup:
    """Histogram of the scores of all detections, from the detector's floor up, with the threshold."""

    def draw(axes: "Axes") -> None:
        axes.hist(found["score"].to_numpy(np.float64), bins=np.linspace(0, 1, 41).tolist(), color=BLUE)
        axes.axvline(threshold, color=ORANGE, linewidth=1.2)
        axes.set(xlabel="score; the line is the threshold", ylabel="detections", xlim=(0, 1))
        if len(found):  # high scores are rare beside low ones
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:,g}")
            axes.minorticks_off()

    return plot(f"scores, {name}", draw)


def altitude(name: str, frames: pd.DataFrame) -> Markup:
    """Metres above the take-off point by time, from the telemetry."""
    rows = frames.dropna(subset=["altitude_m"])
    begin = float(frames["pts_s"].min())

    def draw(axes: "Axes") -> None:
        axes.plot(rows["pts_s"] - begin, rows["altitude_m"], color=BLUE, linewidth=1.2)
        axes.set(xlabel="seconds", ylabel="altitude, metres", ylim=(0, 1.1 * max(1.0, rows["altitude_m"].max())))

    return plot(f"altitude, {name}", draw)


def precision_by_recall(name: str, judged: "Judged", threshold: float) -> Markup:
    """Precision at each recall that the detections reach, and at the threshold."""
    curve, point = judged.curve(), judged.at(threshold)
    reached = ~np.isnan(curve.score)

    def draw(axes: "Axes") -> None:
        axes.plot(curve.recall[reached], curve.precision[reached], color=BLUE)
        if point.recall is not None and point.precision is not None:
            axes.plot(point.recall, point.precision, "o", color=ORANGE, label=f"score ≥ {threshold:g}")
            axes.legend(loc="lower left")
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.04))

    return plot(f"precision by recall, {name}", draw)


def cmc(curves: Mapping[str, NDArray[np.float64]]) -> Markup:
    """Share of the queries that are answered within each rank, a line for each evaluation."""

    def draw(axes: "Axes") -> None:
        for (name, curve), colour in zip(curves.items(), CYCLE * len(curves), strict=False):
            axes.plot(np.arange(1, len(curve) + 1), curve, color=colour, label=name, marker=".", markersize=3)
        axes.set(xlabel="rank", ylabel="queries answered", xlim=(0.5, None), ylim=(0, 1.04))
        axes.locator_params(axis="x", integer=True)
        axes.legend(loc="lower right")

    return plot("CMC", draw)


def training(name: str, rows: pd.DataFrame, parts: Sequence[str]) -> Markup:
    """The training loss and its parts, by iteration."""

    def draw(axes: "Axes") -> None:
        for part, colour in zip(parts, (ORANGE, *CYCLE[2:], BLUE), strict=False):
            axes.plot(
                rows["iteration"],
                rows[part],
                color=BLUE if part == "loss" else colour,
                label=part.replace("_", " "),
            )
        axes.set(xlabel="iteration", ylabel="loss", ylim=(0, None))
        axes.legend()

    return plot(f"training, {name}", draw)


def test_figures(name: str, rows: pd.DataFrame, figures: Sequence[str]) -> Markup:
    """Figures of the evaluations during a training, by iteration."""
    measured = rows.dropna(subset=list(figures))

    def draw(axes: "Axes") -> None:
        for figure, colour in zip(figures, (BLUE, AMBER), strict=False):
            axes.plot(measured["iteration"], measured[figure], color=colour, label=figure, marker=".")
        axes.set(xlabel="iteration", ylim=(0, 1.04))
        axes.legend()

    return plot(f"evaluated in training, {name}", draw)
