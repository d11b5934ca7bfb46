"""`uavpipe reid …`: training, evaluation and use of re-ID networks on crops; no flight is needed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.extras import trains
from pipeline.cli.options import PATH, output_option
from pipeline.cli.outputs import writes, writes_run
from pipeline.cli.recipes import recipe_command
from pipeline.cli.reid.compare import compare
from pipeline.cli.reid.datasets import check, cut_cuhk_sysu, datasets, extract_cuhk03
from pipeline.cli.reid.evaluate import evaluate
from pipeline.cli.reid.export import export
from pipeline.cli.reid.inspect import inspect
from pipeline.cli.reid.options import (
    data_option,
    device_option,
    flip_option,
    given_input,
    input_option,
    protocol_option,
    weights_option,
)
from pipeline.cli.reid.search import search
from pipeline.cli.reid.table1 import table1
from pipeline.cli.reid.transfer import transfer

if TYPE_CHECKING:
    from reid.evaluation.protocols import ProtocolName


@click.group()
def reid() -> None:
    """Train, evaluate and use re-identification networks."""


reid.add_command(check)
reid.add_command(compare)
reid.add_command(cut_cuhk_sysu)
reid.add_command(datasets)
reid.add_command(evaluate)
reid.add_command(export)
reid.add_command(extract_cuhk03)
reid.add_command(recipe_command("reid"))
reid.add_command(inspect)
reid.add_command(search)
reid.add_command(table1)
reid.add_command(transfer)


@reid.command()
@click.option(
    "--config",
    "config_path",
    type=PATH,
    default=Path("auto"),
    show_default=True,
    help="Train by this recipe: a YAML file, or a name that `uavpipe reid recipe` lists; auto: drone where recipe "
    "source has left a network to start from, else finetune.",
)
@data_option(required=True)
@output_option("Write the run to this folder; resume it if it has one.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of the recipe, as in loss.triplet.margin=0.3.",
)
@protocol_option
@trains
@writes_run("run.json")
def train(
    config_path: Path, data: str, output: Path, settings: tuple[str, ...], protocol: "ProtocolName | None"
) -> None:
    """Train a network on a data set; an interrupted run is resumed.

    If the data set has queries and a gallery, the network is evaluated on them during the training, and the best
    checkpoint is kept.
    """
    from pipeline.config.yaml import apply_settings, validate
    from pipeline.dataset.protocol import protocol_of
    from pipeline.engine.progress import training_bar
    from reid.config import TrainConfig
    from reid.training.on_dataset import train_on_dataset

    config = validate(apply_settings(_recipe(config_path, output), settings), TrainConfig, str(config_path))
    protocol = protocol or protocol_of(data)
    trained = train_on_dataset(config, data, output, protocol=protocol, bar=training_bar)
    shown = ", ".join(
        f"{name} {trained.metrics[name]:.3f}" for name in ("mAP", "rank-1") if name in trained.metrics
    )
    click.echo(f"{trained.weights}{shown and f' ({shown})'}: use it as --weights, or as init of another training")


def _recipe(path: Path, output: Path) -> dict[str, Any]:
    from pipeline.config.yaml import read_yaml_mapping
    from reid.training.automatic import AUTO, automatic_recipe
    from reid.training.recipes import recipe_file

    if str(path) != AUTO:
        return read_yaml_mapping(recipe_file(path))
    content, line = automatic_recipe(output)
    click.echo(f"recipe {line}")
    return content


@reid.command()
@click.argument("source", type=PATH)
@weights_option(required=True)
@click.option(
    "--out",
    type=PATH,
    required=True,
    help="Write the features to this file, as features.npy, and their paths to a .csv beside it.",
)
@input_option
@flip_option
@device_option
@writes("out", ".csv")
def embed(source: Path, weights: Path, out: Path, settings: tuple[str, ...], flip: bool, device: str) -> None:
    """Embed images: write their features as a matrix.

    SOURCE is a folder, a CSV with a column `path`, or a text file of paths. Row n of the matrix (float32) belongs
    to the n-th path of the CSV that is written beside it. An interrupted run is resumed.
    """
    if out.suffix != ".npy":
        raise click.UsageError(f"--out {out}: expected a name that ends in .npy")

    from pipeline.engine.progress import progress_bar
    from reid.embedder import Embedder
    from reid.embedding_parts import embed_in_parts
    from reid.sources import image_files
    from reid.weights import weights_hash

    paths = image_files(source)
    embedder = Embedder.load(weights, device, given_input(settings))
    key = {"weights": weights_hash(weights), "device": embedder.device, "input": embedder.what}
    with progress_bar(source.name, len(paths)) as advance:
        count, length = embed_in_parts(embedder, paths, out, key, flip=flip, advance=advance)
    root = source if source.is_dir() else source.parent
    _write_paths(out.with_suffix(".csv"), [path.relative_to(root) for path in paths])
    click.echo(f"{out}: {count:,} features of length {length}")


def _write_paths(table: Path, paths: list[Path]) -> None:
    import csv

    from pipeline.workspace.atomic import atomic_file

    with atomic_file(table) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path"])
        rows.writerows([path.as_posix()] for path in paths)
