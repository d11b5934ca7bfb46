"""`uavpipe annotate`: the labelling app, the log of labels, and exchange with other tools."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.annotate.reviews import agreement, disagreements
from pipeline.cli.annotate.serve import serve
from pipeline.cli.annotate.suggestions import embed, retrain
from pipeline.cli.options import FIRST_FRAME, JSON, LABELLED_WORKSPACE, PATH, PERSON_NAMES, TASK, flight_option
from pipeline.cli.outputs import print_json, writes
from pipeline.words import counted

if TYPE_CHECKING:
    from annotate.exchange.records import Clip
    from annotate.log.store import LabelStore
    from annotate.operations import Operation

_BY_SUFFIX = {".jsonl": "log", ".txt": "mot", ".json": "coco", ".xml": "cvat"}
_FORMATS = "log for .jsonl, mot for .txt, coco for .json, cvat for .xml"
_FLIGHT = flight_option("Name the flight of the file.  [default: the only one]")


@click.group()
def annotate() -> None:
    """Label identities in the browser, and exchange labels with other tools."""


for command in (serve, embed, retrain, agreement, disagreements):
    annotate.add_command(command)


@annotate.command("log")
@LABELLED_WORKSPACE
@click.option("--last", type=click.IntRange(1), metavar="N", help="List only the last N.")
@click.option(
    "--recover", is_flag=True, help="Rebuild damaged labels from their text; stop the labelling app first."
)
@JSON
def show_log(workspace: Path, last: int | None, recover: bool, as_json: bool) -> None:
    """List every operation of the log: number, time, user and content."""
    from annotate.log.store import LABELS, LabelStore

    if recover:
        _recover(workspace / LABELS)
        return
    with LabelStore(workspace / LABELS, write=False) as store:
        entries = store.entries[-last:] if last else store.entries
        if as_json:
            print_json([vars(each) | {"operation": each.operation.model_dump(mode="json")} for each in entries])
            return
        for entry in entries:
            what = f"{entry.operation.op.replace('_', ' ')} {_summary(entry.operation)}"
            click.echo(f"{entry.sequence:6}  {entry.time[:19]}  {entry.user}  {what}")


def _recover(labels: Path) -> None:
    from annotate.log.recover import recover
    from pipeline.errors import PipelineError
    from pipeline.workspace.folders import locked

    if not labels.parent.is_dir():
        raise PipelineError(f"{labels.parent}: no such folder; name the --workspace")
    with locked(labels.parent):
        found = recover(labels)
    total = found.from_text + found.from_database
    if found.kept is None:
        click.echo(f"{labels}: nothing to recover: {total:,} operations, the same in its text, every hash verified")
        return
    click.echo(
        f"{labels}: rebuilt with {total:,} operations, every hash verified: {found.from_text:,} from its text, "
        f"{found.from_database:,} only from the database"
    )
    click.echo(f"what was there before is kept: {found.kept}*")
    if found.lost:
        click.echo(f"lost: {found.lost:,} operations after these; what can be read of them is in the kept files")


@annotate.command()
@click.argument("log", type=PATH)
@click.option("--out", type=PATH, required=True, help="Write the labels to this file, as labels.sqlite.")
def replay(log: Path, out: Path) -> None:
    """Rebuild a file of labels from LOG, an exported log."""
    from annotate.log.text import replay

    click.echo(f"{out}: {replay(log, out):,} operations")


@annotate.command()
@click.argument("out", type=PATH)
@LABELLED_WORKSPACE
@_FLIGHT
@click.option(
    "--format",
    "form",
    type=click.Choice([*_BY_SUFFIX.values()]),
    help=f"Write in this format.  [default: {_FORMATS}]",
)
@writes("out")
def export(out: Path, workspace: Path, flight: str | None, form: str | None) -> None:
    """Write the labels to OUT: as a log, or each identity as a track."""
    from annotate.exchange.coco import write_coco_tracks
    from annotate.exchange.cvat import write_cvat
    from annotate.exchange.mot import write_mot
    from annotate.log.store import LABELS, LabelStore
    from annotate.log.text import write_log
    from pipeline.relinking.keep import check_carried

    form = form or _format(out)
    with LabelStore(workspace / LABELS, write=False) as store:
        if form == "log":
            write_log(out, store.entries)
            click.echo(f"{out}: {len(store.entries):,} operations")
            return
        check_carried(workspace)
        names = list(store.state.flights) if form == "coco" and flight is None else [_flight(store, flight)]
        clips = [_clip(store, workspace, name) for name in names]
    if form == "coco":
        write_coco_tracks(out, clips)
    else:
        {"mot": write_mot, "cvat": write_cvat}[form](out, clips[0])
    click.echo(f"{out}: {_counts(clips)}")


@annotate.command("import")
@click.argument("source", type=PATH)
@LABELLED_WORKSPACE
@_FLIGHT
@click.option(
    "--format",
    "form",
    type=click.Choice([*_BY_SUFFIX.values(), "market"]),
    help=f"Read this format.  [default: {_FORMATS}, market for a folder]",
)
@click.option("--user", help="Log the decisions under this name.  [default: your login]")
@PERSON_NAMES
@FIRST_FRAME
@TASK
@click.option("--same-identities", is_flag=True, help="Take the tracks' numbers as those of the identities here.")
@click.option(
    "--fps",
    type=click.FloatRange(0, min_open=True),
    default=25.0,
    show_default=True,
    help="Take this frame rate, frames per second, where the file has none (market).",
)
def import_(
    source: Path,
    workspace: Path,
    flight: str | None,
    form: str | None,
    user: str | None,
    persons: tuple[str, ...],
    first_frame: int | None,
    task: str | None,
    same_identities: bool,
    fps: float,
) -> None:
    """Import labels from SOURCE: an exported log, tracks, or a Market-1501 folder.

    Tracks are MOTChallenge's or VisDrone's text, COCO's JSON or CVAT's XML, or the zip of such an export. Only
    boxes of persons become identities.
    """
    from annotate.exchange.admit import Reading
    from annotate.log.store import LABELS, LabelStore
    from pipeline.labelling.import_tracks import import_tracks
    from pipeline.workspace.locks import login

    user = user or login()
    form = form or ("market" if source.is_dir() else None)
    if form == "market":
        from pipeline.labelling.import_market import import_market

        counts = import_market(source, workspace, fps, user)
        click.echo(f"{workspace}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items()))
        return
    if form == "log" or (form is None and source.suffix.lower() == ".jsonl"):
        from annotate.log.text import read_log

        entries = read_log(source)
        with LabelStore(workspace / LABELS) as store:
            click.echo(f"{store.path}: {store.take_log(entries):,} new operations")
        return
    reading = Reading(persons, first_frame, task)
    for line in import_tracks(source, workspace, flight, form, reading, user=user, same_identities=same_identities):
        click.echo(line)


def _format(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in _BY_SUFFIX:
        raise click.UsageError(f"{path}: unknown format; give --format ({_FORMATS})")
    return _BY_SUFFIX[suffix]


def _flight(store: "LabelStore", name: str | None) -> str:
    from pipeline.labelling.import_tracks import the_flight

    return the_flight(list(store.state.flights), name)


def _clip(store: "LabelStore", workspace: Path, flight: str) -> "Clip":
    from annotate.exchange.labels import labelled_clip
    from annotate.records import count_frames, read_tracklets

    tracklets = read_tracklets(workspace, flight)
    store.add_flight(flight, tracklets)  # refused if they are not the labelled ones
    return labelled_clip(store.state, flight, tracklets, count_frames(workspace, flight))


def _counts(clips: "Sequence[Clip]") -> str:
    boxes, tracks = sum(len(clip.boxes) for clip in clips), {box.track for clip in clips for box in clip.boxes}
    return f"{counted(boxes, 'box', 'boxes')} of {counted(len(tracks), 'identity', 'identities')}"


def _summary(operation: "Operation") -> str:
    if operation.op in ("add_flight", "relink"):
        return f"{operation.flight}: {counted(len(operation.tracklets), 'tracklet')}"
    fields = operation.model_dump(mode="json", exclude={"op"})
    return ", ".join(f"{name} {_short(value)}" for name, value in fields.items() if value not in ("", []))


def _short(value: object) -> str:
    if not isinstance(value, list):
        return str(value)
    words = ["=".join(map(str, each)) if isinstance(each, list) else str(each) for each in value[:3]]
    return " ".join(words) + (f" and {len(value) - 3} more" if len(value) > 3 else "")
