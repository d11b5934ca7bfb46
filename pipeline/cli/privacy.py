"""`uavpipe anonymize` and `uavpipe forget`: share a clip with unrecognisable people, erase a person."""

from pathlib import Path
from typing import Literal

import click

from pipeline.cli.options import LABELLED_WORKSPACE, flight_argument, output_option
from pipeline.cli.outputs import refuse_other_video
from pipeline.words import counted


@click.command()
@flight_argument
@click.option("--blur-people", "blur", flag_value="people", help="Hide whole persons.")
@click.option("--blur-faces", "blur", flag_value="faces", help="Hide the upper part of each box, not faces.")
@output_option("Write the clip here.  [default: FLIGHT/export/FLIGHT.mp4]", required=False)
@click.option("--score", default=0.05, show_default=True, help="Hide every detection from this score up.")
@click.option("--max-width", default=1280, show_default=True, help="Scale the clip down to this width, px.")
def anonymize(
    flight: Path, blur: Literal["people", "faces"] | None, output: Path | None, score: float, max_width: int
) -> None:
    """Write a clip of FLIGHT to share, with its people unrecognisable.

    FLIGHT is the name of a flight, its folder in the workspace, or its video.

    Only persons that were detected or are on a tracklet are hidden: watch the clip before you share it.
    """
    from pipeline.chain.table import FRAMES
    from pipeline.engine.progress import progress_bar
    from pipeline.privacy.shared_clip import FOLDER
    from pipeline.privacy.shared_clip import anonymize as write
    from pipeline.workspace.manifest import StageFolder

    if blur is None:
        raise click.UsageError("expected --blur-people or --blur-faces")
    output = output or flight / FOLDER / f"{flight.resolve().name}.mp4"
    refuse_other_video(output, output.resolve().is_relative_to((flight / FOLDER).resolve()))
    frames = ((StageFolder(flight / FRAMES.folder).manifest() or {}).get("counts") or {}).get("frames", 0)
    with progress_bar(f"{flight.name}: clip", frames) as advance:
        count = write(flight, output, blur, score=score, max_width=max_width, progress=advance)
    click.echo(f"{output}: {counted(count, 'frame')}, {blur} hidden; watch it before you share it")


@click.command()
@click.argument("identity", type=int)
@LABELLED_WORKSPACE
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def forget(identity: int, workspace: Path, yes: bool) -> None:
    """Erase a person, IDENTITY (the number in the labelling app), from WORKSPACE, for good.

    The video stays unchanged; stages that run again see the person painted over. An interrupted run resumes when
    the command is run again.
    """
    from annotate.log.store import LABELS, LabelStore
    from pipeline.errors import PipelineError
    from pipeline.privacy.forget import find_places, resume, select_identity
    from pipeline.privacy.forget import forget as erase
    from pipeline.privacy.forget.commit import workspace_to_oneself
    from pipeline.workspace.folders import FORGETTING

    if not (workspace / LABELS).is_file():
        raise PipelineError(f"{workspace / LABELS}: no labels here, so no identities; name the --workspace")
    with workspace_to_oneself(workspace):
        places = find_places(workspace)
        for folder in places.links:
            click.echo(
                f"{workspace / folder}: a link; files of uavpipe in {(workspace / folder).resolve()} are erased"
            )
        if places.links and (workspace / FORGETTING / "journal.json").exists() and not yes:
            click.confirm("resume the interrupted erasure there?", abort=True)
        resumed = resume(workspace)
        if resumed:
            click.echo(f"{workspace}: finished an interrupted `uavpipe forget`")
        with LabelStore(workspace / LABELS, create=False) as store:
            if resumed and identity not in store.state.exists:
                return
            selection = select_identity(workspace, store, identity)
            click.echo(f"identity {identity}{f' ({selection.name})' if selection.name else ''} in {workspace}:")
            for flight, part in selection.flights.items():
                click.echo(
                    f"  {flight}: {counted(len(part.tracklets), 'tracklet')}, "
                    f"{counted(len(part.gone), 'detection')} with crops and vectors, "
                    f"boxes in {counted(len(part.boxes), 'frame')}; overlay and shared clips"
                )
            click.echo(
                "  its labels, and all undone or changed decisions of all identities\n"
                "  what searches.jsonl tells of it; that there were searches stays\n"
                "  as a whole, to be made again: data set, networks trained on it, evaluations, report, "
                "suggestions\n"
                "not deleted: the videos, copies and backups elsewhere, networks trained outside of this folder"
            )
            for name in places.own_files():
                click.echo(f"not deleted, as uavpipe did not write it; look whether it shows the person: {name}")
            if not yes:
                click.confirm("delete for good?", abort=True)
            erase(workspace, store, selection)
    click.echo(f"identity {identity} is erased")
