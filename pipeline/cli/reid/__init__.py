"""`uavpipe reid …`: train and use re-identification networks on crops, no flight needed."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import PATH
from pipeline.cli.reid.datasets import check, cut_cuhk_sysu, data_option, datasets, extract_cuhk03
from pipeline.cli.reid.evaluate import evaluate, protocol_option
from pipeline.cli.reid.export import export
from pipeline.cli.reid.search import search
from pipeline.cli.reid.table1 import table1
from pipeline.cli.reid.transfer import transfer

if TYPE_CHECKING:
    from reid.evaluation.protocols import ProtocolName


@click.group()
def reid() -> None:
    """Train and use networks that tell persons apart."""


reid.add_command(check)
reid.add_command(cut_cuhk_sysu)
reid.add_command(datasets)
reid.add_command(evaluate)
reid.add_command(export)
reid.add_command(extract_cuhk03)
reid.add_command(search)
reid.add_command(table1)
reid.add_command(transfer)


@reid.command()
@click.option("--config", "config_path", type=PATH, required=True, help="As configs/reid/drone.yaml.")
@data_option
@click.option("--output", type=PATH, required=True, help="Folder of the run; one found there is resumed.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As in loss.triplet.margin=0.3.")
@protocol_option
def train(config_path: Path, data: str, output: Path, settings: tuple[str, ...], protocol: "ProtocolName") -> None:
    """Train a network on DATA; a killed run goes on where it was saved.

    Where DATA has queries and a gallery, it is measured on them, and the best checkpoint kept.
    """
    from pipeline.config.yaml import apply_settings, read_yaml_mapping, validate
    from pipeline.engine.progress import training_bar
    from reid.config import TrainConfig
    from reid.training.on_dataset import train_on_dataset
    from reid.training.recipes import recipe_file

    content = apply_settings(read_yaml_mapping(recipe_file(config_path)), settings)
    config = validate(content, TrainConfig, str(config_path))
    trained = train_on_dataset(config, data, output, protocol=protocol, bar=training_bar)
    shown = ", ".join(
        f"{name} {trained.metrics[name]:.3f}" for name in ("mAP", "rank-1") if name in trained.metrics
    )
    click.echo(f"{trained.weights}{shown and f' ({shown})'}: use it as --weights, or as init of the next stage")


@reid.command()
@click.argument("source", type=PATH)
@click.option("--weights", type=PATH, required=True, help="A checkpoint of 'uavpipe reid train', or ONNX.")
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

    from pipeline.engine.progress import progress_bar
    from pipeline.workspace.atomic import atomic_file
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

    from pipeline.workspace.atomic import atomic_file

    with atomic_file(table) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path"])
        rows.writerows([path.as_posix()] for path in paths)
