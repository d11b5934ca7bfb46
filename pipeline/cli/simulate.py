"""`uavpipe simulate` and `simulate-stills`: flights and pictures with ground truth."""

import re
from pathlib import Path

import click

from pipeline.cli.options import PATH
from pipeline.cli.outputs import refuse_other_video, writes


def _size(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    found = re.fullmatch(r"(\d+)x(\d+)", value)
    if not found:
        raise click.BadParameter(f"expected WIDTHxHEIGHT as in 1920x1080, not '{value}'")
    return int(found[1]), int(found[2])


@click.command()
@click.argument("output", type=PATH)
@click.option("--people", default=12, show_default=True, help="Show this number of persons.")
@click.option("--seconds", default=20.0, show_default=True, help="Set the length of the flight, seconds.")
@click.option("--seed", default=1, show_default=True, help="Seed ground, paths, light and camera.")
@click.option("--cast", "cast_seed", type=int, help="Seed the persons' appearance.  [default: --seed]")
@click.option("--size", default="1920x1080", show_default=True, callback=_size, help="Set WIDTHxHEIGHT, px.")
@click.option("--fps", default=30.0, show_default=True, help="Set the frames per second.")
@click.option(
    "--altitude", default=25.0, show_default=True, help="Set the height of the camera above the ground, m."
)
@click.option(
    "--fov",
    "fov_deg",
    type=float,
    help="Set the horizontal angle of view, degrees.  [default: 55 to 72, by --seed]",
)
def simulate(
    output: Path,
    people: int,
    seconds: float,
    seed: int,
    cast_seed: int | None,
    size: tuple[int, int],
    fps: float,
    altitude: float,
    fov_deg: float | None,
) -> None:
    """Simulate a flight over walking people, with ground truth.

    Writes OUTPUT (H.264) and beside it the ground truth (.gt.txt), the camera (.camera.csv), telemetry (.SRT), and
    where everybody is on the ground (.positions.csv).
    """
    from pipeline.engine.progress import progress_bar
    from pipeline.simulate import simulate_flight

    refuse_other_video(output, output.with_suffix(".camera.csv").exists())
    with progress_bar(output.name, round(seconds * fps)) as advance:
        simulate_flight(
            output,
            people=people,
            seconds=seconds,
            seed=seed,
            cast_seed=cast_seed,
            size=size,
            fps=fps,
            altitude=altitude,
            fov_deg=fov_deg,
            progress=advance,
        )
    click.echo(f"{output}: {people} persons, {seconds:g} s; ground truth in {output.with_suffix('.gt.txt')}")


@click.command()
@click.argument("folder", type=PATH)
@click.option("--count", default=2000, show_default=True, help="Make this number of pictures.")
@click.option("--seed", default=1, show_default=True, help="Seed everything random.")
@click.option("--size", callback=_size, help="Set WIDTHxHEIGHT, px.  [default: 960x540, 1920x1080 with --flights]")
@click.option("--flights", is_flag=True, help="Take four frames each of short flights, not a scene a picture.")
@click.option("--workers", default=1, show_default=True, help="Use this number of processes.")
@writes("folder", inside=("annotations.json",))
def stills(folder: Path, count: int, seed: int, size: tuple[int, int] | None, flights: bool, workers: int) -> None:
    """Simulate training pictures for a detector: FOLDER/images and FOLDER/annotations.json (COCO)."""
    from pipeline.simulate import render_flight_stills, render_stills

    render = render_flight_stills if flights else render_stills
    chosen = {} if size is None else {"size": size}
    render(folder, count, seed=seed, workers=workers, **chosen)
    click.echo(f"{folder}: {count} pictures and annotations.json")
