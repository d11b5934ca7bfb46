"""`uavpipe demo`: the whole chain on two simulated flights, and how much of the truth it found."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import PATH

if TYPE_CHECKING:
    from pipeline.config.models import FlightConfig
    from pipeline.dataset.stage import DatasetResult


@click.command()
@click.option("--folder", type=PATH, default=Path("demo"), show_default=True)
@click.option("--seconds", default=6.0, show_default=True, help="Length of each flight.")
@click.option("--people", default=20, show_default=True, help="Who is in both flights.")
@click.option("--iterations", default=60, show_default=True, help="Of the training.")
def demo(folder: Path, seconds: float, people: int, iterations: int) -> None:
    """Simulate two flights over the same people, run the whole chain, compare with the truth.

    Where the chain needs a person, to say who is who, the simulator's truth answers.
    """
    from detector.config import DetectorConfig
    from pipeline.config.models import DatasetConfig, FlightConfig, ThinConfig
    from pipeline.dataset.stage import run_dataset
    from pipeline.demo import label_by_truth, simulate, truth_of
    from pipeline.engine.progress import progress_bar
    from pipeline.report import write_report
    from pipeline.workspace.folders import flight_name

    videos = simulate(folder, people, seconds, progress_bar)
    config = FlightConfig(
        videos=tuple(videos),
        workspace=folder / "runs",
        detector=DetectorConfig(weights="embedded", threshold=0.6),
        dataset=DatasetConfig(thin=ThinConfig(frames=3)),
    )
    for video in videos:
        _fly(config, video)
    answered = label_by_truth(config.workspace, {flight_name(video): truth_of(video) for video in videos})
    click.echo(
        f"\nlabels     the truth stood in for the hand: {len(answered.identities)} of {people} people, and "
        f"{answered.right / max(1, answered.detections):.1%} of {answered.detections:,} detections on the right one"
    )
    dataset = run_dataset(config.workspace, config.dataset)
    splits = ", ".join(f"{counts['crops']:,} {split}" for split, counts in dataset.figures["splits"].items())
    click.echo(f"dataset    {splits} crops  → {dataset.folder}")
    _learn_and_measure(dataset, config.workspace / "reid", iterations)
    click.echo(f"\nlook at    {write_report(config.workspace, config.report, progress_bar)}")
    click.echo(f"by hand    uavpipe label --workspace {config.workspace}\nyour own   uavpipe run your_flight.mp4")


def _fly(config: "FlightConfig", video: Path) -> None:
    """All stages of one flight, and what they found of the truth."""
    from pipeline.cli.stages import report_stage
    from pipeline.demo import truth_of
    from pipeline.engine.progress import progress_bar
    from pipeline.groundtruth.detection_metrics import score
    from pipeline.groundtruth.read import read_truth
    from pipeline.groundtruth.tracking_metrics import score_tracks
    from pipeline.run.flight import run_overlay, run_tracks
    from pipeline.stages.detect import read_detections
    from pipeline.stages.tracks import read_tracked

    results = run_tracks(config, video, progress_bar)
    results.append(run_overlay(config, video, progress_bar))
    for result in results:
        report_stage(result)
    folder, frames = results[0].folder.parent, results[0].counts["frames"]
    truth = read_truth(truth_of(video))
    click.echo(f"{video.name} against the simulator's truth (IoU 0.5, persons at least a quarter visible):")
    for line in score(truth, read_detections(folder / "detections"), frames=frames):
        click.echo(
            f"  score ≥ {line.threshold:g}: recall {line.recall:.3f}, precision {line.precision:.3f} "
            f"({line.persons:,} persons in {frames} frames)"
        )
    tracks = score_tracks(truth, read_tracked(folder))
    click.echo(
        f"  tracklets: IDF1 {tracks.idf1:.3f}, HOTA {tracks.hota:.3f}, purity {tracks.purity:.3f}; "
        f"{tracks.tracklets} of {tracks.persons} persons"
    )


def _learn_and_measure(dataset: "DatasetResult", output: Path, iterations: int) -> None:
    from pipeline.demo import learn, measure
    from pipeline.engine.progress import training_bar
    from reid.datasets.load import load
    from reid.evaluation.protocols import PROTOCOLS
    from reid.weights import EMBEDDED

    protocol = dataset.figures["protocol"]
    if "query" not in dataset.figures["splits"]:
        click.echo("evaluate   nobody is seen often enough for a query: nothing can be measured")
        return
    data = load(str(dataset.folder), PROTOCOLS[protocol].cameras)
    with training_bar("re-id", iterations) as advance:
        learnt = learn(data, output / "demo", iterations, advance)
    for what, weights, name in (
        ("the network that comes with uavpipe", EMBEDDED, "embedded"),
        (f"after {iterations} iterations", learnt, "demo"),
    ):
        figures = measure(data, dataset.folder, weights, protocol, output / name / "test").figures
        click.echo(f"evaluate   {what}: rank-1 {figures['rank-1']:.3f}, mAP {figures['mAP']:.3f}")
