"""`uavpipe detector convert-visdrone | convert-yolo | anchors`: what comes before a training."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import PATH

if TYPE_CHECKING:
    from detector.conversion import Conversion, ConvertedImage


def _conversion_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for decorate in (
        click.option("--seed", default=0, show_default=True, help="Which clips are held out."),
        click.option(
            "--holdout",
            type=float,
            metavar="SHARE",
            help="Hold out about this share of the images, whole clips only, into OUT with .holdout.json.",
        ),
        click.option("--out", type=PATH, required=True, help="COCO JSON to write, as data/visdrone/train.json."),
        click.argument("root", type=PATH),
    ):
        command = decorate(command)
    return command


@click.command("convert-visdrone")
@_conversion_options
@click.option("--both", is_flag=True, help="Keep pedestrian and people apart; else both are person.")
@click.option("--skip-missing", is_flag=True, help="Leave out, and count, what lacks its image or annotations.")
def convert_visdrone(
    root: Path, out: Path, holdout: float | None, seed: int, both: bool, skip_missing: bool
) -> None:
    """Make COCO JSON of the VisDrone-DET or -VID archive that was unpacked in ROOT."""
    from detector.visdrone import read_visdrone

    _write(read_visdrone(root, both=both, skip_missing=skip_missing), root, out, holdout, seed)


@click.command("convert-yolo")
@_conversion_options
@click.option("--person", "persons", type=int, multiple=True, default=(0,), show_default=True, help="Class number.")
@click.option("--subset", default="", metavar="NAME", help="For images/NAME and labels/NAME, as train.")
def convert_yolo(
    root: Path, out: Path, holdout: float | None, seed: int, persons: tuple[int, ...], subset: str
) -> None:
    """Make COCO JSON of YOLO annotations: ROOT/images and ROOT/labels."""
    from detector.yolo import read_yolo

    _write(read_yolo(root, persons=persons, subset=subset), root, out, holdout, seed)


def _write(conversion: "Conversion", root: Path, out: Path, holdout: float | None, seed: int) -> None:
    from detector.conversion import hold_out, write_coco

    parts = {"train": (out, conversion.images)}
    if holdout is not None:
        kept, held = hold_out(conversion.images, holdout, seed)
        parts = {"train": (out, kept), "validation": (out.with_suffix(".holdout.json"), held)}
    for path, images in parts.values():
        write_coco(path, images, conversion.categories)
        click.echo(f"{path}: {_counts(images)}")
    for note, count in sorted(conversion.notes.items()):
        if count:
            click.echo(f"  {count:,} {note}")
    click.echo("In a recipe, as configs/detector/fpn.yaml:")
    for key, (path, _) in parts.items():
        source = f"{{annotations: {path}, images: {root}}}"
        click.echo(f"  {key}: {f'[{source}]' if key == 'train' else source}")


def _counts(images: "Sequence[ConvertedImage]") -> str:
    persons = sum(not row["iscrowd"] for image in images for row in image.annotations)
    # A region that stands in several categories is still one.
    regions = sum(len({tuple(row["bbox"]) for row in image.annotations if row["iscrowd"]}) for image in images)
    clips = len({image.clip for image in images})
    return f"{len(images):,} images of {clips:,} clips, {persons:,} persons, {regions:,} regions to ignore"
