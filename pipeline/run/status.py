"""The state of a workspace: what is finished, at work, stale or failed, and what to do next; nothing is changed.

Manifests, the log of labels and two columns of the crops are read, so that the answer comes at once. Whether the
files of a stage are undamaged, `uavpipe verify` tells; what other settings would change, `uavpipe run --dry-run`.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotate.errors import AnnotateError
from annotate.log.store import LABELS, LabelStore
from annotate.operations import Mark, Seen, flight_of
from pipeline.chain.table import (
    CLIP,
    CROPS,
    DATASET,
    EVALUATE,
    REPORT,
    SEGMENT_STAGES,
    TRACKS,
    TRAIN,
    ChainStage,
)
from pipeline.headcount import Headcount, read_headcount
from pipeline.run.contents import changed_inputs, flight_folders
from pipeline.run.failures import failure
from pipeline.words import counted
from pipeline.workspace.entries import MANIFEST
from pipeline.workspace.folders import BOXES, parts_of, read_card, stamp_of, video_words
from pipeline.workspace.locks import holder
from pipeline.workspace.manifest import StageFolder

FINISHED, STALE, UNFINISHED, MISSING = "finished", "stale", "unfinished", "missing"
_OF_FLIGHT = (*SEGMENT_STAGES, TRACKS)
_WAITING = (Mark.OPEN, Mark.SKIPPED)


@dataclass(frozen=True)
class StageState:
    """A stage: its name; finished, stale, unfinished or missing; and why it is stale or how far it is."""

    stage: str
    state: str
    detail: str = ""


@dataclass(frozen=True)
class FlightState:
    """A flight.

    Attributes:
        flight: its name.
        video: path of its video; "" where it is not known.
        running: the process that is at work on it; "" where none is.
        failed: the error of the last run; "" where it ended well.
        stages: in the order of the chain, up to the tracklets.

    """

    flight: str
    video: str
    running: str
    failed: str
    stages: tuple[StageState, ...]

    @property
    def is_finished(self) -> bool:
        """Whether all stages are finished and nothing failed."""
        return not self.failed and all(stage.state == FINISHED for stage in self.stages)


@dataclass(frozen=True)
class LabelsState:
    """The labels.

    Attributes:
        labelled: number of tracklets that have one.
        tracklets: number of those that can have one, since a crop shows them.
        problem: why they cannot be read; "" where they can.

    """

    labelled: int
    tracklets: int
    problem: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether there are tracklets, and all have a label."""
        return 0 < self.tracklets == self.labelled


@dataclass(frozen=True)
class WorkspaceState:
    """A workspace.

    Attributes:
        workspace: the folder.
        running: the process that is at work on all of it, as on a report; "" where none is.
        flights: by name.
        labels: see there.
        people: how many different people there are; None where they were not counted since the last change.
        stages: what is made of all flights: data set, evaluation, report.
        next: what to do: sentences, and commands that begin with `uavpipe`.

    """

    workspace: Path
    running: str
    flights: tuple[FlightState, ...]
    labels: LabelsState
    people: Headcount | None
    stages: tuple[StageState, ...]
    next: tuple[str, ...]


def state_of(workspace: Path) -> WorkspaceState:
    """The state of `workspace`.

    Raises:
        PipelineError: there is no flight, or an erasure was interrupted there.

    """
    folders = flight_folders(workspace)
    flights = tuple(_flight(folder) for folder in folders)
    labels, chain = _labels(workspace, folders)
    running = holder(workspace)
    stages = tuple(_after_labels(workspace, chain))
    steps = tuple(_next(workspace, running, flights, labels, {each.stage: each for each in stages}))
    return WorkspaceState(workspace, running, flights, labels, read_headcount(workspace, chain), stages, steps)


def _flight(folder: Path) -> FlightState:
    card = read_card(folder)
    manifests = {stage: StageFolder(folder / stage.folder).manifest() for stage in _OF_FLIGHT}
    stages = tuple(_stage(folder, stage, manifests, card) for stage in _OF_FLIGHT)
    return FlightState(folder.name, str((card or {}).get("video", "")), holder(folder), failure(folder), stages)


def _stage(
    folder: Path,
    stage: ChainStage,
    manifests: Mapping[ChainStage, Mapping[str, Any] | None],
    card: Mapping[str, Any] | None,
) -> StageState:
    manifest, place = manifests[stage], folder / stage.folder
    if manifest is None:
        parts = sum(1 for _ in (folder / stage.output).glob("part-*.parquet"))
        if parts:
            return StageState(stage.name, UNFINISHED, f"{counted(parts, 'segment')} done")
        if (folder / stage.output).exists() and card is None:  # imported flights have tables and no manifests
            return StageState(stage.name, FINISHED, "imported")
        begun = place.is_dir() and any(place.iterdir())
        return StageState(stage.name, UNFINISHED if begun else MISSING)
    gone = next((name for name in manifest["files"] if not (place / name).exists()), None)
    changed = f"{gone} is gone" if gone else changed_inputs(stage, manifests, card) or _other_video(card)
    return StageState(stage.name, STALE if changed else FINISHED, changed or _counts(manifest))


def _other_video(card: Mapping[str, Any] | None) -> str:
    """That the video changed since it was read; a video that is gone makes nothing stale."""
    if card is None or "stamp" not in card:
        return ""
    with suppress(OSError):
        return "" if stamp_of(parts_of(card)) == card["stamp"] else "other video"
    return ""


