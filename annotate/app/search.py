"""Requests that search for the person in a picture, which may be anything that somebody dropped on the page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from starlette.concurrency import run_in_threadpool

from annotate.app import views
from annotate.app.errors import MissingError
from annotate.app.refresh import Refresh
from annotate.errors import Refused
from annotate.log.state import State
from annotate.operations import Seen, UserName, flight_of
from annotate.project import Project
from annotate.suggestions.features import COLOUR_SOURCE

Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels of the picture, as it is shown


@dataclass(frozen=True)
class Upload:
    """A picture that was sent, and the person in it, if it was chosen.

    Attributes:
        data: bytes of a JPEG, PNG or WebP, not checked yet.
        box: see `Box`; None: the detector finds the person.

    """

    data: bytes
    box: Box | None = None


@dataclass(frozen=True)
class Similar:
    """A person or a tracklet that looks like the one in the picture.

    Attributes:
        tracklets: their names, the most similar first.
        similarity: of the first of them, -1 to 1.
        right: the probability that the answer is right; None without a calibration.
        likely: whether it is above the threshold.

    """

    tracklets: tuple[str, ...]
    similarity: float
    right: float | None
    likely: bool


@dataclass(frozen=True)
class Found:
    """The result of a search.

    Attributes:
        answers: the most similar first.
        nobody: what to say where no answer is likely.
        note: what a reader of the answers must know.
        choose: boxes of several persons in the picture, one of which is to be chosen; then there are no answers.
        size: width and height of the picture, px.

    """

    answers: tuple[Similar, ...] = ()
    nobody: str = ""
    note: str = ""
    choose: tuple[Box, ...] = ()
    size: tuple[int, int] = (0, 0)


# What is searched for: an upload, or the path of a crop in the workspace; and for the record of searches, by whom.
Find = Callable[[Upload | str, str], Found]


def add_routes(app: FastAPI, project: Project, find: Find | None, refresh: Refresh) -> None:
    """Add the requests to `app`; without `find` they are refused."""

    def search(wanted: Upload | str, user: str) -> dict[str, Any]:
        if find is None:
            raise Refused("this server cannot search by picture")
        if refresh.state()["working"]:
            raise Refused("the tracklets are being embedded: search again once the suggestions are updated")
        if project.source == COLOUR_SOURCE:
            raise Refused("the tracklets are not embedded; run `uavpipe annotate embed` first")
        return _answer(project, find(wanted, user))

    @app.post("/api/find")
    async def by_picture(
        request: Request,
        user: Annotated[UserName, Query()],
        box: Annotated[str, Query(pattern=r"^(\d{1,6}(\.\d{1,2})?,){3}\d{1,6}(\.\d{1,2})?$")] | None = None,
    ) -> dict[str, Any]:
        data = await request.body()  # the guard checks its type and length
        return await run_in_threadpool(search, Upload(data, _box(box)), user)

    @app.get("/api/find/{flight}/{frame}/{rank}")
    def by_crop(flight: str, frame: int, rank: int, user: Annotated[UserName, Query()]) -> dict[str, Any]:
        path = project.crop_path(flight, Seen(frame, rank))
        if path is None:
            raise MissingError(f"{flight[:100]}: no crop of detection {rank} in frame {frame}")
        return search(path, user)


def _box(text: str | None) -> Box | None:
    if text is None:
        return None
    x1, y1, x2, y2 = map(float, text.split(","))
    return x1, y1, x2, y2


def _answer(project: Project, found: Found) -> dict[str, Any]:
    with project.reading() as state:
        return {
            "answers": [card for each in found.answers if (card := _card(project, state, each)) is not None],
            "anybody": any(each.likely for each in found.answers),
            "nobody": found.nobody,
            "note": found.note,
            "choose": found.choose,
            "size": found.size,
        }


def _card(project: Project, state: State, similar: Similar) -> dict[str, Any] | None:
    """An answer with its pictures; None where the tracklet is gone since the search began."""
    name = similar.tracklets[0]
    if name not in state.tracklets:
        return None
    label = state.labels[name]
    person = views.identity(project, state, label) if isinstance(label, int) else None
    return {
        "person": person,
        "tracklet": views.tracklet(project, state, name),
        "flights": sorted({flight_of(each) for each in similar.tracklets}),
        "similarity": similar.similarity,
        "right": similar.right,
        "likely": similar.likely,
    }
