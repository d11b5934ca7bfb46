"""Contact sheets: rows of crops in one picture, with coloured borders and two lines of text below each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from reid.crops import read_crop
from reid.records import Picture

GREY, GREEN, RED = (90, 90, 90), (0, 150, 60), (215, 30, 30)
_HEIGHT, _WIDTH = 128, 64  # of a crop, px
_BORDER, _GAP, _LINE = 4, 6, 13  # px
_CELL = _WIDTH + 2 * _BORDER + _GAP, _HEIGHT + 2 * _BORDER + 2 * _LINE + _GAP  # width and height, px
_INK, _PAPER = (30, 30, 30), (255, 255, 255)


@dataclass(frozen=True)
class Cell:
    """A crop, the colour (RGB) of its border, and two lines below it."""

    path: Path | Picture
    colour: tuple[int, int, int]
    lines: tuple[str, str]


def contact_sheet(rows: Sequence[Sequence[Cell]], columns: int) -> Image.Image:
    """The cells of `rows`, RGB, as wide as `columns` of them.

    Raises:
        ReidError: a crop cannot be read.

    """
    sheet = Image.new("RGB", (_GAP + _CELL[0] * columns, _GAP + _CELL[1] * len(rows)), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for at, cells in enumerate(rows):
        for number, cell in enumerate(cells):
            left, top = _GAP + number * _CELL[0], _GAP + at * _CELL[1]
            bottom = top + _HEIGHT + 2 * _BORDER
            draw.rectangle((left, top, left + _WIDTH + 2 * _BORDER - 1, bottom - 1), fill=cell.colour)
            crop = Image.fromarray(read_crop(cell.path, _HEIGHT, _WIDTH))
            sheet.paste(crop, (left + _BORDER, top + _BORDER))
            for line, words in enumerate(cell.lines):
                draw.text((left + _BORDER, bottom + line * _LINE), words, _INK, font)
    return sheet
