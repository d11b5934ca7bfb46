"""Contact sheets of ranked lists: each query, and beside it the gallery crops that are ranked first."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reid.evaluation.contact_sheet import GREEN, GREY, RED, Cell, contact_sheet
from reid.evaluation.evaluate import Result


def sheets(result: Result, queries: int = 60, length: int = 10, rows: int = 10) -> Iterator[Image.Image]:
    """The `queries` worst queries, `rows` to a sheet (RGB), and the `length` crops that each ranks first.

    Right crops have a green border, wrong ones a red one; camera and distance are below them. Where none of them
    is right, the nearest right one follows, with its rank. The samples must have paths.

    Raises:
        ReidError: a picture cannot be read.

    """
    precision = _precision(result)
    worst = np.argsort(precision, kind="stable")[: np.count_nonzero(~np.isnan(precision))][:queries]
    for first in range(0, len(worst), rows):
        shown = [_row(result, int(query), precision[query], length) for query in worst[first : first + rows]]
        yield contact_sheet(shown, length + 2)


def _precision(result: Result) -> NDArray[np.float64]:
    """Each query's AP, NaN where it has no right answer; with single-shot its mean over the repeats."""
    mean: NDArray[np.float64] = result.ranking.average_precision.reshape(-1, len(result.candidates.query)).mean(0)
    return mean


def _row(result: Result, query: int, precision: float, length: int) -> list[Cell]:
    queries, gallery = result.candidates.query, result.candidates.gallery
    letter = result.candidates.protocol.cameras[0]
    identity = queries.identities[query]
    first = int(result.ranking.first_hit[query]) - 1
    columns, distances = result.nearest(query, max(length, first + 1))
    right = gallery.identities[columns] == identity
    words = f"id {identity} {letter}{queries.cameras[query]}", f"AP {precision:.2f}"
    cells = [Cell(queries.paths[query], GREY, words)]
    for rank in [*range(min(length, len(columns))), *([first] if first >= length else [])]:
        column = columns[rank]
        place = f" #{rank + 1:,}" if rank >= length else ""
        words = f"{letter}{gallery.cameras[column]}{place}", f"{distances[rank]:.3g}"
        cells.append(Cell(gallery.paths[column], GREEN if right[rank] else RED, words))
    return cells
