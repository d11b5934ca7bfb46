"""Labels from the tracks of another tool, for flights of the workspace."""

import uuid
from collections.abc import Sequence
from pathlib import Path

from annotate.errors import AnnotateError
from annotate.exchange.admit import Admitted, Reading, admit, choose, facts_of, read_clips
from annotate.exchange.labels import MIN_IOU, count_matched, label_from
from annotate.exchange.records import Clip
from annotate.exchange.source import Source, open_source
from annotate.log.store import LABELS, LabelStore
from annotate.records import Tracklet, flights_with_tracklets, read_tracklets
from pipeline.errors import PipelineError
from pipeline.relinking.keep import check_carried
from pipeline.words import counted


def import_tracks(
    path: Path,
    workspace: Path,
    flight: str | None,
    form: str | None,
    reading: Reading,
    *,
    user: str,
    same_identities: bool = False,
) -> list[str]:
    """Label by the tracks in `path`; the lines say what was read, used and left out, and what got a label.

    Args:
        path: the file, or the zip of an export.
        workspace: with the flights.
        flight: of the file; None: the only one, or those that the file's videos are named after.
        form: the format; None: by the suffix.
        reading: what the user says about the file.
        user: the labeller in the log.
        same_identities: as `label_from` takes it.

    Raises:
        AnnotateError: the file cannot be read, does not fit the flight, or matches no detection.
        PipelineError: it is not known which flight the file is of.

    """
    check_carried(workspace)
    names = flights_with_tracklets(workspace)
    tracklets = {name: read_tracklets(workspace, name) for name in names}
    source = open_source(path, form)
    clips = read_clips(source, reading.first_frame)
    found = [
        admit(source, clip, facts_of(workspace, name), reading).for_labels()
        for name, clip in _by_flight(source, clips, names, flight, reading.task)
    ]
    lines = [_account(each, tracklets[each.clip.name]) for each in found]
    with LabelStore(workspace / LABELS) as store:
        for name in names:
            store.add_flight(name, tracklets[name])
        labelled = label_from(
            store,
            {each.clip.name: each.clip for each in found},
            tracklets,
            user=user,
            id=f"import-{uuid.uuid4().hex}",
            same_identities=same_identities,
        )
        return [*lines, f"{store.path}: {counted(labelled, 'tracklet')} labelled"]


def the_flight(flights: Sequence[str], name: str | None) -> str:
    """The flight called `name`, or the only one.

    Raises:
        PipelineError: there is no such flight; lists those that there are.

    """
    if name is None and len(flights) == 1:
        return flights[0]
    if name is None or name not in flights:
        listed = ", ".join(flights) or "none: no flights yet"
        raise PipelineError(f"--flight {name or '?'}: expected one of {listed}")
    return name


def _by_flight(
    source: Source, clips: Sequence[Clip], flights: Sequence[str], flight: str | None, task: str | None
) -> list[tuple[str, Clip]]:
    if flight is None and task is None and len(clips) > 1 and len(flights) > 1:
        stems = {clip.name: clip.name if clip.name in flights else Path(clip.name).stem for clip in clips}
        pairs = [(the_flight(flights, stems[clip.name]), clip) for clip in clips]
        if len({name for name, _ in pairs}) < len(pairs):
            raise AnnotateError(
                f"{source.shown}: two tasks or videos of one flight; name one by --flight and --task"
            )
        return pairs
    name = the_flight(flights, flight)
    return [(name, choose(source, clips, name, task))]


def _account(found: Admitted, tracklets: Sequence[Tracklet]) -> str:
    clip = found.clip
    matched = count_matched(clip, tracklets)
    total = sum(each.frame in found.frames for tracklet in tracklets for each in tracklet.detections)
    people = len({box.track for box in clip.boxes})
    line = (
        f"{clip.name}: {found.account()}; {counted(people, 'identity', 'identities')}, "
        f"{matched:,} of {counted(total, 'detection')} in tracklets of "
        f"{counted(len(found.frames), 'annotated frame')} matched"
    )
    if not matched:
        raise AnnotateError(
            f"{found.shown}: no box is on a detection of the flight (IoU from {MIN_IOU}); nothing was labelled. "
            f"Check that it is of this flight, and its frames ({line})"
        )
    return line
