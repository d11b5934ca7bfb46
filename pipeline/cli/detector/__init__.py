"""`uavpipe detector …`: training, evaluation and conversion of person detectors, without a flight."""

import shutil
from pathlib import Path

import click

from pipeline.cli.detector.data import anchors, convert_visdrone, convert_yolo
from pipeline.cli.detector.evaluate import evaluate
from pipeline.cli.detector.export import export
from pipeline.cli.detector.import_weights import import_detectron2
from pipeline.cli.options import PATH, settings_option
from pipeline.cli.outputs import writes, writes_run


@click.group()
def detector() -> None:
    """Train and evaluate person detectors."""


for _command in (convert_visdrone, convert_yolo, anchors, evaluate, export, import_detectron2):
    detector.add_command(_command)


@detector.command()
@click.option("--config", "config_path", type=PATH, required=True, help="Read the recipe from this file.")
@click.option("--output", type=PATH, required=True, help="Write the run here, or resume a run that is here.")
@click.option("--weights", type=PATH, help="Copy the best checkpoint here, as weights/mine.safetensors.")
@settings_option("iterations=100")
@writes_run("config.json")
@writes("weights")
def train(config_path: Path, output: Path, weights: Path | None, settings: tuple[str, ...]) -> None:
    """Train a detector on COCO annotations. An interrupted run resumes where it was saved."""
    from detector.annotations.coco import check_sources
    from detector.config import TrainConfig
    from detector.training.train import train as run
    from pipeline.config.yaml import apply_settings, read_yaml_mapping, validate
    from pipeline.engine.progress import training_bar
    from pipeline.workspace.atomic import atomic_file

    content = apply_settings(read_yaml_mapping(config_path), settings)
    config = validate(content, TrainConfig, str(config_path))
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
