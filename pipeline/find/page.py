"""The answers as a page: one file without a script or a network request, to send or print."""

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pipeline.chain.table import CROPS
from pipeline.files import is_inside
from pipeline.find.find import Findings, Wanted
from pipeline.find.search import Answer
from pipeline.pages import render
from pipeline.pages.palette import identity_colour
from pipeline.report.pictures import thumbnail
from pipeline.sightings.clips import current_clips
from pipeline.sightings.drawing import HEIGHT, WIDTH, Map, drone_path, make_maps
from pipeline.sightings.formats import notes, short
from pipeline.sightings.tracklets import read_labelled_tracklets


@dataclass(frozen=True)
class Seen:
    """A sighting of an answer.

    Attributes:
        number: from 1, the most similar first; as on the map.
        score: in percent; "" without a calibration.
        similarity: as in the table.
        texts: tracklet, time, video, place: in words.
        crop: the best one, relative to the workspace; None where there is none.
        clip: address, relative to the page, of a clip that is up to date; "" without one.

    """

    number: int
    score: str
    similarity: str
    texts: Mapping[str, str]
    crop: str | None
    clip: str


@dataclass(frozen=True)
class AnswerPart:
    """An answer on the page.

    Attributes:
        title: the person's number and name, or the tracklet.
        person: the number; None without a label.
        likely: whether it is above the threshold.
        score: of the most similar sighting, in percent; "" without a calibration.
        colour: CSS.
        seen: the sightings.
        maps: none where no place is known.

    """

    title: str
    person: int | None
    likely: bool
    score: str
    colour: str
    seen: Sequence[Seen]
    maps: Sequence[Map]


def as_page(workspace: Path, wanted: Wanted, findings: Findings, answers: Sequence[Answer], page: Path) -> str:
    """HTML of `answers`, some of `findings`.

    Args:
        workspace: that was searched.
        wanted: the person.
        findings: the result of the search.
        answers: those to show.
        page: where the HTML is written; the clips are linked from there.

    Raises:
        AnnotateError, PipelineError: the labels or a table are damaged.

    """
    shown = [findings.sightings[found.tracklet] for answer in answers for found in answer.found]
    clips = current_clips(workspace, shown, read_labelled_tracklets(workspace)) if shown else {}
    links = {name: _link(clip.file, page) for name, clip in clips.items()}
    drones = {flight: drone_path(workspace / flight) for flight in {each.flight for each in shown}}
    return render(
        "pipeline.find",
        "found.html",
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        workspace=workspace,
        who=", ".join(each.name for each in wanted.photos if isinstance(each, Path)) or f"person {wanted.person}",
        photos=[_address(each) for each in wanted.photos if isinstance(each, Path)],
        findings=findings,
        parts=[_part(place, answer, findings, links, drones) for place, answer in enumerate(answers)],
        map_size=(WIDTH, HEIGHT),
        notes=notes(shown),
        picture=partial(_crop, workspace),
    )


def _part(
    place: int,
    answer: Answer,
    findings: Findings,
    links: Mapping[str, str],
    drones: Mapping[str, Sequence[tuple[float, float]]],
) -> AnswerPart:
    sightings = [findings.sightings[found.tracklet] for found in answer.found]
    seen = tuple(
        Seen(
            number,
            _percent(found.score),
            f"{found.similarity:.3f}",
            short(sighting),
            sighting.crop,
            links.get(found.tracklet, ""),
        )
        for number, (found, sighting) in enumerate(zip(answer.found, sightings, strict=True), 1)
    )
    first = sightings[0]
    return AnswerPart(
        title=first.tracklet if first.identity is None else first.person,
        person=first.identity,
        likely=answer.likely,
        score=seen[0].score,
        colour=identity_colour(first.identity or place + 1),
        seen=seen,
        maps=make_maps(sightings, {each.flight: drones[each.flight] for each in sightings}),
    )


def _percent(score: float | None) -> str:
    return "" if score is None else f"{100 * score:.0f} %"


def _link(file: Path, page: Path) -> str:
    return Path(os.path.relpath(file.resolve(), page.resolve().parent)).as_posix()


def _crop(workspace: Path, crop: str) -> str | None:
    """The crop's picture; None for a file that is no crop of its flight, as a foreign table may name one."""
    path = workspace / crop
    return _address(path) if is_inside(path, workspace / crop.partition("/")[0] / CROPS.folder) else None


def _address(path: Path) -> str | None:
    """The picture at `path` as an address that holds it."""
    picture = thumbnail(path)
    return None if picture is None else f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
