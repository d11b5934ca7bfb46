"""`uavpipe detector evaluate`: comparison of a detector, or of stored detections, with annotations."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.detector.accounts import show_account
from pipeline.cli.options import PATH, PERSON_NAMES, settings_option
from pipeline.cli.outputs import writes

if TYPE_CHECKING:
    from detector.annotations.coco import AnnotatedImage
    from detector.config import DataSource
    from detector.evaluation.curves import Judged
    from detector.evaluation.evaluate import Report
    from detector.records import Detections

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_FLOOR = 0.01  # AP reads the boxes too that nobody would use; an exported model has its own floor
_EXPLANATION = """\
COCO reads the precision at 101 recalls and does not count ignored persons. It excuses a detection on an ignored
region if the share of it in the region reaches the IoU threshold, up to 95 %. VisDrone uses every recall, counts
ignored persons in the recall's denominator, and drops persons and detections of which half is in ignored regions,
at every IoU threshold. The figures below follow COCO's rules, at IoU 0.5."""


@click.command()
@click.argument("annotations", type=PATH)
@click.argument("images", type=PATH, required=False)
@click.option("--weights", default="auto", show_default=True, help="Load auto, embedded, coco or a checkpoint.")
@settings_option("floor=0.001")
@PERSON_NAMES
@click.option("--detections", "stored", type=_FILE, help="Evaluate these (COCO's result format); run no model.")
@click.option("--save-detections", "save", type=_FILE, help="Write what the model finds, for --detections.")
@click.option(
    "--cap",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    help="Count at most this many detections per image.",
)
@click.option("--out", type=_FOLDER, help="Write metrics.json, curves.csv and curves.png to this folder.")
@writes("save")
@writes("out", inside=("metrics.json", "curves.csv", "curves.png"))
def evaluate(
    annotations: Path,
    images: Path | None,
    weights: str,
    settings: tuple[str, ...],
    persons: tuple[str, ...],
    stored: Path | None,
    save: Path | None,
    cap: int,
    out: Path | None,
) -> None:
    """Measure a detector on ANNOTATIONS (COCO JSON) and its files in IMAGES, by COCO's and VisDrone's rules."""
    from detector.config import DataSource
    from detector.evaluation.evaluate import measure

    if (stored is None) == (images is None) or (stored is not None and save is not None):
        raise click.UsageError("give IMAGES to run a model, or --detections to evaluate stored ones (not both)")
    if stored is not None:
        truth, found = _read_stored(annotations, stored, persons)
    else:
        assert images is not None
        source = DataSource(annotations=annotations, images=images, persons=persons)
        truth, found = _run_model(source, weights, settings, save)
    report = measure(truth, found, max_detections=cap)
    if out is not None:
        _write(report, out)  # first: `| head` may close what the figures are printed to
    _show(report)
    if out is not None:
        click.echo(f"\n{out}: metrics.json, curves.csv, curves.png")


def _read_stored(
    annotations: Path, stored: Path, persons: tuple[str, ...]
) -> "tuple[list[AnnotatedImage], list[Detections]]":
    from detector.annotations.account import Account
    from detector.annotations.coco import read_annotations, read_categories, require_persons
    from detector.annotations.results import read_results

    of_truth, of_stored = Account("annotations"), Account("detections")
    truth = read_annotations(annotations, annotations.parent, persons, of_truth)
    show_account(of_truth, annotations)
    require_persons(truth, [annotations])
    categories = read_categories(annotations, persons)
    found = read_results(stored, truth, categories.persons, categories.ids, of_stored)
    show_account(of_stored, stored)
    return truth, found


