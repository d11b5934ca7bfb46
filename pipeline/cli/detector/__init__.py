"""`uavpipe detector …`: training, evaluation and conversion of person detectors, without a flight."""

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.detector.calibrate import calibrate, calibrate_by
from pipeline.cli.detector.data import anchors, convert_visdrone, convert_yolo
from pipeline.cli.detector.evaluate import evaluate
from pipeline.cli.detector.export import export
from pipeline.cli.detector.import_weights import import_detectron2
from pipeline.cli.detector.inspect import inspect
from pipeline.cli.detector.pseudo_label import pseudo_label
from pipeline.cli.errors import UserError
from pipeline.cli.extras import trains
from pipeline.cli.options import PATH, output_option, settings_option
from pipeline.cli.outputs import writes, writes_run
from pipeline.cli.recipes import recipe_command

if TYPE_CHECKING:
    from detector.config import DataSource, TrainConfig


@click.group()
def detector() -> None:
    """Train, evaluate and convert person detectors."""


for _command in (
    convert_visdrone,
    convert_yolo,
    anchors,
    pseudo_label,
    evaluate,
    calibrate,
    inspect,
    export,
    import_detectron2,
    recipe_command("detector"),
):
    detector.add_command(_command)


@detector.command()
@click.option(
    "--config",
    "config_path",
    type=PATH,
    required=True,
    help="Train by this recipe: a YAML file, or a name that `uavpipe detector recipe` lists.",
)
@output_option("Write the run here, or resume a run that is here.")
@click.option(
    "--weights", type=PATH, help="Copy the best checkpoint here, calibrated by the recipe's validation images."
)
@settings_option("iterations=100")
@trains
@writes_run("config.json")
@writes("weights")
def train(config_path: Path, output: Path, weights: Path | None, settings: tuple[str, ...]) -> None:
    """Train a detector on COCO annotations. An interrupted run resumes where it was saved."""
    from detector.annotations.coco import check_sources
    from detector.config import TrainConfig
    from detector.training.recipes import recipe_file
    from detector.training.train import train as run
    from pipeline.config.yaml import apply_settings, read_yaml_mapping, validate
    from pipeline.engine.progress import training_bar
    from pipeline.workspace.atomic import atomic_file

    recipe = read_yaml_mapping(recipe_file(config_path))
    if any(setting.startswith("train=") for setting in settings):
        recipe.pop("terms", None)  # they are those of the recipe's own data
    content = apply_settings(recipe, settings)
    config = validate(content, TrainConfig, str(config_path))
    _check_there(config, config_path)
    for sources in (config.train, () if config.validation is None else (config.validation,)):
        for line in check_sources(sources) if sources else ():
            click.echo(line)
    with training_bar(config.preset, config.iterations) as advance:
        best = run(config, output, advance=advance)
    if weights is None:
        click.echo(f"{best}: set detector.weights to it, or copy it to weights/ for 'auto'")
        return
    with atomic_file(weights) as temporary:
        shutil.copyfile(best, temporary)
    click.echo(f"{weights}: from {best}")
    if config.validation is not None:
        _calibrate(best, config.validation, weights)


def _check_there(config: "TrainConfig", recipe: Path) -> None:
    """Check that the data of a recipe are there: a bundled one names those that it was made for."""
    named = {f"train[{number}]": source for number, source in enumerate(config.train)}
    if config.validation is not None:
        named["validation"] = config.validation
    for field, source in named.items():
        for part, path in (("annotations", source.annotations), ("images", source.images)):
            if not path.exists():
                raise UserError(
                    f"{recipe}: {field}.{part}: {path}: no such file or folder; name your data in a copy "
                    "of the recipe, or by --set 'train=[{annotations: train.json, images: train/}]' and "
                    "--set validation=null"
                )


def _calibrate(best: Path, validation: "DataSource", weights: Path) -> None:
    from detector.config import DetectorConfig
    from detector.errors import DetectorError

    try:
        calibrate_by(DetectorConfig(weights=str(best), floor=0.01), [validation], weights)
    except DetectorError as error:  # too short a training; its weights are there as they are
        logging.warning(f"{weights}: its scores are not calibrated: {error}")
