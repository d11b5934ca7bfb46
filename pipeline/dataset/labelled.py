"""The labelled crops of a workspace: identity, provenance and labeller of each."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from annotate.log.state import Label, State
from annotate.log.store import LabelStore
from annotate.operations import Mark, Seen, flight_of
from annotate.records import Detection, read_tracklets
from pipeline.chain.table import CROPS, DETECT, FRAMES, TRACKS, ChainStage
from pipeline.stages.crops import checksums
from pipeline.workspace.folders import read_card
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.tables import read_rows

UNKNOWN = -1  # no checksum: of a crop that was imported, or cut before there were any
JUNK, DISTRACTOR = -1, 0  # as Market-1501 numbers them
_NOBODY = {Mark.JUNK: JUNK, Mark.DISTRACTOR: DISTRACTOR}

COLUMNS = {
    "identity": "int64",
    "person": "str",
    "camera": "int64",
    "flight": "str",
    "tracklet": "str",
    "frame": "int64",
    "rank": "int64",
    "pts_s": "float64",
    "altitude_m": "float64",
    "x1": "float64",
    "y1": "float64",
    "x2": "float64",
    "y2": "float64",
    "height": "float64",
    "score": "float64",
    "sharpness": "float64",
    "crop": "str",
    "crc32": "int64",
    "suspect": "bool",
    "video": "str",
    "weights": "str",
    "decision": "int64",
    "labeller": "str",
    "decided": "str",
}


_ALTITUDE = "altitude_m"
_AT = ["flight", "frame", _ALTITUDE]


@dataclass(frozen=True, eq=False)
class Labelled:
    """The labelled crops.

    Attributes:
        crops: a row for each crop of an identity, of junk or of a distractor, with `COLUMNS`.
        left_out: number of crops that are not among them, by reason.

    """

    crops: pd.DataFrame
    left_out: Counter[str]


def read_labelled(workspace: Path, store: LabelStore) -> Labelled:
    """The crops of all flights that are labelled in `store`, in order of flight, frame and rank.

    A flight's number (`camera`) is its place in the log of the labels, from 1. The log only grows, and so no flight
    is ever renumbered. An identity's number is the one it has there.

    Raises:
        AnnotateError: a table is missing or damaged, or tracklets are not the labelled ones.
        PipelineError: the table of crops is damaged.

    """
    rows: list[tuple[Any, ...]] = []
    left_out: Counter[str] = Counter()
    for camera, flight in enumerate(list(store.state.flights), start=1):
        detections = _detections(store, workspace, flight)
        cut = _crops_of(workspace, flight)
        known = checksums(cut)
        with store.reading() as state:
            rows += _rows(store, state, _origin(workspace, flight), camera, detections, known, left_out)
        left_out["without_tracklet"] += len(cut) - sum(each.crop is not None for each in detections.values())
    left_out["flight_without_labels"] = sum(
        len(_crops_of(workspace, flight)) for flight in _flights(workspace) if flight not in store.state.flights
    )
    crops = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != _ALTITUDE])
    altitudes = [pd.DataFrame(columns=_AT), *(_altitudes(workspace, flight) for flight in store.state.flights)]
    crops = crops.merge(pd.concat(altitudes), on=["flight", "frame"], how="left")[list(COLUMNS)].astype(COLUMNS)
    return Labelled(crops.sort_values(["camera", "frame", "rank"], ignore_index=True), left_out)


def _altitudes(workspace: Path, flight: str) -> pd.DataFrame:
    """Of the drone in each frame of the flight, metres above take-off; no rows where the flight has no frames."""
    rows = read_rows(workspace / flight / FRAMES.output)
    if rows is None or _ALTITUDE not in rows:
        return pd.DataFrame(columns=_AT)
    return rows.assign(flight=flight)[_AT]


def state_of_inputs(workspace: Path, store: LabelStore) -> dict[str, Any]:
    """The inputs of the labelled crops: the hash of the log, and the fingerprints of the stages below it."""
    return {
        "labels": store.chain,
        "flights": {
            flight: [_manifest(workspace / flight, stage).get("fingerprint") for stage in (CROPS, TRACKS)]
            for flight in _flights(workspace)
        },
    }


def _flights(workspace: Path) -> list[str]:
    found = workspace.glob(f"[!.]*/{CROPS.output}")  # a hidden folder is unfinished, or a trash
    return sorted(path.parents[1].name for path in found)


def _detections(store: LabelStore, workspace: Path, flight: str) -> dict[Seen, Detection]:
    tracklets = read_tracklets(workspace, flight)
    store.add_flight(flight, tracklets)  # raises where they are not the labelled ones
    return {Seen(each.frame, each.rank): each for tracklet in tracklets for each in tracklet.detections}


def _rows(
    store: LabelStore,
    state: State,
    origin: tuple[str, str, str],
    camera: int,
    detections: dict[Seen, Detection],
    known: dict[str, int],
    left_out: Counter[str],
) -> Iterator[tuple[Any, ...]]:
    flight, *hashes = origin
    for name, content in state.tracklets.items():
        if flight_of(name) != flight:
            continue
        label = state.labels[name]
        cut = [each for seen in content if (each := detections[seen]).crop is not None]
        if label in (Mark.OPEN, Mark.SKIPPED):
            left_out[str(label)] += len(cut)
            continue
        entry = store.decision(name)
        decided = (entry.sequence, entry.user, entry.time) if entry else (0, "", "")
        for each in cut:
            yield (
                *_person(state, label),
                *(camera, flight, name, each.frame, each.rank, each.time),
                *each.box,
                *(each.box[3] - each.box[1], each.score, each.sharpness),
                *(each.crop, known.get(str(each.crop).removeprefix(f"{flight}/{CROPS.folder}/"), UNKNOWN)),
                each.suspect,
                *hashes,
                *decided,
            )


def _person(state: State, label: Label) -> tuple[int, str]:
    return (_NOBODY[label], "") if isinstance(label, Mark) else (label, state.identities[label])


def _origin(workspace: Path, flight: str) -> tuple[str, str, str]:
    """The flight, and the hashes of its video and of the detector's weights; "" where it was imported as crops."""
    video = (read_card(workspace / flight) or {}).get("sha256", "")
    return flight, video, _manifest(workspace / flight, DETECT).get("inputs", {}).get("weights", "")


def _manifest(flight: Path, stage: ChainStage) -> dict[str, Any]:
    return StageFolder(flight / stage.folder).manifest() or {}


def _crops_of(workspace: Path, flight: str) -> pd.DataFrame:
    rows = read_rows(workspace / flight / CROPS.output, ["crop"])
    return pd.DataFrame({"crop": []}) if rows is None else rows
