"""The report on anchors: sizes of persons and their best IoUs, as text and as a picture."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.config import Resize
from detector.errors import DetectorError
from detector.evaluation.anchors import FOREGROUND, ScaledPersons, cell_anchors
from detector.files import atomic_file
from detector.models.presets import Architecture

_Array = NDArray[np.float64]

_PERCENT = (1, 5, 25, 50, 75, 95, 99)
_CHOSEN, _SUGGESTED, _OTHERS = "#1f77b4", "#d62728", ("#999999", "#2ca02c", "#9467bd")


@dataclass(frozen=True, eq=False)
class AnchorFit:
    """Persons at the scale of a model, and the fit of its anchors.

    Attributes:
        architecture: the model.
        persons: n persons at its scale.
        ious: float64 (n,), the best IoU of each person with an anchor on the model's grid.

    """

    architecture: Architecture
    persons: ScaledPersons
    ious: _Array


def size_table(fit: AnchorFit) -> str:
    """Percentiles of the persons' sides, √area (px at the model's scale) and height / width."""
    lines = [" " * 12 + "".join(f"{percent:>7} %" for percent in _PERCENT)]
    for name, values in _measures(fit.persons).items():
        cells = "".join(f"{value:9.1f}" for value in np.percentile(values, _PERCENT))
        lines.append(f"{name:12}{cells}")
    return "\n".join(lines)


def _measures(persons: ScaledPersons) -> dict[str, _Array]:
    width, height = persons.sides.T
    return {"height": height, "width": width, "√area": np.sqrt(width * height), "height/width": height / width}


def iou_table(fits: Mapping[str, AnchorFit]) -> str:
    """For each model the median of the best IoUs, and the shares below 0.3, from 0.5 and from 0.7 up."""
    lines = [f"{'':18}{'median':>8}{'< 0.3':>9}{'≥ 0.5':>9}{'≥ 0.7':>9}   scale"]
    for name, fit in fits.items():
        shares = [np.mean(fit.ious < 0.3), np.mean(fit.ious >= 0.5), np.mean(fit.ious >= FOREGROUND)]
        cells = "".join(f"{100 * share:7.1f} %" for share in shares)
        lines.append(f"{name:18}{np.median(fit.ious):8.2f}{cells}   {describe_scale(fit.architecture.resize)}")
    return "\n".join(lines)


def describe_scale(resize: Resize) -> str:
    """`resize` in a few words."""
    if resize.short_side is not None:
        return f"short side {resize.short_side} px" + (
            f", long at most {resize.max_side}" if resize.max_side else ""
        )
    return f"{'into' if resize.keep_aspect else 'fills'} {resize.width}×{resize.height} px"


def save_plot(path: Path, fits: Mapping[str, AnchorFit], chosen: str, suggested: str) -> None:
    """Draw the persons, the anchors of `fits[chosen]` and `fits[suggested]`, and the best IoUs of all `fits`.

    Raises:
        DetectorError: `path` cannot be written, or its suffix is no format of pictures.

    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4.8), layout="constrained")
    persons, shares, sizes = figure.subplots(1, 3)
    pair = {chosen: (fits[chosen], _CHOSEN), suggested: (fits[suggested], _SUGGESTED)}
    others = itertools.cycle(_OTHERS)
    every = {name: pair.get(name) or (fit, next(others)) for name, fit in fits.items()}
    _draw_persons(persons, pair)
    _draw_shares(shares, every)
    _draw_by_size(sizes, pair)
    try:
        with atomic_file(path) as temporary:
            figure.savefig(temporary, dpi=110)
    except OSError as error:
        raise DetectorError(f"{path}: cannot be written: {error.strerror}") from None
    except ValueError:
        raise DetectorError(f"{path}: expected a picture's name, as anchors.png or anchors.svg") from None


def _draw_persons(axes: Any, fits: Mapping[str, tuple[AnchorFit, str]]) -> None:
    sides = next(iter(fits.values()))[0].persons.sides
    axes.hexbin(
        *sides.T, gridsize=40, xscale="log", yscale="log", mincnt=1, bins="log", cmap="Greys", linewidths=0.1
    )
    for (name, (fit, colour)), marker in zip(fits.items(), "so", strict=True):
        architecture = fit.architecture
        anchors = [cell_anchors(sizes, architecture.anchor_ratios) for sizes in architecture.anchor_sizes]
        style = {"marker": marker, "facecolors": "none", "edgecolors": colour, "linewidths": 1.6}
        axes.scatter(*np.concatenate(anchors).T, label=f"anchors: {name}", s=45, **style)
    axes.set(
        xlabel="width, px at the model's scale", ylabel="height, px", title=f"{len(sides):,} persons and anchors"
    )
    _plain_ticks(axes.xaxis, axes.yaxis)
    axes.legend(loc="upper left")


def _draw_shares(axes: Any, fits: Mapping[str, tuple[AnchorFit, str]]) -> None:
    for name, (fit, colour) in fits.items():
        axes.plot(np.sort(fit.ious), np.linspace(0, 100, len(fit.ious)), color=colour, label=name)
    for limit in (0.3, 0.5, FOREGROUND):
        axes.axvline(limit, color="black", linewidth=0.6, linestyle=":")
    axes.set(xlim=(0, 1), ylim=(0, 100), xlabel="best IoU with an anchor", ylabel="persons with no more, %")
    axes.set_title("How well they fit (right is better)")
    axes.legend(loc="lower right")


def _draw_by_size(axes: Any, fits: Mapping[str, tuple[AnchorFit, str]]) -> None:
    for name, (fit, colour) in fits.items():
        sizes = _measures(fit.persons)["√area"]
        bins = np.rint(3 * np.log2(sizes)).astype(int)  # a third of an octave each
        groups = {2 ** (number / 3): fit.ious[bins == number] for number in np.unique(bins)}
        low, middle, high = np.array([np.percentile(ious, (25, 50, 75)) for ious in groups.values()]).T
        axes.plot(list(groups), middle, ".-", color=colour, label=name)
        axes.fill_between(list(groups), low, high, color=colour, alpha=0.15, linewidth=0)
    axes.axhline(FOREGROUND, color="black", linewidth=0.6, linestyle=":")
    axes.set(xscale="log", ylim=(0, 1), xlabel="√area, px at the model's scale", ylabel="best IoU")
    axes.set_title("Which persons fit (median, middle half)")
    _plain_ticks(axes.xaxis)
    axes.legend(loc="lower center")


def _plain_ticks(*log_axes: Any) -> None:
    """10, 20, 50 instead of powers of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    for axis in log_axes:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
