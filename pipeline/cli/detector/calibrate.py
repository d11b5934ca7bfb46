"""`uavpipe detector calibrate`: scores that say how often they are right."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.detector.accounts import show_account
from pipeline.cli.options import PATH, settings_option
from pipeline.cli.outputs import writes

if TYPE_CHECKING:
    from detector.annotations.coco import AnnotatedImage
    from detector.config import DataSource, DetectorConfig


@click.command()
@click.argument("weights")
@click.option(
    "--data",
    "pairs",
    type=(PATH, PATH),
    metavar="ANNOTATIONS IMAGES",
    multiple=True,
    required=True,
    help="Measure on these annotated images (COCO JSON and folder), not trained on; may be given several times.",
)
@click.option("--out", type=PATH, required=True, help="Write the checkpoint here, as weights/mine.safetensors.")
@settings_option("floor=0.01")
@writes("out")
def calibrate(weights: str, pairs: tuple[tuple[Path, Path], ...], out: Path, settings: tuple[str, ...]) -> None:
    """Calibrate the scores of the detector WEIGHTS: of the detections with score 0.8, 80 % are then right.

    That holds for images like those of --data. The order of the detections, and so AP, stays as it is. The scale
    is put into the network's last layer: backends and exports need no setting. In tiles, scores mean something
    else: with --set 'tiles={size: 480}', afterwards, what they mean there is measured and put beside the network.
    """
    from detector.config import DataSource, DetectorConfig
    from pipeline.config.yaml import apply_settings, validate

    content = apply_settings({"weights": weights, "floor": 0.01}, settings)
    config = validate(content, DetectorConfig, "detector")
    calibrate_by(config, [DataSource(annotations=rows, images=images) for rows, images in pairs], out)


def calibrate_by(config: "DetectorConfig", sources: "Sequence[DataSource]", out: Path) -> None:
    """Write the checkpoint that `config` names to `out`, calibrated by the images of `sources`, and say so."""
    from detector.training.calibrate import calibrate as run
    from pipeline.engine.progress import progress_bar

    images = [image for source in sources for image in _annotated(source)]
    with progress_bar("calibration", len(images)) as advance:
        done = run(config, images, out, advance)
    low, high = done.line([0.5, 0.8])
    errors = ", now ".join("–" if error is None else f"{error:.3f}" for error in (done.before, done.after))
    click.echo(f"0.5 becomes {low:.2f}, 0.8 becomes {high:.2f}; calibration error from score 0.1 up: {errors}")
    click.echo(f"{out}: calibrated with {len(images):,} images; set detector.weights to it")


def _annotated(source: "DataSource") -> "list[AnnotatedImage]":
    from detector.annotations.account import Account
    from detector.annotations.coco import read_coco, require_persons

    account = Account("annotations")
    images = read_coco(source, account)
    show_account(account, source.annotations)
    require_persons(images, [source.annotations])
    return images
