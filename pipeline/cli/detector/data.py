"""`uavpipe detector convert-visdrone | convert-yolo | anchors`: preparation of training data."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.detector.accounts import show_account
from pipeline.cli.options import PATH, PERSON_NAMES, settings_option
from pipeline.cli.outputs import writes

if TYPE_CHECKING:
    from detector.annotations.conversion import Conversion, ConvertedImage


def _conversion_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for decorate in (
        click.option("--seed", default=0, show_default=True, help="Draw the held-out clips with this seed."),
        click.option(
            "--holdout",
            type=float,
            metavar="SHARE",
            help="Hold out about this share of the images, whole clips only; write them to OUT with .holdout.json.",
        ),
        click.option("--out", type=PATH, required=True, help="Write COCO JSON to this file, as data/train.json."),
        click.argument("root", type=PATH),
    ):
        command = decorate(command)
    return command


@click.command("convert-visdrone")
@_conversion_options
@click.option("--both", is_flag=True, help="Keep pedestrian and people apart; by default both are person.")
@click.option("--skip-missing", is_flag=True, help="Skip and count images or annotations without the other.")
@writes("out", ".holdout.json")
def convert_visdrone(
    root: Path, out: Path, holdout: float | None, seed: int, both: bool, skip_missing: bool
) -> None:
    """Convert the VisDrone-DET or -VID archive that was unpacked in ROOT to COCO JSON."""
    from detector.annotations.visdrone import read_visdrone

    _write(read_visdrone(root, both=both, skip_missing=skip_missing), root, out, holdout, seed)


@click.command("convert-yolo")
@_conversion_options
@PERSON_NAMES
@click.option("--subset", default="", metavar="NAME", help="Read images/NAME and labels/NAME, as train.")
@writes("out", ".holdout.json")
def convert_yolo(
    root: Path, out: Path, holdout: float | None, seed: int, persons: tuple[str, ...], subset: str
) -> None:
    """Convert the YOLO annotations in ROOT/images and ROOT/labels to COCO JSON."""
    from detector.annotations.yolo import read_yolo

    _write(read_yolo(root, persons=persons, subset=subset), root, out, holdout, seed)


def _write(conversion: "Conversion", root: Path, out: Path, holdout: float | None, seed: int) -> None:
    from detector.annotations.conversion import hold_out, write_coco

    parts = {"train": (out, conversion.images)}
    if holdout is not None:
        kept, held = hold_out(conversion.images, holdout, seed)
        parts = {"train": (out, kept), "validation": (out.with_suffix(".holdout.json"), held)}
        if len({image.clip for image in conversion.images}) == len(conversion.images):
            click.echo("by its name every image is a clip of its own: similar images may be in both parts")
    for path, images in parts.values():
        write_coco(path, images, conversion.categories)
        click.echo(f"{path}: {_counts(images)}")
    show_account(conversion.account, root)
    click.echo("For a recipe, as `uavpipe detector recipe fpn` prints:")
    for key, (path, _) in parts.items():
        source = f"{{annotations: {path}, images: {root}}}"
        click.echo(f"  {key}: {f'[{source}]' if key == 'train' else source}")


def _counts(images: "Sequence[ConvertedImage]") -> str:
    persons = sum(not row["iscrowd"] for image in images for row in image.annotations)
    # A region that is in several categories is still one.
    regions = sum(len({tuple(row["bbox"]) for row in image.annotations if row["iscrowd"]}) for image in images)
    clips = len({image.clip for image in images})
    return f"{len(images):,} images of {clips:,} clips, {persons:,} persons, {regions:,} regions to ignore"


@click.command()
@click.argument("annotations", type=PATH)
@click.option(
    "--preset",
    type=click.Choice(["paper-c4", "fpn", "small"]),
    default="fpn",
    show_default=True,
    help="Compare with the anchors of this preset.",
)
@settings_option("resize.short_side=1000")
@PERSON_NAMES
@click.option("--images", type=PATH, help="Read sizes that ANNOTATIONS lacks from here.  [default: its folder]")
@click.option("--plot", type=PATH, help="Draw persons and anchors into this picture, as anchors.png.")
@writes("plot")
def anchors(
    annotations: Path,
    preset: str,
    settings: tuple[str, ...],
    persons: tuple[str, ...],
    images: Path | None,
    plot: Path | None,
) -> None:
    """Compare the persons in ANNOTATIONS (COCO JSON) with the presets' anchors, and suggest better anchors."""
    from detector.annotations.account import Account
    from detector.annotations.coco import read_annotations
    from detector.evaluation.anchor_report import AnchorFit, describe_scale, iou_table, save_plot, size_table
    from detector.evaluation.anchors import best_ious, scale_persons, suggest
    from detector.models.presets import ARCHITECTURES, Architecture
    from pipeline.config.yaml import apply_settings, validate

    def measured(architecture: Architecture) -> AnchorFit:
        scaled = scale_persons(found, architecture)
        return AnchorFit(architecture, scaled, best_ious(scaled, architecture))

    account = Account("annotations")
    found = read_annotations(annotations, images or annotations.parent, persons, account)
    show_account(account, annotations)
    content = apply_settings(ARCHITECTURES[preset].model_dump(), settings)
    chosen = measured(validate(content, Architecture, f"preset {preset}"))
    fits = {name: measured(architecture) for name, architecture in ARCHITECTURES.items()}
    name = f"{preset}, as set" if settings else preset
    suggestion = f"{preset}, suggested"
    better = suggest(chosen.persons, chosen.architecture)
    fits |= {name: chosen, suggestion: measured(better)}
    click.echo(f"{len(chosen.ious):,} persons in {len(found):,} images, {describe_scale(better.resize)}:\n")
    click.echo(size_table(chosen))
    click.echo("\nBest IoU of each person with an anchor at the places of the model's grid:\n")
    click.echo(iou_table(fits))
    click.echo("\nSuggested, for a recipe:\n")
    click.echo(f"anchor_sizes: {[list(sizes) for sizes in better.anchor_sizes]}")
    click.echo(f"anchor_ratios: {list(better.anchor_ratios)}")
    if plot is not None:
        save_plot(plot, fits, name, suggestion)
        click.echo(f"\n{plot}: written")
