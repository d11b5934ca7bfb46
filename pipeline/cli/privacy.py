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
    from pipeline.engine.progress import progress_bar
    from pipeline.privacy.shared_clip import export as write
    from pipeline.workspace.atomic import read_json

    if blur is None:
        raise click.UsageError("say what to hide: --blur-people or --blur-faces")
    output = output or flight / "export" / f"{flight.resolve().name}.mp4"
    frames = ((read_json(flight / "frames" / "manifest.json") or {}).get("counts") or {}).get("frames", 0)
    with progress_bar(f"{flight.name}: export", frames) as advance:
        count = write(flight, output, blur, score=score, max_width=max_width, progress=advance)
    click.echo(f"{output}: {count:,} frames, {blur} hidden; look at it before you share it")


@click.command()
@click.argument("identity", type=int)
@click.option("--workspace", type=PATH, default=Path("runs"), show_default=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(identity: int, workspace: Path, yes: bool) -> None:
    """Delete IDENTITY (its number in the labelling app) everywhere in WORKSPACE, for good.

    The video is yours and stays as it is; stages that are run again see the person painted over. A run that
    was killed goes on where it was.
    """
    from annotate.log.store import LABELS, LabelStore
    from pipeline.errors import PipelineError
    from pipeline.privacy.forget import forget as forget_whom
    from pipeline.privacy.forget import resume, select_identity
    from pipeline.privacy.forget.commit import workspace_to_oneself

    if not (workspace / LABELS).is_file():
        raise PipelineError(f"{workspace / LABELS}: no labels here, so no identities; name the --workspace")
    with workspace_to_oneself(workspace):
        resumed = resume(workspace)
        if resumed:
            click.echo(f"{workspace}: ended what a run that was killed had begun")
        with LabelStore(workspace / LABELS, create=False) as store:
            if resumed and identity not in store.state.exists:
                return
            whom = select_identity(workspace, store, identity)
            click.echo(f"identity {identity}{f' ({whom.name})' if whom.name else ''} in {workspace}:")
            for flight, part in whom.flights.items():
                click.echo(
                    f"  {flight}: {len(part.tracklets)} tracklets, {len(part.gone):,} detections with their crops "
                    f"and vectors, its place in {len(part.boxes):,} frames; overlay and exported clips"
                )
            click.echo(
                "  its labels, and what was undone or changed on the way to today's labels of all\n"
                "  data set, the networks that learnt from it, evaluations, report and learnt suggestions"
                " as a whole: make them again\n"
                "not deleted: the videos, copies and backups elsewhere, networks trained outside of this folder"
            )
            if not yes:
                click.confirm("delete for good?", abort=True)
            forget_whom(workspace, store, whom)
    click.echo(f"identity {identity} is forgotten")
