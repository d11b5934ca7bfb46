"""The tables of the model cards, measured again: make cards CARD_DATA=data/cards

python -m benchmarks.cards data/cards [CARD.md …]

A table stands between two comments. The first one names the data of each row and the settings of its evaluation:

    <!-- measured: detector
    42 pictures of other clips <- visdrone
    the same, by tiles <- visdrone tiles={size: 480}
    -->

For `detector`, NAME is the annotations NAME.json and the images in NAME/; for `reid`, a data set NAME/ with the
layout of Market-1501. Both are looked for in the given folder; docs/benchmarks.md says how they are made. Rows
without data there, and columns that are not measured here, keep what they say; each row is named with what became
of it. The exit status is 1 if none was measured.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import click

from pipeline.cli import main as uavpipe
from pipeline.workspace.atomic import atomic_file

ROOT = Path(__file__).parents[1]
CARDS = tuple(ROOT / folder / "embedded" / "MODEL_CARD.md" for folder in ("detector", "reid"))
_TABLE = re.compile(r"<!-- measured: (detector|reid)\n(.*?)\n-->\n(.*?)<!-- end of measured -->", re.DOTALL)
_EMBEDDER = ROOT / "reid" / "embedded" / "embedder.safetensors"
Row = dict[str, str]  # what is measured, by the column's title


@cache
def of_detector(data: Path, settings: str) -> Row | None:
    """The figures of the embedded detector; None where there are no such data."""
    annotations = data.with_name(f"{data.name}.json")
    if not annotations.is_file():
        return None
    given = ["--set", settings] if settings else []
    content = _evaluated("detector", "evaluate", annotations, data, "--weights", "embedded", *given)
    coco = {name: _figure(content["coco"][name]) for name in ("AP", "AP50", "AP75")}
    points = {
        f"from {point['threshold']:g}": f"{_figure(point['recall'])}, {_figure(point['precision'])}, "
        f"{point['false_per_image']:.2f}"
        for point in content["by_height"]["all"]["thresholds"]
    }
    return {**coco, "VisDrone's AP50": _figure(content["visdrone"]["AP50"]), **points}


@cache
def of_reid(data: Path, settings: str) -> Row | None:
    """The figures of the embedded embedder; None where there are no such data."""
    if not data.is_dir():
        return None
    content = _evaluated("reid", "evaluate", "--weights", _EMBEDDER, "--data", data, *settings.split())
    return {"this network": f"{_figure(content['mAP'])} / {_figure(content['rank-1'])}"}


_KINDS: dict[str, Callable[[Path, str], Row | None]] = {"detector": of_detector, "reid": of_reid}


def rewrite(card: str, folder: Path, done: Callable[[str, Path | None], None] = lambda title, data: None) -> str:
    """The text of a card with its tables measured on the data in `folder`.

    Args:
        card: the text before.
        folder: with the data sets that the card names.
        done: is called with the title of each row, and the data it was measured on; None: it was left as it was.

    """

    def table(found: re.Match[str]) -> str:
        measured: dict[str, Row] = {}
        for line in found[2].splitlines():
            title, what = line.split(" <- ")
            name, _, settings = what.partition(" ")
            row = _KINDS[found[1]](folder / name, settings)
            done(title, None if row is None else folder / name)
            if row is not None:
                measured[title] = row
        lines = found[3].splitlines()
        columns = next(_cells(line) for line in lines if line.startswith("|"))
        rewritten = "\n".join(_rewritten(line, columns, measured) for line in lines)
        return f"<!-- measured: {found[1]}\n{found[2]}\n-->\n{rewritten}\n<!-- end of measured -->"

    return _TABLE.sub(table, card)


def _rewritten(line: str, columns: list[str], measured: dict[str, Row]) -> str:
    cells = _cells(line)
    row = measured.get(cells[0]) if cells else None
    if row is None:
        return line
    return f"| {' | '.join(row.get(name, cell) for name, cell in zip(columns, cells, strict=True))} |"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []


def _evaluated(*command: object) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as out:
        uavpipe.main([*map(str, command), "--out", out], standalone_mode=False)
        content: dict[str, Any] = json.loads((Path(out) / "metrics.json").read_text("utf-8"))
    return content


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("cards", type=Path, nargs="*", default=CARDS)
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder}: no such folder; expected the data that the cards name")
    measured: list[Path] = []

    def done(title: str, data: Path | None) -> None:
        print(f"left as it was: {title}" if data is None else f"measured on {data}: {title}")
        measured.extend([data] if data else [])

    for card in arguments.cards:
        try:
            text = rewrite(card.read_text("utf-8"), arguments.folder, done)
        except click.ClickException as error:
            parser.error(error.format_message())
        with atomic_file(card) as temporary:
            temporary.write_text(text, "utf-8")
    if not measured:
        sys.exit(
            f"{arguments.folder}: none of the data that the cards name; see docs/benchmarks.md, The model cards"
        )


if __name__ == "__main__":
    main()
