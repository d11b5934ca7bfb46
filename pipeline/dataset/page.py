"""The statistics of a data set as one page that needs nothing beside it."""

import io
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pipeline.dataset.labelled import DISTRACTOR
from pipeline.dataset.split import SPLITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"train": "#33658a", "query": "#f26419", "gallery": "#86bbd8"}
_SIZE = 4.4, 2.5  # inches; as wide as a phone shows without shrinking the letters
_BINS = 30


def page(crops: pd.DataFrame, figures: Mapping[str, Any]) -> str:
    """The page, HTML: the same text for the same data set.

    Args:
        crops: of the data set, with the columns split, identity, camera and height.
        figures: as `statistics` gives them.

    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["words"] = lambda key: str(key).replace("_", " ")
    template = environment.from_string(files("pipeline.dataset").joinpath("page.html").read_text("utf-8"))
    plots = [(title, _svg(title, draw, crops)) for title, draw in _PLOTS.items()]
    return template.render(figures=figures, plots=plots, colours=_COLOURS)


def _svg(title: str, draw: "Callable[[Axes, pd.DataFrame], None]", crops: pd.DataFrame) -> Markup:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # The salt takes chance out of the ids; letters stay letters, so that the page is small and can be searched.
    with rc_context({"svg.hashsalt": title, "svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif"}):
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        draw(axes, crops)
        axes.spines[["top", "right"]].set_visible(False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return Markup(text.getvalue()[text.getvalue().index("<svg") :])  # noqa: S704 - of numbers alone


def _crops_per_identity(axes: "Axes", crops: pd.DataFrame) -> None:
    for half, persons in _halves(crops).items():
        sizes = np.sort(persons.groupby("identity").size().to_numpy())[::-1]
        axes.step(np.arange(1, len(sizes) + 1), sizes, where="mid", color=_COLOURS[half])
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
    axes.hist(heights, bins=_BINS, stacked=True, color=[_COLOURS[split] for split in names])
    axes.set(xlabel="height of the box, pixels", ylabel="crops")


def _halves(crops: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The persons' crops to learn from, and those of the test, which has the gallery's colour."""
    persons = crops[crops["identity"] > DISTRACTOR]
    train = persons["split"] == "train"
    return {"train": persons[train], "gallery": persons[~train]}


def _stack(axes: "Axes", places: "np.typing.NDArray[np.int64]", sizes: pd.DataFrame) -> None:
    bottom = np.zeros(len(sizes))
    for split in SPLITS:
        if split in sizes:
            values = sizes[split].to_numpy(np.float64)
            axes.bar(places, values, bottom=bottom, width=0.9, color=_COLOURS[split])
            bottom += values


_PLOTS: "dict[str, Callable[[Axes, pd.DataFrame], None]]" = {
    "Crops of each identity": _crops_per_identity,
    "Flights of each identity": _flights_per_identity,
    "Crops of each flight": _crops_per_flight,
    "Heights": _heights,
}
