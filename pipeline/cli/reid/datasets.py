"""`uavpipe reid datasets | check | cut-cuhk-sysu | extract-cuhk03`: which data sets can be read, what is in one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import PATH

if TYPE_CHECKING:
    from reid.datasets.formats import Format
    from reid.records import Samples

data_option = click.option(
    "--data",
    required=True,
    metavar="[FORMAT:]PLACE",
    help="As market1501:data/market1501, or a Market-1501-style folder; see 'uavpipe reid datasets'.",
)


@click.command()
def datasets() -> None:
    """List the data sets that can be read: layout, published numbers of persons and images, origin."""
    from reid.datasets.formats import FORMATS

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
def check(kind: str, place: str) -> None:
    """Read the data set in PLACE as FORMAT, compare it with what was published, and say what is in it."""
    from reid.datasets.formats import FORMATS
    from reid.datasets.load import load

    if kind not in FORMATS:
        raise click.UsageError(f"FORMAT {kind}: expected one of {', '.join(FORMATS)}")
    spec = f"{kind}:{place}"
    data = load(spec)
    click.echo(f"{'':8}{'persons':>9}{'images':>9}{'cameras':>9}{'tracklets':>11}{'distractors':>13}{'junk':>7}")
    for part in ("train", "query", "gallery"):
        click.echo(f"{part:8}{_row(getattr(data, part))}")
    published = "as published; " if FORMATS[kind].published else ""
    click.echo(f"{published}use it as --data {spec}")


def _row(samples: "Samples") -> str:
    import numpy as np

    from reid.records import DISTRACTOR, JUNK

    identities, tracklets = samples.identities, samples.tracklets
    return (
        f"{len(np.unique(identities[identities > DISTRACTOR])):9,}{len(samples):9,}"
        f"{len(np.unique(samples.cameras)):9,}{len(np.unique(tracklets[tracklets >= 0])):11,}"
        f"{np.count_nonzero(identities == DISTRACTOR):13,}{np.count_nonzero(identities == JUNK):7,}"
    )


@click.command("cut-cuhk-sysu")
@click.argument("folder", type=PATH)
@click.option("--out", type=PATH, required=True, help="New folder for the crops, as data/cuhk_sysu.")
def cut_cuhk_sysu(folder: Path, out: Path) -> None:
    """Cut the persons of CUHK-SYSU, unpacked in FOLDER, out of its scenes: from there on --data cuhk-sysu:OUT."""
    from reid.datasets.cuhk_sysu import cut_out

    _new(out, lambda temporary: cut_out(folder, temporary), "check them: uavpipe reid check cuhk-sysu")


@click.command("extract-cuhk03")
@click.argument("mat", type=PATH, metavar="CUHK-03.MAT")
@click.option("--out", type=PATH, required=True, help="New folder for images and splits, as data/cuhk03.")
def extract_cuhk03(mat: Path, out: Path) -> None:
    """Write the images in CUHK-03.MAT as files: from there on --data cuhk03-labeled-single-shot:OUT and the like.

    For the new protocol (cuhk03-labeled, cuhk03-detected) put its two configurations into OUT.
    """
    from reid.datasets.cuhk03_mat import extract

    _new(
        out, lambda temporary: extract(mat, temporary), "check them: uavpipe reid check cuhk03-labeled-single-shot"
    )


def _new(out: Path, make: Callable[[Path], int], hint: str) -> None:
    """A folder of images, whole or not at all."""
    from pipeline.workspace.atomic import atomic_folder

    if out.exists():
        raise click.UsageError(f"--out {out}: is there already; name a new folder")
    with atomic_folder(out) as temporary:
        images = make(temporary)
    click.echo(f"{out}: {images:,} images; {hint} {out}")
