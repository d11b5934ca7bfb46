"""`uavpipe export` and `uavpipe forget`: sharing a video without its people, and taking a person out."""

from pathlib import Path
from typing import Literal

import click

from pipeline.cli.options import PATH


@click.command()
@click.argument("flight", type=PATH)
@click.option("--blur-people", "blur", flag_value="people", help="Whole persons.")
@click.option("--blur-faces", "blur", flag_value="faces", help="The upper part of each box; no face is looked for.")
@click.option("--output", type=PATH, help="The clip.  [default: FLIGHT/export/FLIGHT.mp4]")
@click.option("--score", default=0.05, show_default=True, help="Every detection from this score up is hidden.")
@click.option("--max-width", default=1280, show_default=True, help="Pixels.")
def export(
    flight: Path, blur: Literal["people", "faces"] | None, output: Path | None, score: float, max_width: int
) -> None:
    """Write a clip of FLIGHT (a folder in the workspace) to share, with its people unrecognisable.

    Only whom the detector found, or a tracklet leads through, is hidden: look at the clip before you share it.
    """
    from pipeline.export import export as write
    from pipeline.progress import progress_bar
    from pipeline.workspace import read_json

    if blur is None:
        raise click.UsageError("say what to hide: --blur-people or --blur-faces")
    output = output or flight / "export" / f"{flight.resolve().name}.mp4"
    frames = ((read_json(flight / "frames" / "manifest.json") or {}).get("counts") or {}).get("frames", 0)
    with progress_bar(f"{flight.name}: export", frames) as advance:
        count = write(flight, output, blur, score=score, max_width=max_width, progress=advance)
    click.echo(f"{output}: {count:,} frames, {blur} hidden; look at it before you share it")
