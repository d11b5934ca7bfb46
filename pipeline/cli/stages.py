"""The commands of the stages on video: frames, detect, crops, tracks, overlay."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from pipeline.chain.table import CROPS, DATASET, DETECT, EVALUATE, FRAMES, LABEL, REPORT, TRACKS, ChainStage
from pipeline.cli.options import DRY_RUN, Given, flight_options
from pipeline.cli.verbosity import announce_start
from pipeline.words import counted

if TYPE_CHECKING:
    from pipeline.config.models import FlightConfig
    from pipeline.run.plan import Planned
    from pipeline.workspace.stage import StageResult

_ONE = {  # of what stages count
    "frames": "frame",
    "boxes": "box",
    "persons": "person",
    "crops": "crop",
    "frames_with_crops": "frame_with_crops",
    "tracklets": "tracklet",
    "detections": "detection",
    "segments": "segment",
}


def _run(last: ChainStage, config: "FlightConfig") -> None:
    announce_start()
    from pipeline.config.flights import require_flights
    from pipeline.engine.progress import progress_bar
    from pipeline.run.flight import run_stages
    from pipeline.run.named_files import check_named_files

    check_named_files(config, FRAMES, last)
    for video in require_flights(config):
        for result in run_stages(config, video, last, progress_bar):
            report_stage(result)


def show_plan(planned: "Iterable[Planned]") -> None:
    """Print what would run, and why: a line for each stage."""
    stages = [(each.flight or "all flights", each) for each in planned]
    width = max((len(flight) for flight, _ in stages), default=0) + 2
    for flight, each in stages:
        would = "stop" if each.stage == LABEL.name else "run"
        what = f"would {would}: {each.reason}" if each.reason else "up to date"
        click.echo(f"{flight:{width}}{each.stage:10} {what}")


def report_stage(result: "StageResult") -> None:
    """Print a line on a stage that is up to date now; of a data set several."""
    from pipeline.cli.dataset import report_dataset

    if result.stage == DATASET.name:
        report_dataset(result)
        return
    if result.stage == EVALUATE.name:
        counts = _evaluated(result.counts)
    else:
        counts = ", ".join(
            counted(value, _ONE.get(name, name), name) for name, value in result.counts.items() if name != "last_s"
        )
    words = ("up to date: " if result.skipped else "") + counts.replace("_", " ")
    place = result.folder / REPORT.file if result.stage == REPORT.name else result.folder
    click.echo(f"{result.stage:10} {words}{'  ' if words else ''}→ {place}")


def _evaluated(counts: Mapping[str, Any]) -> str:
    """The headline of an evaluation: its figures beside those of chance."""
    from reid.evaluation.chance import Chance

    chance = Chance.of_content(counts.get("chance"))  # an evaluation of an earlier version has none
    names = ("mAP", "rank-1")
    shown = ", ".join(f"{name} {counts[name]:.4f}" for name in names)
    if chance is None:
        return shown
    random = ", ".join(f"{chance.figures['random'][name]:.4f}" for name in names)
    return "; ".join(filter(None, (f"{shown} (random features {random})", chance.doubt(counts["mAP"]))))


@click.command()
@flight_options
@click.option("--images", is_flag=True, help="Write the frames as JPEGs too.")
@click.option("--stride", type=int, help="With --images: write every n-th frame.  [default: 1]")
@click.option("--quality", type=int, help="With --images: set the JPEG quality.  [default: 95]")
@click.option("--max-bad-frames", type=int, help="Fail when more frames than this are lost, corrupt or suspect.")
def frames(given: Given, images: bool, **numbers: int | None) -> None:
    """List the frames of a video and its damage.

    Writes WORKSPACE/<flight>/frames/frames.parquet. A VIDEO is a file or a folder of images.
    """
    extra = [f"frames.{name}={value}" for name, value in numbers.items() if value is not None]
    if images:
        extra.append("frames.images=true")
    _run(FRAMES, given.load(*extra))


@click.command()
@flight_options
def detect(given: Given) -> None:
    """Detect the persons in every frame.

    Writes WORKSPACE/<flight>/detections/detections.parquet: every box with score 0.05 or more. An interrupted run
    resumes at the last finished segment.
    """
    _run(DETECT, given.load())


@click.command()
@flight_options
def crops(given: Given) -> None:
    """Cut the detected persons out of the frames.

    Writes WORKSPACE/<flight>/crops/crops.parquet and JPEGs: persons with score `detector.threshold` (0.8) or more.
    """
    _run(CROPS, given.load())


@click.command()
@flight_options
@DRY_RUN
def tracks(given: Given, dry_run: bool) -> None:
    """Link detections of one person into tracklets.

    Writes WORKSPACE/<flight>/tracks/tracklets.parquet: tracklet, frame, rank. Runs earlier stages in the same pass.
    Labels are carried over to new tracklets; WORKSPACE/labels_not_carried.csv lists those that could not be.
    """
    from pipeline.run.plan import plan_flights

    config = given.load()
    if dry_run:
        show_plan(plan_flights(config))
    else:
        _run(TRACKS, config)


@click.command()
@flight_options
def overlay(given: Given) -> None:
    """Draw the detections on the video: WORKSPACE/<flight>/overlay/overlay.mp4."""
    from pipeline.config.flights import require_flights
    from pipeline.engine.progress import progress_bar
    from pipeline.run.flight import run_overlay

    config = given.load()
    for video in require_flights(config):
        report_stage(run_overlay(config, video, progress_bar))
