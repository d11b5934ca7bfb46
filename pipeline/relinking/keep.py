"""The boxes that the labels of a flight mean, kept before its detections or tracklets are made again.

The log of labels names a detection by frame and rank, and other detections have other ranks. While the file is
there, the labels wait to be carried over, and nobody may read or change them.
"""

import shlex
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from annotate.errors import AnnotateError
from annotate.locks import lock
from annotate.log.store import LABELS, LabelStore
from annotate.log.text_log import TextLog
from annotate.operations import AddFlight, Mark, Relink, Seen, flight_of, write_operation
from annotate.records import Box
from pipeline.chain.table import DETECT, TRACKS
from pipeline.errors import PipelineError
from pipeline.words import counted
from pipeline.workspace.atomic import atomic_file
from pipeline.workspace.folders import BOXES, video_words
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.promises import read_columns
from pipeline.workspace.stage import Stage

_LOCK = ".labelling"  # in the workspace: shared by labelling apps, taken alone to carry labels over
_KEY = b"uavpipe.linked"
_SIDES = ("x1", "y1", "x2", "y2")
_WAIT_S = 2.0  # for another run, which carries over the labels of another flight
_WAYS_OUT = "use the settings and weights of before, or choose another --workspace"
_alone = threading.Lock()  # among the threads of this process


@contextmanager
def serving(workspace: Path) -> Iterator[None]:
    """Keep the labels of `workspace` from being carried over until the end of the `with`.

    Raises:
        PipelineError: some still wait for it.
        AnnotateError: the file system has no locks.

    """
    if not workspace.is_dir():
        yield  # no labels either
        return
    with (workspace / _LOCK).open("a+") as handle:
        lock(handle, workspace, shared=True)
        check_carried(workspace)
        yield


@contextmanager
def without_labelling(workspace: Path) -> Iterator[None]:
    """Keep the labelling app from being started.

    Raises:
        PipelineError: it is running.
        AnnotateError: the file system has no locks.

    """
    with _alone, (workspace / _LOCK).open("a+") as handle:
        until = time.monotonic() + _WAIT_S
        while True:
            try:
                lock(handle, workspace, wait=False)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise PipelineError(
                        f"{workspace / LABELS}: the labelling app is open, and labels have to be carried over to "
                        f"new tracklets; stop it and run again, or {_WAYS_OUT}"
                    ) from None
                time.sleep(0.05)
        yield


def check_carried(workspace: Path) -> None:
    """Check that no flight of `workspace` waits for its labels.

    Raises:
        PipelineError: one does; says which command carries them over.

    """
    waiting = next(iter(sorted(workspace.glob(f"*/{BOXES}"))), None)
    if waiting is not None:
        raise PipelineError(
            f"{waiting.parent}: its tracklets are being made again and have not got their labels yet; "
            f"first: uavpipe tracks {shlex.join(video_words(waiting.parent))} --workspace {workspace}"
        )


def keep_boxes(flight: Path, stages: Sequence[Stage], stale: Sequence[Stage]) -> None:
    """Keep what the labels of a flight mean, where running `stale` would make it something else.

    Args:
        flight: its folder, which the caller has locked.
        stages: of the flight, as the configuration wants them.
        stale: those of them that are about to run.

    Raises:
        PipelineError: the labelling app is open, or new detections would replace those of labelled tracklets that
            cannot be read.

    """
    if not _touches_labels(flight, stale):
        return
    with without_labelling(flight.parent), LabelStore(flight.parent / LABELS, create=False) as store:
        linked = store.linked(flight.name)
        if linked is None or read_kept(flight, linked) is not None:
            return
        boxes = _labelled(flight, linked, stages)
        if boxes is not None:
            _write(flight, linked, boxes)


def check_same(flight: Path, tracks: Stage, link: Callable[[], pd.DataFrame]) -> None:
    """Check, where no boxes were kept, that the new tracklets of a flight will be those that were labelled.

    Args:
        flight: its folder, which the caller has locked.
        tracks: the stage that is about to run; nothing of it is overwritten yet.
        link: gives the new tracklets: columns tracklet, frame, rank.

    Raises:
        PipelineError: the labelled tracklets are gone, and others would come out; or the kept boxes are damaged.

    """
    if tracks.is_current() or not _has_labels(flight.parent):
        return
    with LabelStore(flight.parent / LABELS, create=False) as store:
        linked, decided = store.linked(flight.name), _decided(store, flight.name)
    if linked is None or read_kept(flight, linked) is not None:
        return
    before = (tracks.folder.manifest() or {}).get("inputs", {}).get(DETECT.name)
    # The same frames and ranks of other detections are other persons.
    replaced = before not in (None, tracks.inputs[DETECT.name]) and _has_linked(flight, linked)
    if replaced or _grouped(link()) != _sets(linked):
        raise PipelineError(f"{flight}: its {_gone(decided)}, and others come out now; {_WAYS_OUT}")


def _gone(count: int) -> str:
    return f"{counted(count, 'labelled tracklet is', 'labelled tracklets are')} gone"


