"""`uavpipe annotate`: the labelling app, the log of labels, and exchange with other tools."""

import getpass
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.annotate.serve import serve
from pipeline.cli.annotate.suggestions import embed, retrain
from pipeline.cli.options import LABELLED_WORKSPACE, PATH

if TYPE_CHECKING:
    from annotate.exchange.records import Clip
    from annotate.log.store import LabelStore
    from annotate.operations import Operation

_BY_SUFFIX = {".jsonl": "log", ".txt": "mot", ".json": "coco", ".xml": "cvat"}
_FORMATS = "log for .jsonl, mot for .txt, coco for .json, cvat for .xml"
_FLIGHT = click.option("--flight", metavar="NAME", help="Name the flight of the file.  [default: the only one]")


@click.group()
def annotate() -> None:
    """Label identities in the browser, and exchange labels with other tools."""


for command in (serve, embed, retrain):
    annotate.add_command(command)


@annotate.command("log")
@LABELLED_WORKSPACE
@click.option("--last", type=click.IntRange(1), metavar="N", help="List only the last N.")
@click.option(
    "--recover", is_flag=True, help="Rebuild damaged labels from their text; stop the labelling app first."
)
def show_log(workspace: Path, last: int | None, recover: bool) -> None:
    """List every operation of the log: number, time, user and content."""
    from annotate.log.store import LABELS, LabelStore

    if recover:
        _recover(workspace / LABELS)
        return
    with LabelStore(workspace / LABELS, write=False) as store:
        for entry in store.entries[-last:] if last else store.entries:
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
@click.option("--format", "form", type=click.Choice([*_BY_SUFFIX.values()]), help=f"Format.  [default: {_FORMATS}]")
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
@click.option("--same-identities", is_flag=True, help="Take the tracks' numbers as those of the identities here.")
@click.option(
    "--fps",
    type=click.FloatRange(0, min_open=True),
    default=25.0,
    show_default=True,
    help="Frame rate for market.",
)
def import_(
    source: Path,
    workspace: Path,
    flight: str | None,
    form: str | None,
    user: str | None,
    same_identities: bool,
    fps: float,
) -> None:
    """Import labels from SOURCE: an exported log, tracks, or a Market-1501 folder."""
    from annotate.log.store import LABELS, LabelStore
    from annotate.records import flights_with_tracklets, read_tracklets
    from pipeline.relinking.keep import check_carried

    user = user or getpass.getuser()
    form = form or ("market" if source.is_dir() else _format(source))
    if form == "market":
        from pipeline.labelling.import_market import import_market

        counts = import_market(source, workspace, fps, user)
        click.echo(f"{workspace}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items()))
        return
    if form == "log":
        from annotate.log.text import read_log

        entries = read_log(source)
        with LabelStore(workspace / LABELS) as store:
            click.echo(f"{store.path}: {store.take_log(entries):,} new operations")
        return
    check_carried(workspace)
    flights = flights_with_tracklets(workspace)
    with LabelStore(workspace / LABELS) as store:
        for name in flights:
            store.add_flight(name, read_tracklets(workspace, name))
        clips = _read_clips(store, source, form, flight)
        labelled = _label(store, workspace, clips, user, same_identities)
        click.echo(f"{store.path}: {labelled:,} tracklets labelled, from {_counts(clips)}")


def _format(path: Path) -> str:
    if path.suffix not in _BY_SUFFIX:
        raise click.UsageError(f"{path}: unknown format; give --format ({_FORMATS})")
    return _BY_SUFFIX[path.suffix]


def _flight(store: "LabelStore", name: str | None) -> str:
    flights = list(store.state.flights)
    if name is None and len(flights) == 1:
        return flights[0]
    if name not in flights:
        raise click.UsageError(
            f"--flight {name or '?'}: expected one of {', '.join(flights) or 'none: no flights yet'}"
        )
    return name


def _clip(store: "LabelStore", workspace: Path, flight: str) -> "Clip":
    from annotate.exchange.labels import labelled_clip
    from annotate.records import count_frames, read_tracklets

    tracklets = read_tracklets(workspace, flight)
    store.add_flight(flight, tracklets)  # refused if they are not the labelled ones
    return labelled_clip(store.state, flight, tracklets, count_frames(workspace, flight))


def _read_clips(store: "LabelStore", source: Path, form: str, flight: str | None) -> "list[Clip]":
    from annotate.exchange.coco import read_coco_tracks
    from annotate.exchange.cvat import read_cvat
    from annotate.exchange.mot import read_mot

    if form == "coco":
        clips = read_coco_tracks(source)
        if flight is None and len(clips) > 1:
            return [clip for clip in clips if _flight(store, clip.name)]
        if len(clips) > 1:
            return [clip for clip in clips if clip.name == _flight(store, flight)]
        return [replace(clip, name=_flight(store, flight)) for clip in clips]
    return [{"mot": read_mot, "cvat": read_cvat}[form](source, _flight(store, flight))]


def _label(store: "LabelStore", workspace: Path, clips: "Sequence[Clip]", user: str, same_identities: bool) -> int:
    from annotate.exchange.labels import label_from
    from annotate.records import read_tracklets

    return label_from(
        store,
        {clip.name: clip for clip in clips},
        {clip.name: read_tracklets(workspace, clip.name) for clip in clips},
        user=user,
        id=f"import-{uuid.uuid4().hex}",
        same_identities=same_identities,
    )


def _counts(clips: "Sequence[Clip]") -> str:
    tracks = {box.track for clip in clips for box in clip.boxes}
    return f"{sum(len(clip.boxes) for clip in clips):,} boxes of {len(tracks):,} identities"


def _summary(operation: "Operation") -> str:
    if operation.op in ("add_flight", "relink"):
        return f"{operation.flight}: {len(operation.tracklets):,} tracklets"
    fields = operation.model_dump(mode="json", exclude={"op"})
    return ", ".join(f"{name} {_short(value)}" for name, value in fields.items() if value not in ("", []))


def _short(value: object) -> str:
    if not isinstance(value, list):
        return str(value)
    return " ".join(value[:3]) + (f" and {len(value) - 3} more" if len(value) > 3 else "")