def _counts(manifest: Mapping[str, Any]) -> str:
    counts = {name: value for name, value in manifest["counts"].items() if name != "last_s"}
    return ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in counts.items() if value)


def _labels(workspace: Path, folders: Sequence[Path]) -> tuple[LabelsState, str]:
    """The labels, and the hash of their log, "" where there is none."""
    linked = [folder for folder in folders if (folder / TRACKS.output).exists()]
    if not (workspace / LABELS).exists():
        return LabelsState(0, sum(map(_count_tracklets, linked))), ""
    waiting = next((folder.name for folder in folders if (folder / BOXES).exists()), None)
    problem = "" if waiting is None else f"labels of {waiting} wait for its new tracklets"
    try:
        with LabelStore(workspace / LABELS, write=False) as store:
            state, chain = store.state, store.chain
    except AnnotateError as error:
        return LabelsState(0, 0, " ".join(str(error).split())), ""
    shown = {folder.name: _with_crop(folder) for folder in linked}
    labels = [
        label
        for name, label in state.labels.items()
        if any(seen in shown.get(flight_of(name), ()) for seen in state.tracklets[name])
    ]
    others = [folder for folder in linked if folder.name not in state.flights]
    labelled = sum(label not in _WAITING for label in labels)
    return LabelsState(labelled, len(labels) + sum(map(_count_tracklets, others)), problem), chain


def _count_tracklets(folder: Path) -> int:
    return int((StageFolder(folder / TRACKS.folder).manifest() or {"counts": {}})["counts"].get("tracklets", 0))


def _with_crop(folder: Path) -> set[Seen]:
    """The detections of a flight that have a crop."""
    import pyarrow.parquet as pq

    table = folder / CROPS.output
    found: set[Seen] = set()
    for path in sorted(table.glob("part-*.parquet")) if table.is_dir() else [table]:
        with suppress(OSError, ValueError):  # damaged: `uavpipe verify` names it
            columns = pq.ParquetFile(path).read(["frame", "rank"], use_threads=False).to_pydict()
            found |= set(map(Seen, columns["frame"], columns["rank"]))
    return found


def _after_labels(workspace: Path, chain: str) -> Iterator[StageState]:
    folder = workspace / DATASET.folder
    manifest = StageFolder(folder).manifest()
    if manifest is None:
        yield StageState(DATASET.name, MISSING)
    else:
        changed = _other_labels(workspace, manifest["inputs"], chain)
        yield StageState(DATASET.name, STALE if changed else FINISHED, changed or _counts(manifest))
    evaluations = sorted((workspace / EVALUATE.folder).glob(f"*/test/{MANIFEST}"))
    trained = sorted((workspace / TRAIN.folder).glob("*/last.safetensors"))
    if trained:
        yield StageState(TRAIN.name, FINISHED, ", ".join(path.parent.name for path in trained))
    yield StageState(
        EVALUATE.name,
        FINISHED if evaluations else MISSING,
        ", ".join(path.parents[1].name for path in evaluations),
    )
    page = workspace / REPORT.output
    if not page.exists():
        yield StageState(REPORT.name, MISSING)
    elif _has_newer(workspace, page):
        yield StageState(REPORT.name, STALE, "results are newer")
    else:
        yield StageState(REPORT.name, FINISHED, str(page))


def _other_labels(workspace: Path, inputs: Mapping[str, Any], chain: str) -> str:
    """What a data set was made from, see `state_of_inputs`, that is another by now; "" where nothing is."""
    if inputs.get("labels") != chain:
        return "other labels"
    for flight, before in (inputs.get("flights") or {}).items():
        folders = (StageFolder(workspace / flight / stage.folder) for stage in (CROPS, TRACKS))
        if [(folder.manifest() or {}).get("fingerprint") for folder in folders] != before:
            return f"other crops or tracklets of {flight}"
    return ""


def _has_newer(workspace: Path, page: Path) -> bool:
    """Whether a result was written after the report `page`."""
    results = (*workspace.glob(f"[!.]*/*/{MANIFEST}"), *workspace.glob(f"[!.]*/{MANIFEST}"), workspace / LABELS)
    written = page.stat().st_mtime
    return any(
        path.exists() and path.stat().st_mtime > written for path in results if CLIP.folder not in path.parts
    )


def _next(
    workspace: Path,
    running: str,
    flights: Sequence[FlightState],
    labels: LabelsState,
    stages: Mapping[str, StageState],
) -> Iterator[str]:
    given = f"--workspace {shlex.quote(str(workspace))}"
    at_work = [each for each in flights if each.running]
    if running or at_work:
        yield f"wait: {running or at_work[0].running} is at work"
        return
    for flight in flights:
        if not flight.is_finished and flight.video:
            words = shlex.join(video_words(workspace / flight.flight))
            first = "repair what failed, then " if flight.failed else ""
            yield f"{first}bring {flight.flight} up to date, with the same settings:"
            yield f"uavpipe run {words} {given}"
    if labels.problem:
        yield "repair the labels, see above"
    elif labels.tracklets and not labels.is_complete:
        yield f"label {counted(labels.tracklets - labels.labelled, 'tracklet')}:"
        yield f"uavpipe label {given}"
    elif labels.is_complete and stages[DATASET.name].state != FINISHED:
        yield "make the data set:"
        yield f"uavpipe dataset {given}"
    if stages[REPORT.name].state == FINISHED:
        yield f"look at {stages[REPORT.name].detail}"
    else:
        yield "write the report:"
        yield f"uavpipe report {given}"
