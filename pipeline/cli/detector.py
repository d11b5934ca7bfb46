"""`uavpipe detector …`: train and evaluate person detectors on annotated images, no flight needed."""

import shutil
from pathlib import Path

import click

from pipeline.cli.detector_data import anchors, convert_visdrone, convert_yolo
from pipeline.cli.options import PATH


@click.group()
def detector() -> None:
    """Train and evaluate person detectors."""


for _command in (convert_visdrone, convert_yolo, anchors):
    detector.add_command(_command)


@detector.command()
@click.option("--config", "config_path", type=PATH, required=True, help="As configs/detector/small.yaml.")
@click.option("--output", type=PATH, required=True, help="Folder of the run; one found there is resumed.")
@click.option("--weights", type=PATH, help="Copy the finished checkpoint here, as weights/mine.safetensors.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As in iterations=100.")
def train(config_path: Path, output: Path, weights: Path | None, settings: tuple[str, ...]) -> None:
    """Train a detector on COCO annotations; a killed run goes on where it was saved."""
    from detector.config import TrainConfig
    from detector.train import train as run
    from pipeline.progress import training_bar
    from pipeline.workspace import atomic_file
    from pipeline.yaml_file import apply_settings, read_yaml_mapping, validate

    content = apply_settings(read_yaml_mapping(config_path), settings)
    config = validate(content, TrainConfig, str(config_path))
    with training_bar(config.preset, config.iterations) as advance:
        best = run(config, output, advance=advance)
    if weights is None:
        click.echo(f"{best}: use it as detector.weights, or copy it to weights/ for 'auto'")
        return
    with atomic_file(weights) as temporary:
        shutil.copyfile(best, temporary)
    click.echo(f"{weights}: from {best}")


@detector.command()
@click.argument("annotations", type=PATH)
@click.argument("images", type=PATH)
@click.option("--weights", default="auto", show_default=True, help="auto, embedded, coco or a checkpoint.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As in floor=0.01.")
def evaluate(annotations: Path, images: Path, weights: str, settings: tuple[str, ...]) -> None:
    """COCO's average precision on ANNOTATIONS (COCO JSON), whose files lie in IMAGES."""
    from detector.config import DataSource, DetectorConfig
    from detector.evaluate import evaluate as run
    from detector.load import load_predictor
    from pipeline.progress import progress_bar
    from pipeline.yaml_file import apply_settings, validate

    content = apply_settings({"weights": weights}, settings)
    predictor = load_predictor(validate(content, DetectorConfig, "detector"))
    with progress_bar(annotations.name, None) as advance:
        figures = run(predictor, DataSource(annotations=annotations, images=images), advance)
    for name, value in figures.items():
        click.echo(f"{name:10} {value:.3f}" if value >= 0 else f"{name:10} –")