def outlook(flight: Path, stages: Sequence[Stage], stale: Sequence[Stage]) -> str:
    """What `keep_boxes` and the stages after it would do with the labels, for people; "" where there are none."""
    if not _touches_labels(flight, stale):
        return ""
    try:
        with without_labelling(flight.parent), LabelStore(flight.parent / LABELS, create=False) as store:
            linked, decided = store.linked(flight.name), _decided(store, flight.name)
            if linked is None or not decided:
                return ""
            if read_kept(flight, linked) is None and _labelled(flight, linked, stages) is None:
                return f"{_gone(decided)}; it would be refused unless the same come out"
            return f"labels of {counted(decided, 'tracklet')} are carried over"
    except (AnnotateError, PipelineError) as error:
        return f"would be refused: {error}"


def read_kept(flight: Path, linked: AddFlight | Relink) -> dict[Seen, Box] | None:
    """The boxes of the detections of `linked`; None where none were kept, or for other tracklets.

    Raises:
        PipelineError: they are damaged.

    """
    try:
        table = pq.read_table(flight / BOXES, page_checksum_verification=True)
    except FileNotFoundError:
        return None
    except (OSError, pa.ArrowException):
        raise PipelineError(
            f"{flight / BOXES}: damaged, and labels have to be carried over by it; restore it from a copy, or "
            "choose another --workspace"
        ) from None
    if (table.schema.metadata or {}).get(_KEY) != _stamp(linked):
        return None
    boxes = zip(*(table[side].to_pylist() for side in _SIDES), strict=True)
    seen = map(Seen, table["frame"].to_pylist(), table["rank"].to_pylist())
    return dict(zip(seen, boxes, strict=True))


def _touches_labels(flight: Path, stale: Sequence[Stage]) -> bool:
    relinks = any(stage.name in (*TRACKS.needs, TRACKS.name) for stage in stale)
    return relinks and _has_labels(flight.parent)


def _has_labels(workspace: Path) -> bool:
    """Whether there are labels, be it in their text alone: opening them says then how they are recovered."""
    return (workspace / LABELS).is_file() or TextLog(workspace / LABELS).last()[0] > 0


def _labelled(flight: Path, linked: AddFlight | Relink, stages: Sequence[Stage]) -> dict[Seen, Box] | None:
    """The boxes of the tracklets that were labelled; None where those are gone.

    Raises:
        PipelineError: they cannot be read, and other detections would make sure that they never can.

    """
    found = (StageFolder(flight / DETECT.folder).manifest() or {}).get("fingerprint")
    try:
        contents, boxes = _contents(flight), _boxes(flight)
    except PipelineError as error:
        if found and any(stage.name == DETECT.name and stage.fingerprint != found for stage in stages):
            raise PipelineError(f"{error}: the tracklets have labels; {_WAYS_OUT}") from None
        return None
    made_from = (StageFolder(flight / TRACKS.folder).manifest() or {}).get("inputs", {}).get(DETECT.name)
    if contents != _sets(linked) or made_from not in (None, found):
        return None
    seen = (Seen(*each) for content in linked.tracklets.values() for each in content)
    return {each: boxes[each] for each in seen} if set().union(*contents.values()) <= boxes.keys() else None


def _has_linked(flight: Path, linked: AddFlight | Relink) -> bool:
    """Whether the table of tracklets has those that were labelled."""
    try:
        return _contents(flight) == _sets(linked)
    except PipelineError:
        return False


def _sets(linked: AddFlight | Relink) -> dict[int, set[tuple[int, int]]]:
    return {number: set(content) for number, content in linked.tracklets.items()}


def _contents(flight: Path) -> dict[int, set[tuple[int, int]]]:
    """The detections of each tracklet, by frame and rank."""
    return _grouped(read_columns(flight / TRACKS.output, ("tracklet", "frame", "rank")))


def _grouped(rows: pd.DataFrame | Mapping[str, Any]) -> dict[int, set[tuple[int, int]]]:
    contents: dict[int, set[tuple[int, int]]] = defaultdict(set)
    columns = (rows[name].tolist() for name in ("tracklet", "frame", "rank"))
    for number, frame, rank in zip(*columns, strict=True):
        contents[number].add((frame, rank))
    return contents


def _boxes(flight: Path) -> dict[tuple[int, int], Box]:
    """The boxes of all detections, by frame and rank."""
    found = read_columns(flight / DETECT.output, ("frame", "rank", *_SIDES))
    boxes = zip(*(found[side].tolist() for side in _SIDES), strict=True)
    return dict(zip(zip(found["frame"].tolist(), found["rank"].tolist(), strict=True), boxes, strict=True))


def _decided(store: LabelStore, flight: str) -> int:
    labels = store.state.labels.items()
    return sum(flight_of(name) == flight and label not in (Mark.OPEN, Mark.SKIPPED) for name, label in labels)


def _write(flight: Path, linked: AddFlight | Relink, boxes: Mapping[Seen, Box]) -> None:
    columns = {"frame": [each.frame for each in boxes], "rank": [each.rank for each in boxes]}
    sides = {side: pa.array([box[at] for box in boxes.values()], pa.float64()) for at, side in enumerate(_SIDES)}
    table = pa.table({**columns, **sides}).replace_schema_metadata({_KEY: _stamp(linked)})
    with atomic_file(flight / BOXES) as temporary:
        pq.write_table(table, temporary, write_page_checksum=True)


def _stamp(linked: AddFlight | Relink) -> bytes:
    return sha256(write_operation(linked).encode()).hexdigest().encode()
