"""`uavpipe detector inspect`: how an ONNX model is used, and whether its colours and values fit."""

from pathlib import Path

import click

from pipeline.cli.detector.frames import spread
from pipeline.cli.options import PATH, settings_option


@click.command()
@click.argument("model", type=PATH)
@click.argument("images", type=PATH, required=False)
@click.option("--frames", default=20, show_default=True, type=click.IntRange(1), help="Use this many of IMAGES.")
@settings_option("onnx.layout=yolox")
def inspect(model: Path, images: Path | None, frames: int, settings: tuple[str, ...]) -> None:
    """Show how the ONNX MODEL is used: its layout, input, colours, and classes of persons.

    With IMAGES, a video or folder that shows persons, run it with each order of colours and range of values: the
    right one finds most persons.
    """
    from detector.backends.onnx import load_onnx
    from detector.backends.onnx_colours import SURE, compare_choices, verdict
    from detector.config import DetectorConfig
    from detector.models.weights import source_of
    from pipeline.config.yaml import apply_settings, validate
    from pipeline.engine.progress import progress_bar

    config = validate(
        apply_settings({"weights": str(model), "backend": "onnx"}, settings), DetectorConfig, "detector"
    )
    source = source_of(config)
    click.echo(f"{model}: {load_onnx(config, source).what}")
    if images is None:
        return
    pictures = [*spread(images, frames)]
    with progress_bar(model.name, 8 * len(pictures)) as advance:
        choices = compare_choices(config, source, pictures, advance)
    click.echo(f"\n{'':18}{f'persons from {SURE:g}':>18}{'sum of scores':>15}")
    for choice in choices:
        name = f"{choice.colours} {choice.range}"
        used = "  used" if choice.is_used else ""
        click.echo(f"{name:18}{choice.persons:18,}{choice.scores:15.2f}{used}")
    click.echo(f"\n{verdict(choices)}")
