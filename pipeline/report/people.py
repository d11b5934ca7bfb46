"""The people in the report: progress of the labelling, the wall of identities, each flight's tracklets in time."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from annotate.errors import AnnotateError
from annotate.log.state import Label, State
from annotate.log.store import LABELS
from annotate.operations import Mark, flight_of
from annotate.project import Project
from annotate.records import Detection
from pipeline.chain.table import DETECT, TRACKS
from pipeline.errors import PipelineError
from pipeline.relinking.keep import check_carried
from pipeline.stages.crop_store import Crops
from pipeline.workspace.tables import read_rows

_PORTRAITS = 4  # of each identity


@dataclass(frozen=True)
class Portrait:
    """A crop on the wall.

    Attributes:
        crop: the file.
        tracklet: its name.
        time_s: of its frame, as the video has it.

    """

    crop: Path
    tracklet: str
    time_s: float


@dataclass(frozen=True)
class Person:
    """An identity.

    Attributes:
        number: its own.
        name: "" where none was given.
        flights: that it is seen in.
        tracklets: how many.
        detections: how many.
        seconds: that at least one of its tracklets lasts, over all flights.
        portraits: crops of it, from as many flights as possible.
        tags: its tags.
        note: what a labeller wrote about it; "" without one.

    """

    number: int
    name: str
    flights: tuple[str, ...]
    tracklets: int
    detections: int
    seconds: float
    portraits: tuple[Portrait, ...]
    tags: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Strip:
    """A tracklet in time.

    Attributes:
        tracklet: its name.
        begin_s, end_s: as the video has them.
        label: an identity's number, a mark such as "junk", or None.

    """

    tracklet: str
    begin_s: float
    end_s: float
    label: int | str | None


@dataclass(frozen=True)
class People:
    """The identities and tracklets of a workspace.

    Attributes:
        tracklets: how many there are, of which `labelled` have a label.
        labelled: how many.
        instead: how many tracklets are junk or distractors, by that name.
        persons: the identities with most detections; `more` others are not shown.
        more: how many.
        strips: each flight's tracklets, by its name.
        decisions: operations in the log of labels.
        trouble: why the labels cannot be shown, although there is a file; otherwise "".

    """

    tracklets: int = 0
    labelled: int = 0
    instead: dict[str, int] = field(default_factory=dict)
    persons: tuple[Person, ...] = ()
    more: int = 0
    strips: dict[str, tuple[Strip, ...]] = field(default_factory=dict)
    decisions: int = 0
    trouble: str = ""


def read_people(workspace: Path, most: int) -> People:
    """The people of `workspace`; at most `most` identities with their crops."""
    if (workspace / LABELS).exists():
        try:
            check_carried(workspace)
            return _labelled(workspace, most)
        except (AnnotateError, PipelineError) as error:  # the rest of the report does not depend on it
            return _unlabelled(workspace, str(error))
    return _unlabelled(workspace, "")


def _labelled(workspace: Path, most: int) -> People:
    project = Project(workspace, crops=Crops(), write=False)
    try:
        with project.reading() as state:
            done = project.progress(state, "")
            instead = Counter(str(label) for label in state.labels.values() if isinstance(label, Mark))
            del instead[str(Mark.OPEN)]
            counts = {
                number: sum(len(state.tracklets[name]) for name in state.members[number])
                for number in state.people()
            }
            shown = sorted(counts, key=lambda number: (-counts[number], number))[:most]
            return People(
                tracklets=done.tracklets,
                labelled=done.labelled,
                instead=dict(sorted(instead.items())),
                persons=tuple(_person(project, state, number) for number in shown),
                more=len(counts) - len(shown),
                strips=_strips(project, state),
                decisions=len(project.store.entries),
            )
    finally:
        project.close()


def _person(project: Project, state: State, number: int) -> Person:
    names = state.members[number]
    stays: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for name in names:
        content = project.detections(state, name)
        stays[flight_of(name)].append((content[0].time, content[-1].time))
    portraits = (
        Portrait(project.workspace / PurePosixPath(str(each.crop)), name, each.time)
        for name, each in project.portraits(state, number, _PORTRAITS)
    )
    return Person(
        number=number,
        name=state.identities.get(number, ""),
        flights=tuple(sorted(stays)),
        tracklets=len(names),
        detections=sum(len(state.tracklets[name]) for name in names),
        seconds=sum(map(covered, stays.values())),
        portraits=tuple(portraits),
        tags=state.tags.get(number, ()),
        note=state.notes.get(number, ""),
    )


def covered(stays: Sequence[tuple[float, float]]) -> float:
    """Seconds that some of `stays`, begin and end in one flight, cover; what several cover counts once."""
    seconds, reached = 0.0, -math.inf
    for begin, end in sorted(stays):
        seconds += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return seconds


def _strips(project: Project, state: State) -> dict[str, tuple[Strip, ...]]:
    found = defaultdict(list)
    for name in state.tracklets:
        content = project.detections(state, name)
        found[flight_of(name)].append(_strip(name, content, state.labels.get(name)))
    return _in_time(found)


def _unlabelled(workspace: Path, trouble: str) -> People:
    found = {
        path.parents[1].name: _unlabelled_strips(path) for path in sorted(workspace.glob(f"[!.]*/{TRACKS.output}"))
    }
    return People(tracklets=sum(map(len, found.values())), strips=_in_time(found), trouble=trouble)


def _unlabelled_strips(tracklets: Path) -> list[Strip]:
    """From the tables alone: forty flights have millions of detections, of which only the ends are needed."""
    flight = tracklets.parents[1]
    rows, seen = read_rows(tracklets), read_rows(flight / DETECT.output)
    if rows is None or seen is None:
        return []
    times = rows.merge(seen[["frame", "rank", "pts_s"]], on=["frame", "rank"]).groupby("tracklet")["pts_s"]
    ends = zip(times.min().items(), times.max(), strict=True)
    return [Strip(f"{flight.name}/{number}", begin, end, None) for (number, begin), end in ends]


def _strip(name: str, content: Sequence[Detection], label: Label | None) -> Strip:
    return Strip(name, content[0].time, content[-1].time, str(label) if isinstance(label, Mark) else label)


def _in_time(found: Mapping[str, Sequence[Strip]]) -> dict[str, tuple[Strip, ...]]:
    return {
        flight: tuple(sorted(strips, key=lambda strip: (strip.begin_s, strip.tracklet)))
        for flight, strips in sorted(found.items())
    }
