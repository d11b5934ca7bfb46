"""`uavpipe demo`: the chain on a simulated flight, and how much of the truth it found."""

from pathlib import Path

import click

from pipeline.cli.options import PATH


@click.command()
@click.option("--folder", type=PATH, default=Path("demo"), show_default=True)
@click.option("--seconds", default=8.0, show_default=True, help="Length of the flight.")
@click.option("--people", default=12, show_default=True)
def demo(folder: Path, seconds: float, people: int) -> None:
    """Simulate a flight, find and cut out its people, compare with the truth."""
    from detector.config import DetectorConfig
    from pipeline.config import FlightConfig
    from pipeline.detect import read_detections
    from pipeline.progress import progress_bar
    from pipeline.score import score
    from pipeline.simulate import simulate_flight
    from pipeline.stages import bring_up, bring_up_overlay
    from pipeline.truth import read_truth
    from pipeline.workspace import flight_name, read_json

    video = folder / "flight01.mp4"
    truth = video.with_suffix(".gt.txt")
    if not (video.exists() and truth.exists()):
        # A seed that no training flight had: the figures below are about people the detector never saw.
        with progress_bar("simulating the flight", round(seconds * 30)) as advance:
            simulate_flight(video, people=people, seconds=seconds, seed=20_001, progress=advance)
        click.echo(f"simulated a flight of {seconds:g} s over {people} people: {video}")
    config = FlightConfig(videos=(video,), workspace=folder / "runs", detector=DetectorConfig(weights="embedded"))
    for result in bring_up(config, video, "crops", progress_bar):
        done = "up to date" if result.skipped else "done"
        counts = ", ".join(f"{value:,} {name}" for name, value in result.counts.items() if name != "last_s")
        click.echo(f"{result.stage:8} {done}: {counts.replace('_', ' ')}")
    overlay = bring_up_overlay(config, video, progress_bar)
    flight = folder / "runs" / flight_name(video)
    frames = (read_json(flight / "frames" / "manifest.json") or {})["counts"]["frames"]
    click.echo("\nagainst the simulator's truth (IoU 0.5, persons at least a quarter visible):")
    for line in score(read_truth(truth), read_detections(flight / "detections"), frames=frames):
        click.echo(
            f"  score ≥ {line.threshold:g}: recall {line.recall:.3f}, precision {line.precision:.3f} "
            f"({line.persons:,} persons in {frames} frames)"
        )
    click.echo(
        f"\nlook at   {overlay.folder / 'overlay.mp4'}\n          {flight / 'crops' / 'images'}\n"
        f"tables in {flight}\nyour own  uavpipe crops your_flight.mp4"
    )
