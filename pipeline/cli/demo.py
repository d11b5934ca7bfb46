"""`uavpipe demo`: the whole chain on two simulated flights, and how much of the ground truth it found."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.chain.table import DATASET, DETECT, EVALUATE, REPORT, TRAIN
from pipeline.cli.extras import trains
from pipeline.cli.options import PATH

if TYPE_CHECKING:
    from pipeline.config.models import FlightConfig
    from pipeline.workspace.stage import StageResult


@click.command()
@click.option("--folder", type=PATH, default=Path("demo"), show_default=True, help="Write everything here.")
@click.option("--seconds", default=6.0, show_default=True, help="Set the length of each flight, seconds.")
@click.option("--people", default=20, show_default=True, help="Set how many people are in both flights.")
@click.option("--iterations", default=60, show_default=True, help="Train for this number of iterations.")
@trains
def demo(folder: Path, seconds: float, people: int, iterations: int) -> None:
    """Run the whole chain on two simulated flights, and compare with the ground truth.

    Where the chain needs a person's labels, the simulator's ground truth gives them.
    """
    from pipeline.cli.stages import report_stage
    from pipeline.config.models import ReidConfig
    from pipeline.engine.progress import progress_bar, training_bar
    from pipeline.run.demo import demo_config, simulate_flights
    from pipeline.run.flight import run_overlay
    from pipeline.run.flights import run_flights
    from pipeline.run.from_labels import run_from_labels

    videos = simulate_flights(folder, people, seconds, progress_bar)
    config = demo_config(folder, videos, iterations)
    failed = run_flights(config, progress_bar, report_stage)
    if failed:
        raise click.ClickException("; ".join(failed.values()))
    for video in videos:
        report_stage(run_overlay(config, video, progress_bar))
        _score(config, video)
    _label(config, people)
    bundled = config.model_copy(update={"reid": ReidConfig()})
    click.echo("\nthe network that comes with uavpipe:")
    run_from_labels(bundled, progress_bar, training_bar, report_stage, EVALUATE)
    click.echo(f"after {iterations} iterations on these people:")
    run_from_labels(config, progress_bar, training_bar, _report_rest, REPORT, TRAIN)
    click.echo(f"by hand    uavpipe label --workspace {config.workspace}\nyour own   uavpipe run your_flight.mp4")


def _report_rest(result: "StageResult") -> None:
    """Print a line on a stage, but not once more on the data set."""
    from pipeline.cli.stages import report_stage

    if result.stage != DATASET.name:
        report_stage(result)


def _score(config: "FlightConfig", video: Path) -> None:
    """Print what the chain found of the ground truth of a flight."""
    from pipeline.groundtruth.detection_metrics import score
    from pipeline.groundtruth.read import read_truth
    from pipeline.groundtruth.tracking_metrics import score_tracks
    from pipeline.run.demo import truth_of
    from pipeline.stages.detect import read_detections
    from pipeline.stages.tracks import read_tracked
    from pipeline.workspace.folders import flight_name

    folder = config.workspace / flight_name(video)
    truth = read_truth(truth_of(video))
    click.echo(f"{video.name} against the simulator's ground truth (IoU 0.5, persons at least a quarter visible):")
    for line in score(truth, read_detections(folder / DETECT.folder)):
        click.echo(
            f"  score ≥ {line.threshold:g}: recall {line.recall:.3f}, precision {line.precision:.3f} "
            f"({line.persons:,} persons in {len(truth)} annotated frames)"
        )
    tracks = score_tracks(truth, read_tracked(folder))
    click.echo(
        f"  tracklets: IDF1 {tracks.idf1:.3f}, HOTA {tracks.hota:.3f}, purity {tracks.purity:.3f}; "
        f"{tracks.tracklets} of {tracks.persons} persons"
    )


def _label(config: "FlightConfig", people: int) -> None:
    """Label all tracklets from the ground truth."""
    from pipeline.labelling.from_ground_truth import label_by_ground_truth
    from pipeline.run.demo import truth_of
    from pipeline.workspace.folders import flight_name

    found = label_by_ground_truth(config.workspace, {flight_name(each): truth_of(each) for each in config.flights})
    click.echo(
        f"\nlabels     from the ground truth: {len(found.identities)} of {people} people, and "
        f"{found.right / max(1, found.detections):.1%} of {found.detections:,} detections on the right one"
    )
