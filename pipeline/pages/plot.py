"""Plots as inline SVG, in the colours of the page that they are on."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Told apart by people who do not see red or green (Okabe and Ito 2008), and legible on white and on black.
BLUE, ORANGE, SKY, GREEN, PINK, AMBER = "#0072b2", "#d55e00", "#56b4e9", "#009e73", "#cc79a7", "#e69f00"
CYCLE = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY)
_SIZE = 4.4, 2.5  # inches; as wide as a phone shows without shrinking the letters
_INK = "#010203"  # placeholder for the colour of the page's letters, which only the reader's browser knows
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # letters stay letters, so that the page is small and can be searched
    "font.size": 9,
    "font.family": "sans-serif",
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def plot(title: str, draw: "Callable[[Axes], None]", size: tuple[float, float] = _SIZE) -> Markup:
    """What `draw` draws, as an SVG; the same text for the same drawing.

    Args:
        title: distinct on a page.
        draw: gets matplotlib's axes.
        size: width, height in inches.

    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # not pyplot, which wants a display

    with rc_context({**_STYLE, "svg.hashsalt": title}):  # the salt takes chance out of the ids
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    drawing = text.getvalue()[text.getvalue().index("<svg") :]
    return Markup(drawing.replace(_INK, "currentColor"))  # noqa: S704 - matplotlib escapes what it writes
