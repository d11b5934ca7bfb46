"""Carrying the labels of a flight over to its new tracklets: written to the log, all or nothing."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from annotate.errors import Refused
from annotate.files import read_text, write_text
from annotate.log.state import Label, State
from annotate.log.store import LABELS, Decide, LabelStore, contents_of
from annotate.operations import (
    MAX_NAME,
    AddFlight,
    Assign,
    Mark,
    Relink,
    Seen,
    SetMark,
    Split,
    flight_of,
    tracklet_id,
)
from annotate.records import Box, Tracklet, read_tracklets
from pipeline.relinking.keep import read_kept, without_labelling
from pipeline.relinking.match import Known, Piece, Place, carry
from pipeline.workspace.folders import BOXES

NOT_CARRIED = "labels_not_carried.csv"  # in the workspace, beside the labels
_COLUMNS = ("operation", "flight", "which", "tracklet", "first_frame", "last_frame", "label", "reason")
_USER = "uavpipe"
_Row = dict[str, str | int]


@dataclass(frozen=True)
class Carried:
    """What became of the labels of a flight.

    Attributes:
        labels: new tracklets that got a label.
        lost: old tracklets whose label no new one got.
        undecided: new tracklets without a label, although they share detections with labelled ones.

    """

    labels: int
    lost: int
    undecided: int


def carry_over(flight: Path) -> Carried | None:
    """Give the new tracklets of a flight the labels of those that they replace, where labels wait for it.

    What cannot be carried over is listed in `NOT_CARRIED`. Killed anywhere, the next call ends in the same state.

    Args:
        flight: its folder, which the caller has locked; its tracklets are finished.

    Returns:
        None where the tracklets are the ones that were labelled.

    Raises:
        PipelineError: the labelling app is open, or the kept boxes are damaged.
        AnnotateError: a table or the labels are damaged.

    """
    kept = flight / BOXES
    if not kept.exists():
        return None
    if not (flight.parent / LABELS).is_file():
        kept.unlink()
        return None
    with without_labelling(flight.parent), LabelStore(flight.parent / LABELS, create=False) as store:
        linked = store.linked(flight.name)
        found = _carry_over(flight, store, linked) if linked is not None else None
        kept.unlink()
    return found


def _carry_over(flight: Path, store: LabelStore, linked: AddFlight | Relink) -> Carried | None:
    tracklets = read_tracklets(flight.parent, flight.name)
    contents, boxes = contents_of(tracklets), read_kept(flight, linked)
    now = {Seen(each.frame, each.rank): each.box for tracklet in tracklets for each in tracklet.detections}
    if boxes is None or (contents == linked.tracklets and now == boxes):
        return None  # without boxes: a run was killed when it had carried them over
    sequence = len(store.entries) + 1
    old = _known(store.state, flight.name, linked, boxes)
    pieces = carry(old, _places(tracklets))
    lost = _lost(sequence, store.state, flight.name, pieces)
    undecided = [_undecided(sequence, flight.name, piece) for piece in pieces if piece.reason]
    # Listed first: after the decisions, nothing would tell a killed run what they left out.
    _list(flight.parent / NOT_CARRIED, sequence, [*lost, *undecided])
    authors = {name: _author(store.labeller(name)) for name in {known.tracklet for _, known in old}}
    identifier = f"relink-{sha256(flight.name.encode()).hexdigest()[:16]}-{sequence}"
    with store.together(user=_USER, id=identifier) as decide:
        if len(store.entries) >= sequence:
            raise Refused(f"{store.path}: somebody decided meanwhile; run again")
        decide(Relink(flight=flight.name, tracklets=contents))
        _decide(decide, flight.name, pieces, authors)
    labels = sum(piece.label not in (Mark.OPEN, Mark.SKIPPED) for piece in pieces)
    return Carried(labels, len(lost), len(undecided))


def _known(
    state: State, flight: str, linked: AddFlight | Relink, boxes: Mapping[Seen, Box]
) -> list[tuple[Place, Known]]:
    numbers = {Seen(*each): number for number, content in linked.tracklets.items() for each in content}
    return [
        (Place(seen.frame, boxes[seen]), Known(name, state.labels[name], numbers[seen]))
        for name, content in state.tracklets.items()
        if flight_of(name) == flight
        for seen in content
    ]


def _places(tracklets: Iterable[Tracklet]) -> dict[int, list[Place]]:
    return {each.number: [Place(one.frame, one.box) for one in each.detections] for each in tracklets}


def _decide(decide: Decide, flight: str, pieces: Sequence[Piece], authors: Mapping[str, str]) -> None:
    """Cut the new tracklets where a labeller had, and label the pieces, those of one labeller and label at once."""
    together: dict[tuple[str, Label], list[str]] = defaultdict(list)
    name, number = "", -1
    for piece in pieces:
        if piece.number == number:
            name = str(decide(Split(tracklet=name, frame=piece.first)))
        else:
            name, number = tracklet_id(flight, piece.number), piece.number
        if piece.label is not Mark.OPEN:
            by = min(authors[each.tracklet] for each in piece.known if each and each.label == piece.label)
            together[by, piece.label].append(name)
    for (by, label), names in together.items():
        if isinstance(label, Mark):
            decide(SetMark(tracklets=tuple(names), mark=label), by=by)
        else:
            decide(Assign(tracklets=tuple(names), identity=label), by=by)


def _author(labeller: str | None) -> str:
    """The author of a label that is carried over: it says from whom."""
    if labeller is None or labeller.startswith(_USER):
        return labeller or _USER
    return f"{_USER} for {labeller}"[:MAX_NAME].strip()


def _lost(sequence: int, state: State, flight: str, pieces: Sequence[Piece]) -> list[_Row]:
    """The old tracklets whose label no new one got for their detections."""
    met = {each.tracklet for piece in pieces for each in piece.known if each}
    got = {each.tracklet for piece in pieces for each in piece.known if each and each.label == piece.label}
    rows: list[_Row] = []
    for name, content in state.tracklets.items():
        label = state.labels[name]
        if flight_of(name) == flight and label not in (Mark.OPEN, Mark.SKIPPED) and name not in got:
            reason = "its detections are in new tracklets without that label" if name in met else "no new tracklet"
            frames = {"first_frame": content[0].frame, "last_frame": content[-1].frame}
            place: _Row = {"operation": sequence, "flight": flight, "which": "old", "tracklet": name, **frames}
            rows.append({**place, "label": str(label), "reason": reason})
    return rows


def _undecided(sequence: int, flight: str, piece: Piece) -> _Row:
    frames = {"first_frame": piece.first, "last_frame": piece.last}
    name = tracklet_id(flight, piece.number)
    place: _Row = {"operation": sequence, "flight": flight, "which": "new", "tracklet": name, **frames}
    return {**place, "label": "", "reason": piece.reason}


def _list(path: Path, sequence: int, rows: Sequence[_Row]) -> None:
    """Add `rows` to the list in `path`; what a killed run listed there, and then did not do, goes."""
    before: list[_Row] = []
    if path.exists():
        for row in csv.DictReader(io.StringIO(read_text(path))):
            if str(row.get("operation")).isdecimal() and int(row["operation"]) < sequence:
                before.append({name: row.get(name) or "" for name in _COLUMNS})
    if not before and not rows:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS)
    writer.writeheader()
    writer.writerows([*before, *rows])
    write_text(path, text.getvalue())
