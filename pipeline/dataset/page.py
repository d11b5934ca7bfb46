"""The statistics of a data set as one self-contained page."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from pipeline.dataset.labelled import DISTRACTOR
from pipeline.dataset.split import SPLITS
from pipeline.dataset.statistics import doubt_of_split
from pipeline.pages import render
from pipeline.pages.plot import BLUE, ORANGE, SKY, plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPLIT_COLOURS = {"train": BLUE, "query": ORANGE, "gallery": SKY}
_BINS = 30


def page(crops: pd.DataFrame, figures: Mapping[str, Any]) -> str:
    """The page, HTML: the same text for the same data set.

    Args:
        crops: of the data set, with the columns split, identity, camera and height.
        figures: as `statistics` gives them.

    """
    return render(
        "pipeline.dataset",
        "dataset.html",
        figures=figures,
        doubt=doubt_of_split(figures),
        plots=plots(crops),
        colours=SPLIT_COLOURS,
    )


def plots(crops: pd.DataFrame) -> dict[str, Markup]:
    """Plots of the data set by title; the arguments are those of `page`."""
    return {title: plot(title, partial(draw, crops=crops)) for title, draw in _PLOTS.items()}


def _crops_per_identity(axes: "Axes", crops: pd.DataFrame) -> None:
    for half, persons in _halves(crops).items():
        sizes = np.sort(persons.groupby("identity").size().to_numpy())[::-1]
        axes.step(np.arange(1, len(sizes) + 1), sizes, where="mid", color=SPLIT_COLOURS[half])
    axes.set(xlabel="identities of each half, most crops first", ylabel="crops", ylim=(0, None))
    axes.locator_params(axis="x", integer=True)


def _crops_per_flight(axes: "Axes", crops: pd.DataFrame) -> None:
    sizes = crops.groupby(["camera", "split"]).size().unstack(fill_value=0)
    _stack(axes, sizes.index.to_numpy(), sizes)
    axes.set(xlabel="number of the flight", ylabel="crops")
    axes.locator_params(axis="x", integer=True)


def _flights_per_identity(axes: "Axes", crops: pd.DataFrame) -> None:
    seen = {half: rows.groupby("identity")["camera"].nunique() for half, rows in _halves(crops).items()}
    counts = pd.DataFrame({half: flights.value_counts() for half, flights in seen.items()}).fillna(0)
    _stack(axes, counts.index.to_numpy(), counts)
    axes.set(xlabel="flights that an identity is seen in", ylabel="identities")
    axes.locator_params(axis="x", integer=True)


def _heights(axes: "Axes", crops: pd.DataFrame) -> None:
    names = [split for split in SPLITS if (crops["split"] == split).any()]
    heights = [crops.loc[crops["split"] == split, "height"] for split in names]
    axes.hist(heights, bins=_BINS, stacked=True, color=[SPLIT_COLOURS[split] for split in names])
    axes.set(xlabel="height of the box, pixels", ylabel="crops")


def _halves(crops: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The persons' crops for training, and those of the test, which has the gallery's colour."""
    persons = crops[crops["identity"] > DISTRACTOR]
    train = persons["split"] == "train"
    return {"train": persons[train], "gallery": persons[~train]}


def _stack(axes: "Axes", places: "np.typing.NDArray[np.int64]", sizes: pd.DataFrame) -> None:
    bottom = np.zeros(len(sizes))
    for split in SPLITS:
        if split in sizes:
            values = sizes[split].to_numpy(np.float64)
            axes.bar(places, values, bottom=bottom, width=0.9, color=SPLIT_COLOURS[split])
            bottom += values


_PLOTS: "dict[str, Callable[..., None]]" = {
    "Crops of each identity": _crops_per_identity,
    "Flights of each identity": _flights_per_identity,
    "Crops of each flight": _crops_per_flight,
    "Heights": _heights,
}
