"""A person's section of the report: seen when and where, on which path, and in which company."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from annotate.operations import Mark, tracklet_id
from pipeline.chain.table import TRACKS
from pipeline.pages.palette import identity_colour
from pipeline.report.people import Person, covered
from pipeline.report.provenance import provenance_id
from pipeline.report.records import Fact, clock
from pipeline.sightings.clips import current_clips
from pipeline.sightings.drawing import Map, drone_path, make_maps
from pipeline.sightings.formats import notes, short
from pipeline.sightings.read import read_sightings
from pipeline.sightings.records import Position, Sighting
from pipeline.sightings.tracklets import LabelledTracklets, read_labelled_tracklets
from pipeline.workspace.entries import MANIFEST


@dataclass(frozen=True)
class Stay:
    """A sighting in the table and on the time line.

    Attributes:
        number: from 1, in order of time; as on the map.
        texts: tracklet, time, video, place: in words.
        crop: the best one, if there is one.
        clip: one that is up to date, if there is one.
        left, width: in percent of the flight.

    """

    number: int
    texts: dict[str, str]
    crop: Path | None
    clip: Path | None
    left: float
    width: float


@dataclass(frozen=True)
class Row:
    """A flight on the time line.

    Attributes:
        flight: its name.
        begin, end: of the flight, by the wall clock where it is known, else in the video.
        after: time since the end of the flight in the row above, in words; "" where it is not known.
        stays: the sightings.

    """

    flight: str
    begin: str
    end: str
    after: str
    stays: tuple[Stay, ...]


@dataclass(frozen=True)
class Companion:
    """Another identity that is in pictures of this one.

    Attributes:
        number: its own.
        name: "" where none was given.
        frames: number of frames that show both.
        flights: in which.

    """

    number: int
    name: str
    frames: int
    flights: tuple[str, ...]


@dataclass(frozen=True)
class PersonPart:
    """The content of a person's section.

    Attributes:
        person: the identity.
        colour: CSS.
        facts: its figures.
        rows: the time line, a row for each flight, in order of time.
        maps: none where the place is not known.
        companions: those with most frames first.
        notes: what a reader of times and places must know.

    """

    person: Person
    colour: str
    facts: tuple[Fact, ...]
    rows: tuple[Row, ...]
    maps: tuple[Map, ...]
    companions: tuple[Companion, ...]
    notes: tuple[str, ...]

    @property
    def stays(self) -> list[Stay]:
        """All sightings, in order of time."""
        return [stay for row in self.rows for stay in row.stays]


def read_persons(
    workspace: Path, persons: Sequence[Person], flights: Mapping[str, tuple[float, float]]
) -> list[PersonPart]:
    """The sections of `persons`.

    Args:
        workspace: with labels.
        persons: identities of it.
        flights: by name, time stamp of the first frame and length in seconds.

    Raises:
        AnnotateError, PipelineError: the labels or a table are damaged.

    """
    if not persons:
        return []
    tracklets = read_labelled_tracklets(workspace)
    sightings = read_sightings(workspace, tracklets)
    numbers = {person.number for person in persons}
    shown = [each for each in sightings if each.identity in numbers]
    clips = {name: clip.file for name, clip in current_clips(workspace, shown, tracklets).items()}
    together = _together(tracklets)
    drones = {name: drone_path(workspace / name) for name in {each.flight for each in sightings}}
    return [
        _part(
            workspace,
            each,
            [one for one in sightings if one.identity == each.number],
            flights,
            drones,
            clips,
            tuple(_companions(each.number, together, tracklets.names)),
        )
        for each in persons
    ]


def _part(
    workspace: Path,
    person: Person,
    sightings: Sequence[Sighting],
    flights: Mapping[str, tuple[float, float]],
    drones: Mapping[str, Sequence[Position]],
    clips: Mapping[str, Path],
    companions: tuple[Companion, ...],
) -> PersonPart:
    by_flight: dict[str, list[Sighting]] = {}
    for each in sorted(sightings, key=_order):
        by_flight.setdefault(each.flight, []).append(each)
    ordered = [each for members in by_flight.values() for each in members]
    return PersonPart(
        person=person,
        colour=identity_colour(person.number),
        facts=tuple(_facts(workspace, person, ordered)),
        rows=tuple(_rows(workspace, by_flight, flights, clips)),
        maps=make_maps(ordered, {name: drones[name] for name in by_flight}),
        companions=companions,
        notes=tuple(notes(ordered)),
    )


def _order(sighting: Sighting) -> tuple[bool, datetime, str, float]:
    """By the wall clock; those without one after the others. UTC and local time are not compared exactly."""
    moment = sighting.begin_utc.replace(tzinfo=None) if sighting.begin_utc else sighting.begin
    return moment is None, moment or datetime.min, sighting.flight, sighting.begin_s


def _facts(workspace: Path, person: Person, sightings: Sequence[Sighting]) -> Iterator[Fact]:
    stays: dict[str, list[tuple[float, float]]] = {}
    for each in sightings:
        stays.setdefault(each.flight, []).append((each.begin_s, each.end_s))
    made = sightings and (workspace / sightings[0].flight / TRACKS.folder / MANIFEST).exists()
    table = provenance_id(sightings[0].flight, TRACKS.folder) if made else ""
    yield Fact("sightings", f"{len(sightings):,}", table)
    yield Fact("flights", f"{len(stays):,}", table)
    yield Fact("seen for", clock(sum(map(covered, stays.values()))), table)
    yield Fact("detections", f"{sum(each.boxes for each in sightings):,}", table)
    dated = [each for each in sightings if each.begin is not None and each.end is not None]
    if dated:
        yield Fact("first seen", _moment(dated[0].begin), table)
        yield Fact("last seen", _moment(dated[-1].end), table)


def _rows(
    workspace: Path,
    by_flight: Mapping[str, Sequence[Sighting]],
    flights: Mapping[str, tuple[float, float]],
    clips: Mapping[str, Path],
) -> Iterator[Row]:
    number = 0
    ends = [_ends(members[0], *flights[name]) for name, members in by_flight.items()]
    after = ["", *(_after(one, other) for one, other in pairwise(ends))]
    for (name, members), (begin, end, _), gap in zip(by_flight.items(), ends, after, strict=True):
        begin_s, seconds = flights[name]
        stays = []
        for each in members:
            number += 1
            stay = _stay(workspace, number, each, begin_s, max(seconds, 1e-3))
            stays.append(replace(stay, clip=clips.get(each.tracklet)))
        if begin is None or end is None:
            yield Row(name, clock(0.0), clock(seconds), gap, tuple(stays))
        else:
            yield Row(name, _moment(begin), f"{end:%H:%M:%S}", gap, tuple(stays))


def _ends(sighting: Sighting, begin_s: float, seconds: float) -> tuple[datetime | None, datetime | None, str]:
    """Begin and end of the flight of `sighting` by its wall clock, and the clock's zone."""
    if sighting.begin is None:
        return None, None, ""
    begin = sighting.begin - timedelta(seconds=sighting.begin_s - begin_s)
    return begin, begin + timedelta(seconds=seconds), sighting.zone


