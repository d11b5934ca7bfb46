"""The selection to erase: everything in a workspace that belongs to an identity."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from annotate.log.store import LabelStore
from annotate.operations import Seen, flight_of
from pipeline.boxes import Tracked, iou
from pipeline.chain.table import DETECT, FRAMES
from pipeline.errors import PipelineError
from pipeline.privacy.redact import Boxes, follow
from pipeline.workspace.tables import read_rows

SAME = 0.5  # IoU from which a box without a tracklet is the same person's
BOX = ["x1", "y1", "x2", "y2"]


@dataclass(frozen=True)
class Part:
    """The part of a flight that belongs to a person.

    Attributes:
        tracklets: their names.
        gone: the detections, including those without a tracklet that cover the same person.
        ranks: new ranks of the other detections of these frames, where they change: ranks have no gaps.
        boxes: of the person, also between detections: float32 (n, 4) xyxy by frame.

    """

    tracklets: tuple[str, ...]
    gone: frozenset[Seen]
    ranks: dict[Seen, int]
    boxes: dict[int, Boxes]


@dataclass(frozen=True)
class Selection:
    """An identity and its data.

    Attributes:
        identity: its number.
        name: "" where none was given.
        flights: by name, those that show it.

    """

    identity: int
    name: str
    flights: dict[str, Part]


def select_identity(workspace: Path, store: LabelStore, identity: int) -> Selection:
    """Everything in `workspace` that belongs to `identity`.

    Raises:
        PipelineError: there is no such identity.

    """
    state = store.state
    if identity not in state.exists:
        known = ", ".join(map(str, sorted(state.exists)[:20])) or "none"
        raise PipelineError(f"{store.path}: there is no identity {identity}; known: {known}")
    members: dict[str, list[str]] = {}
    for name in sorted(state.members.get(identity, ())):
        members.setdefault(flight_of(name), []).append(name)
    tracked = {(flight_of(name), seen) for name, content in state.tracklets.items() for seen in content}
    return Selection(
        identity,
        state.identities[identity],
        {
            flight: _part(
                workspace / flight,
                {name: state.tracklets[name] for name in names},
                {seen for of, seen in tracked if of == flight},
            )
            for flight, names in members.items()
        },
    )


def _part(flight: Path, tracklets: dict[str, tuple[Seen, ...]], tracked: set[Seen]) -> Part:
    table = flight / DETECT.output
    rows = read_rows(table, ["frame", "rank", "pts_s", *BOX])
    if rows is None:
        raise PipelineError(f"{table}: no such table; make it again with `uavpipe detect`")
    own = {seen: number for number, content in enumerate(tracklets.values()) for seen in content}
    keys = [Seen(frame, rank) for frame, rank in zip(rows["frame"].tolist(), rows["rank"].tolist(), strict=True)]
    mine = rows.assign(tracklet=[own.get(key, -1) for key in keys])
    mine = mine[mine["tracklet"] >= 0]
    seen_at = {
        int(those["frame"].iloc[0]): Tracked(those[BOX].to_numpy(np.float32), those["tracklet"].to_numpy(np.int64))
        for _, those in mine.groupby("frame")
    }
    boxes = follow(seen_at, _times(flight, rows))
    gone = set(own)
    for key, box in zip(keys, rows[BOX].to_numpy(np.float32), strict=True):
        if key not in tracked and key.frame in boxes and iou(box[None], boxes[key.frame]).max() >= SAME:
            gone.add(key)
    return Part(tuple(tracklets), frozenset(gone), _ranks(keys, gone), boxes)


def _times(flight: Path, detections: pd.DataFrame) -> dict[int, float]:
    found = read_rows(flight / FRAMES.output, ["frame", "pts_s"])
    rows = detections if found is None else found[["frame", "pts_s"]].dropna()
    return dict(zip(rows["frame"].tolist(), rows["pts_s"].tolist(), strict=True))


def _ranks(keys: list[Seen], gone: set[Seen]) -> dict[Seen, int]:
    touched = {seen.frame for seen in gone}
    by_frame: dict[int, list[Seen]] = {}
    for key in sorted(keys):
        if key.frame in touched and key not in gone:
            by_frame.setdefault(key.frame, []).append(key)
    numbered = ((key, rank) for those in by_frame.values() for rank, key in enumerate(those))
    return {key: rank for key, rank in numbered if key.rank != rank}
