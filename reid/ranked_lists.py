"""Pictures of what a network finds: each query, and beside it the gallery crops that it ranks first."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from reid.crops import read_crop
from reid.evaluate import Result

_HEIGHT, _WIDTH = 128, 64  # of a crop, px
_BORDER, _GAP, _LINE = 4, 6, 13  # px
_CELL = _WIDTH + 2 * _BORDER + _GAP, _HEIGHT + 2 * _BORDER + 2 * _LINE + _GAP  # width and height, px
_QUERY, _RIGHT, _WRONG = (90, 90, 90), (0, 150, 60), (215, 30, 30)
_INK, _PAPER = (30, 30, 30), (255, 255, 255)


@dataclass(frozen=True)
class _Cell:
    """A crop on a sheet; below it stand two lines."""

    path: Path
    colour: tuple[int, int, int]
    lines: tuple[str, str]


def sheets(result: Result, queries: int = 60, length: int = 10, rows: int = 10) -> Iterator[Image.Image]:
    """The `queries` worst queries, `rows` to a sheet (RGB), and the `length` crops that each ranks first.

    Right crops have a green border, wrong ones a red one; below them stand camera and distance. Where none of them
    is right, the nearest right one follows, with its rank. The samples must have paths.

    Raises:
        ReidError: a picture cannot be read.

    """
    precision = _precision(result)
    worst = np.argsort(precision, kind="stable")[: np.count_nonzero(~np.isnan(precision))][:queries]
    for first in range(0, len(worst), rows):
        yield _sheet([_row(result, int(q), precision[q], length) for q in worst[first : first + rows]], length)


def _precision(result: Result) -> NDArray[np.float64]:
    """Each query's AP, NaN where it has no right answer; with single-shot its mean over the repeats."""
    mean: NDArray[np.float64] = result.ranking.average_precision.reshape(-1, len(result.candidates.query)).mean(0)
    return mean


def _row(result: Result, query: int, precision: float, length: int) -> list[_Cell]:
    queries, gallery = result.candidates.query, result.candidates.gallery
    letter = result.candidates.protocol.cameras[0]
    identity = queries.identities[query]
    columns, distances = result.nearest(query, len(gallery))
    right = gallery.identities[columns] == identity
    first = int(np.argmax(right))
    cells = [
        _Cell(
            queries.paths[query],
            _QUERY,
            (f"id {identity} {letter}{queries.cameras[query]}", f"AP {precision:.2f}"),
        )
    ]
    for rank in [*range(min(length, len(columns))), *([first] if first >= length else [])]:
        column = columns[rank]
        place = f" #{rank + 1:,}" if rank >= length else ""
        lines = f"{letter}{gallery.cameras[column]}{place}", f"{distances[rank]:.3g}"
        cells.append(_Cell(gallery.paths[column], _RIGHT if right[rank] else _WRONG, lines))
    return cells


def _sheet(rows: list[list[_Cell]], length: int) -> Image.Image:
    sheet = Image.new("RGB", (_GAP + _CELL[0] * (length + 2), _GAP + _CELL[1] * len(rows)), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for at, cells in enumerate(rows):
        for number, cell in enumerate(cells):
            left, top = _GAP + number * _CELL[0], _GAP + at * _CELL[1]
            crop = Image.fromarray(read_crop(cell.path, _HEIGHT, _WIDTH))
            draw.rectangle(
                (left, top, left + _WIDTH + 2 * _BORDER - 1, top + _HEIGHT + 2 * _BORDER - 1), fill=cell.colour
            )
            sheet.paste(crop, (left + _BORDER, top + _BORDER))
            text = top + _HEIGHT + 2 * _BORDER
            for line, words in enumerate(cell.lines):
                draw.text((left + _BORDER, text + line * _LINE), words, _INK, font)
    return sheet
