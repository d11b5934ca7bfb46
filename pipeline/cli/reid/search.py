"""`uavpipe reid search`: the crops nearest to a query."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import PATH
from pipeline.cli.outputs import MARK, writes
from pipeline.cli.reid.options import device_option, weights_option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COLUMNS = 11  # of the sheet


@click.command()
@click.argument("query", type=PATH, metavar="QUERY.jpg")
@click.option("--data", type=PATH, required=True, help="Search these crops: a folder, or a list of them.")
@weights_option(required=True)
@click.option("--features", type=PATH, help="Reuse these features of the crops, written by 'uavpipe reid embed'.")
@click.option("--count", type=click.IntRange(1), default=32, show_default=True, help="Find this number of crops.")
@click.option(
    "--out", type=PATH, required=True, help="Write a contact sheet of the found crops to this file, as found.jpg."
)
@device_option
@writes("out")
def search(
    query: Path, data: Path, weights: Path, features: Path | None, count: int, out: Path, device: str
) -> None:
    """Find the crops that are nearest to QUERY.jpg; print their distances and paths, and draw them.

    QUERY.jpg shows one person, cut out like the crops; if it is one of them, it is left out of the result.
    """
    if out.suffix.lower() not in (".jpg", ".png"):
        raise click.UsageError(f"--out {out}: expected a name that ends in .jpg or .png")

    from pipeline.engine.progress import progress_bar
    from reid.embedder import Embedder
    from reid.evaluation.search import nearest
    from reid.sources import image_files

    paths = image_files(data)
    stored = None if features is None else _stored(features, paths, data)
    embedder = Embedder.load(weights, device)
    own = embedder.embed_files([query])
    if stored is None:
        with progress_bar(data.name, len(paths)) as advance:
            stored = embedder.embed_files(paths, advance=advance)
    metric = embedder.metric.name
    rows, distances = nearest(own, stored, count + 1, (str(query), str(features or data)), metric)
    itself = query.resolve()
    found = [
        (paths[row], distance)
        for row, distance in zip(rows, distances, strict=True)
        if paths[row].resolve() != itself
    ][:count]
    _draw(query, found, out)
    for path, distance in found:
        click.echo(f"{distance:8.3f}  {path}")
    click.echo(f"{out}: the query, and the {len(found)} nearest of {len(paths):,} crops, metric {metric}")


def _stored(features: Path, paths: Sequence[Path], data: Path) -> "NDArray[np.float32]":
    from reid.errors import ReidError
    from reid.evaluation.features import read_features
    from reid.sources import listed

    advice = f"uavpipe reid embed {data} --weights … --out {features}"
    if not features.is_file():
        raise ReidError(f"{features}: no such file; write it: {advice}")
    names = [name for _, name in listed(features.with_suffix(".csv"))]
    root = data if data.is_dir() else data.parent
    if names != [path.relative_to(root).as_posix() for path in paths]:
        raise ReidError(f"{features}: not the features of the images in {data}; write them again: {advice}")
    return read_features(features)


def _draw(query: Path, found: "Sequence[tuple[Path, np.float32]]", out: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    from pipeline.workspace.atomic import atomic_file
    from reid.evaluation.contact_sheet import GREY, RED, Cell, contact_sheet

    cells = [Cell(query, RED, ("query", ""))]
    cells += [
        Cell(path, GREY, (f"#{rank}", f"{distance:.3g}")) for rank, (path, distance) in enumerate(found, start=1)
    ]
    rows = [cells[first : first + _COLUMNS] for first in range(0, len(cells), _COLUMNS)]
    mark = PngInfo()
    mark.add_text("Software", MARK)
    with atomic_file(out) as temporary:
        contact_sheet(rows, min(_COLUMNS, len(cells))).save(temporary, comment=MARK, pnginfo=mark)
