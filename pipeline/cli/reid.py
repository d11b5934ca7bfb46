"""`uavpipe reid …`: train and use re-identification networks on crops, no flight needed."""

from pathlib import Path

import click

from pipeline.cli.options import PATH


@click.group()
def reid() -> None:
    """Train and use networks that tell persons apart."""


@reid.command()
@click.argument("source", type=PATH)
@click.option("--weights", type=PATH, required=True, help="A checkpoint that 'uavpipe reid train' wrote.")
@click.option("--out", type=PATH, required=True, help="The features, as features.npy; features.csv beside it.")
@click.option("--flip", is_flag=True, help="Average with the mirror image's features (not in the paper).")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def embed(source: Path, weights: Path, out: Path, flip: bool, device: str) -> None:
    """Write the features of SOURCE's images: a folder, a CSV with a column `path`, or a text file of paths.

    Row n of the matrix (float32) is the n-th path of the CSV written beside it.
    """
    if out.suffix != ".npy":
        raise click.UsageError(f"--out {out}: expected a name that ends in .npy")

    import numpy as np

    from pipeline.progress import progress_bar
    from pipeline.workspace import atomic_file
    from reid.embedder import Embedder
    from reid.sources import image_files

    paths = image_files(source)
    embedder = Embedder.load(weights, device)
    with progress_bar(source.name, len(paths)) as advance:
        features = embedder.embed_files(paths, flip=flip, advance=advance)
    root = source if source.is_dir() else source.parent
    _write_paths(out.with_suffix(".csv"), [path.relative_to(root) for path in paths])
    with atomic_file(out) as temporary, temporary.open("wb") as file:
        np.save(file, features)
    click.echo(f"{out}: {len(features):,} features of length {features.shape[1]}")


def _write_paths(table: Path, paths: list[Path]) -> None:
    import csv

    from pipeline.workspace import atomic_file

    with atomic_file(table) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path"])
        rows.writerows([path.as_posix()] for path in paths)
