"""`uavpipe reid datasets | check | cut-cuhk-sysu | extract-cuhk03`: reading and preparing data sets."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import JSON, PATH
from pipeline.cli.outputs import print_json

if TYPE_CHECKING:
    from reid.datasets.formats import Format
    from reid.records import Samples

# What `check` counts, and the width of its column.
_COUNTED = {"persons": 9, "images": 9, "cameras": 9, "tracklets": 11, "distractors": 13, "junk": 7}


@click.command()
@JSON
def datasets(as_json: bool) -> None:
    """List the formats of data sets: layout, published numbers of persons and images, origin."""
    from reid.datasets.formats import FORMATS

    if as_json:
        shown = ("name", "layout", "published", "source", "origin")
        print_json([{name: getattr(kind, name) for name in shown} for kind in FORMATS.values()])
        return
    for kind in FORMATS.values():
        click.echo("\n    ".join(_described(kind)))


def _described(kind: "Format") -> Iterator[str]:
    yield kind.name
    yield kind.layout
    if kind.published:
        counts = (
            f"{part} {_many(published.identities, 'persons')}, {_many(published.images, 'images')}"
            for part, published in kind.published.items()
        )
        yield f"{'; '.join(counts)} ({kind.source})"
    if kind.origin:
        yield f"from {kind.origin}"


def _many(number: int | None, what: str) -> str:
    return f"any number of {what}" if number is None else f"{number:,} {what}"


@click.command()
@click.argument("kind", metavar="FORMAT")
@click.argument("place", metavar="PLACE")
@JSON
def check(kind: str, place: str, as_json: bool) -> None:
    """Check the data set in PLACE: read it as FORMAT, compare it with the published counts, print its counts."""
    from reid.datasets.formats import FORMATS
    from reid.datasets.load import load

    if kind not in FORMATS:
        raise click.UsageError(f"FORMAT {kind}: expected one of {', '.join(FORMATS)}")
    spec = f"{kind}:{place}"
    data = load(spec)
    counts = {part: _counts(getattr(data, part)) for part in ("train", "query", "gallery")}
    if as_json:
        print_json({"data": spec, "parts": counts})
        return
    click.echo(f"{'':8}" + "".join(f"{name:>{width}}" for name, width in _COUNTED.items()))
    for part, row in counts.items():
        click.echo(f"{part:8}" + "".join(f"{row[name]:{width},}" for name, width in _COUNTED.items()))
    published = "as published; " if FORMATS[kind].published else ""
    click.echo(f"{published}use it as --data {spec}")


def _counts(samples: "Samples") -> dict[str, int]:
    import numpy as np

    from reid.records import DISTRACTOR, JUNK

    identities, tracklets = samples.identities, samples.tracklets
    return {
        "persons": len(np.unique(identities[identities > DISTRACTOR])),
        "images": len(samples),
        "cameras": len(np.unique(samples.cameras)),
        "tracklets": len(np.unique(tracklets[tracklets >= 0])),
        "distractors": int(np.count_nonzero(identities == DISTRACTOR)),
        "junk": int(np.count_nonzero(identities == JUNK)),
    }


@click.command("cut-cuhk-sysu")
@click.argument("folder", type=PATH)
@click.option("--out", type=PATH, required=True, help="Write the crops to this new folder, as data/cuhk_sysu.")
def cut_cuhk_sysu(folder: Path, out: Path) -> None:
    """Cut the persons out of the scenes of CUHK-SYSU, unpacked in FOLDER; then use --data cuhk-sysu:OUT."""
    from reid.datasets.cuhk_sysu import cut_out

    _new(out, lambda temporary: cut_out(folder, temporary), "check them: uavpipe reid check cuhk-sysu")


@click.command("extract-cuhk03")
@click.argument("mat", type=PATH, metavar="CUHK-03.MAT")
@click.option("--out", type=PATH, required=True, help="Write images and splits to this new folder, as data/cuhk03.")
def extract_cuhk03(mat: Path, out: Path) -> None:
    """Extract the images in CUHK-03.MAT as files; then use --data cuhk03-labeled-single-shot:OUT.

    For the new protocol (cuhk03-labeled, cuhk03-detected) put its two configuration files into OUT.
    """
    from reid.datasets.cuhk03_mat import extract

    _new(
        out, lambda temporary: extract(mat, temporary), "check them: uavpipe reid check cuhk03-labeled-single-shot"
    )


def _new(out: Path, make: Callable[[Path], int], hint: str) -> None:
    """Make a folder of images, whole or not at all."""
    from pipeline.workspace.atomic import atomic_folder

    if out.exists():
        raise click.UsageError(f"--out {out}: already exists; name a new folder")
    with atomic_folder(out) as temporary:
        images = make(temporary)
    click.echo(f"{out}: {images:,} images; {hint} {out}")