def _run_model(
    source: "DataSource", weights: str, settings: tuple[str, ...], save: Path | None
) -> "tuple[list[AnnotatedImage], list[Detections]]":
    from detector.annotations.account import Account
    from detector.annotations.coco import read_categories, read_coco, require_persons
    from detector.annotations.results import write_results
    from detector.backends.load import load_predictor
    from detector.config import DetectorConfig
    from detector.evaluation.evaluate import detect
    from detector.models.weights import source_of
    from pipeline.config.yaml import apply_settings, validate
    from pipeline.engine.progress import progress_bar
    from pipeline.workspace.atomic import atomic_file

    config = validate(apply_settings({"weights": weights}, settings), DetectorConfig, "detector")
    account = Account("annotations")
    truth = read_coco(source, account)
    show_account(account, source.annotations)
    require_persons(truth, [source.annotations])
    weights_source = source_of(config)
    if "floor" not in config.model_fields_set and weights_source.kind in ("uavpipe", "torchvision"):
        config = config.model_copy(update={"floor": _FLOOR})
    predictor = load_predictor(config, weights_source)
    if save is not None:
        save.parent.mkdir(parents=True, exist_ok=True)  # fails now, not after the detection
    with progress_bar(source.annotations.name, len(truth)) as advance:
        found = detect(predictor, truth, advance)
    if save is not None:
        categories = read_categories(source.annotations, source.persons)
        with atomic_file(save) as temporary:
            write_results(temporary, truth, found, categories.persons[0])
        click.echo(f"{save}: evaluate it again with --detections {save}")
    return truth, found


def _show(report: "Report") -> None:
    parts = report.parts
    whole = parts["all"]
    click.echo(
        f"{whole.images:,} images, {len(whole.person_heights):,} persons, {report.detections:,} detections\n\n"
        f"{'':12}{'COCO':>8}{'VisDrone':>10}"
    )
    for name in [*report.visdrone, *(name for name in report.coco if name not in report.visdrone)]:
        click.echo(f"{name:12}{_figure(report.coco, name):>8}{_figure(report.visdrone, name):>10}".rstrip())
    if report.ap50_interval is not None:
        low, high = map(_number, report.ap50_interval)
        click.echo(f"AP50 by COCO: {low} to {high} (95 %, resampling the images)")
    sizes = ", ".join(f"{count:,} {name}" for name, count in report.sizes.items())
    click.echo(f"{'persons':12}{sizes}\n\n{_EXPLANATION}\n")
    thresholds = [point.threshold for point in whole.points()]
    click.echo(f"{'':12}{'persons':>9}{'AP50':>8}" + "".join(f"{f'recall≥{t:g}':>12}" for t in thresholds))
    for name, part in (parts | report.by_altitude).items():
        recalls = "".join(f"{_number(point.recall):>12}" for point in part.points())
        click.echo(f"{name:12}{len(part.person_heights):9,}{_number(part.ap50()):>8}{recalls}")
    click.echo(f"\n{'score from':12}{'recall':>8}{'precision':>11}{'false an image':>16}")
    for point in whole.points():
        figures = f"{_number(point.recall):>8}{_number(point.precision):>11}{point.false_per_image:16.2f}"
        click.echo(f"{point.threshold:<12g}{figures}")
    _show_reliability(whole)


def _show_reliability(judged: "Judged") -> None:
    from detector.evaluation.calibration import calibration_error, reliability

    bins = reliability(judged)
    click.echo(f"\n{'score':12}{'count':>8}{'mean score':>12}{'right':>8}")
    for each in bins[1:]:
        name = f"{each.low:.1f}–{each.low + 0.1:.1f}"
        click.echo(f"{name:12}{each.count:8,}{_number(each.score):>12}{_number(each.right):>8}")
    click.echo(f"calibration error from score 0.1 up: {_number(calibration_error(bins))}")


def _figure(figures: Mapping[str, float], name: str) -> str:
    return "" if name not in figures else _number(figures[name])


def _number(value: float | None) -> str:
    return f"{value:.3f}" if value is not None and value >= 0 else "–"


def _write(report: "Report", out: Path) -> None:
    """Figures first, picture last: a plot that fails does not cost the figures."""
    from detector.evaluation.curves import write_csv
    from detector.evaluation.picture import plot
    from pipeline.workspace.atomic import atomic_file

    with atomic_file(out / "metrics.json") as temporary:
        temporary.write_text(report.as_json(), "utf-8")
    with atomic_file(out / "curves.csv") as temporary:
        write_csv(temporary, report.parts)
    try:
        with atomic_file(out / "curves.png") as temporary:
            plot(temporary, report.parts)
    except Exception as error:  # whatever fonts and backends may raise
        logging.warning(f"{out / 'curves.png'}: not drawn ({error}); the same curves are in curves.csv")
