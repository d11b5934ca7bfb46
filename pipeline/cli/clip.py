"""`uavpipe clip`: a clip of each sighting of a person."""

from pathlib import Path

import click

from pipeline.cli.options import LABELLED_WORKSPACE, PATH
from pipeline.cli.outputs import copy_video


@click.command()
@click.option("--person", type=int, required=True, help="Show this labelled person, by number.")
@LABELLED_WORKSPACE
@click.option(
    "--margin",
    type=click.FloatRange(0, 60),
    default=1.0,
    show_default=True,
    help="Add this many seconds before and after.",
)
@click.option(
    "--max-width",
    type=click.IntRange(16),
    default=960,
    show_default=True,
    help="Scale the clips down to this width, px.",
)
@click.option("--out", type=PATH, metavar="FOLDER", help="Copy the clips to this folder, too.")
def clip(person: int, workspace: Path, margin: float, max_width: int, out: Path | None) -> None:
    """Render a clip of each sighting of a person, with names drawn, in WORKSPACE/FLIGHT/clips.

    Clips that are up to date are not rendered again. The other people in them are not hidden.
    """
    from pipeline.engine.progress import progress_bar
    from pipeline.sightings.clips import ClipSettings, make_clips

    clips = make_clips(workspace, person, progress_bar, ClipSettings(margin, max_width))
    for each in clips:
        when = (
            f"{each.sighting.begin:%Y-%m-%d %H:%M:%S}" if each.sighting.begin else f"{each.sighting.begin_s:.1f} s"
        )
        file = each.file if out is None else out / f"{person}_{each.file.name}"
        if out is not None:
            copy_video(each.file, file)
        click.echo(f"{each.sighting.tracklet:16} {when}  → {file}")
    click.echo(f"{len(clips)} clips; they show other people, too", err=True)