def _after(
    one: tuple[datetime | None, datetime | None, str], other: tuple[datetime | None, datetime | None, str]
) -> str:
    if one[1] is None or other[0] is None or one[2] != other[2]:
        return ""
    seconds = (other[0] - one[1]).total_seconds()
    if seconds < 60:
        return f"{seconds:.0f} s later" if seconds > 0 else "at the same time"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min later"
    return f"{minutes // 60} h {minutes % 60} min later" if minutes < 2880 else f"{minutes // 1440} days later"


def _stay(workspace: Path, number: int, sighting: Sighting, begin_s: float, seconds: float) -> Stay:
    left = 100 * (sighting.begin_s - begin_s) / seconds
    width = 100 * (sighting.end_s - sighting.begin_s) / seconds
    return Stay(
        number=number,
        texts=short(sighting),
        crop=None if sighting.crop is None else workspace / sighting.crop,
        clip=None,
        left=left,
        width=max(width, 0.5),
    )


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def _together(tracklets: LabelledTracklets) -> dict[tuple[int, int], Counter[str]]:
    """How many frames of each flight show two identities."""
    found: dict[tuple[int, int], Counter[str]] = {}
    for flight, rows in tracklets.rows.items():
        labels = {
            number: tracklets.label(tracklet_id(flight, number)) for number in rows["number"].unique().tolist()
        }
        known = rows.assign(identity=[labels[number] for number in rows["number"].tolist()])
        known = known[[not isinstance(label, Mark) for label in known["identity"]]]
        pairs = known[["frame", "identity"]].drop_duplicates()
        both = pairs.merge(pairs, on="frame", suffixes=("", "_other"))
        both = both[both["identity"] != both["identity_other"]]
        counts = both.groupby(["identity", "identity_other"]).size().reset_index(name="frames")
        for one, other, frames in counts.to_numpy().tolist():
            found.setdefault((one, other), Counter())[flight] = frames
    return found


def _companions(
    number: int, together: Mapping[tuple[int, int], Counter[str]], names: Mapping[int, str]
) -> Iterator[Companion]:
    others = {other: flights for (one, other), flights in together.items() if one == number}
    for other in sorted(others, key=lambda each: (-others[each].total(), each)):
        yield Companion(other, names.get(other, ""), others[other].total(), tuple(sorted(others[other])))
