"""The HTTP server of the labelling app, over a project.

Every decision is on the disk before it is answered, and a request that is sent again with the same id changes
nothing: a page that lost the connection can repeat it.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field

from annotate.app import clips, persons, reviews, search, views
from annotate.app.access import Access, Guard
from annotate.app.errors import MissingError, answer_errors
from annotate.app.refresh import Refresh
from annotate.errors import AnnotateError
from annotate.filters import Filter
from annotate.log.state import State
from annotate.log.store import Outcome, Own
from annotate.operations import (
    MAX_TRACKLETS,
    Identity,
    Index,
    OperationId,
    Redo,
    Seen,
    TrackletId,
    Undo,
    UserName,
    read_decision,
    tracklet_id,
)
from annotate.project import Project
from annotate.suggestions.checks import KINDS
from annotate.suggestions.suggest import Candidate, Excluded

CANDIDATES = 9  # shown at first: one for each digit key
ASIDE = 3  # shown beside these of the people seen together with the tracklet
MORE = 45  # shown at a time after these, for the arrow keys
FINDINGS = 20  # at a time
_PAGE = 60  # identities at a time
_FOREVER = "private, max-age=31536000, immutable"  # a crop never changes under its address

# A frame of a flight: JPEG, and the width and height in pixels that it has in the video.
Picture = Callable[[str, int], tuple[bytes, int, int]]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    user: UserName
    tab: str = Field("", pattern=r"^[a-z0-9]{0,32}$", description="the window; ids of requests begin with it")
    again: Index = Field(0, description="what was skipped up to this entry of the log comes again")
    only: Filter = Field(Filter(), description="of the queue: which tracklets are wanted")


class _Candidates(_Body):
    tracklet: TrackletId
    offset: Index = 0


class _Request(_Body):
    id: OperationId
    next: bool = Field(False, description="answer with what comes next, too")


class _TakeBack(_Request):
    since: Index | None = Field(None, description="the last entry of the log when the window was opened")


class _Decide(_Request):
    operation: dict[str, Any]
    seen: Index | None = Field(None, description="the last entry of the log that the page knew of")


def create_app(
    project: Project,
    access: Access | None,
    picture: Picture,
    refresh: Refresh,
    user: str = "",
    *,
    cut: clips.Cut = clips.no_video,
    sightings: persons.Sightings = lambda contents, person: persons.Told({}),
    find: search.Find | None = None,
) -> FastAPI:
    """The application, to be run by an ASGI server.

    Args:
        project: the workspace to label.
        access: the rules of access; None: `annotate.app.opening`, which passes requests on, keeps them.
        picture: gives a frame of a flight; raises AnnotateError where it cannot.
        refresh: updates the suggestions.
        user: the name that the page proposes.
        cut: gives the frames around a crop.
        sightings: tells when and where tracklets were seen.
        find: searches for the person in a picture; None: it cannot be searched.

    """
    app = FastAPI(title="uavpipe", docs_url=None, redoc_url=None, openapi_url=None)
    if access is not None:
        app.add_middleware(Guard, access=access)
    answer_errors(app)
    _labelling(app, project)
    _reading(app, project)
    _pictures(app, project, picture)
    clips.add_routes(app, project, cut)
    persons.add_routes(app, project, sightings)
    reviews.add_routes(app, project)
    search.add_routes(app, project, find, refresh)

    @app.get("/api/session")
    def session() -> dict[str, Any]:
        return {
            "user": user,
            "flights": project.flights,
            "source": project.source,
            "refresh": refresh.state(),
            "find": find is not None,
            "seen": len(project.store.entries),
        }

    @app.post("/api/refresh")
    def start_refresh(body: _Body) -> dict[str, Any]:
        refresh.start()
        return refresh.state()

    app.mount("/", StaticFiles(directory=str(files("annotate.app") / "static"), html=True))
    return app


def _labelling(app: FastAPI, project: Project) -> None:
    @app.post("/api/next")
    def next_item(body: _Body) -> dict[str, Any]:
        with project.reading() as state:
            return {"item": _item(project, state, body)}

    @app.post("/api/candidates")
    def candidates(body: _Candidates) -> dict[str, Any]:
        with project.reading() as state:
            _known(state, body.tracklet)
            return _people(project, state, body.tracklet, body.offset)

    @app.post("/api/batch")
    def batch(body: _Body) -> dict[str, Any]:
        with project.reading() as state:
            found = project.batch(state, body.user, body.tab)
            return {
                "rows": [views.proposal(project, state, each) for each in found.rows],
                "total": found.total,
                "seen": len(project.store.entries),
            }

    @app.get("/api/proposed")
    def proposed() -> dict[str, Any]:
        with project.reading() as state:
            return {"proposed": project.count_proposed(state)}

    @app.post("/api/decide")
    def decide(body: _Decide) -> dict[str, Any]:
        operation = read_decision(body.operation)
        outcome = project.store.apply(operation, user=body.user, id=body.id, seen=body.seen)
        return _answer(project, body, outcome)

    @app.post("/api/leave")
    def leave(body: _Body) -> dict[str, Any]:
        project.leave(body.user, body.tab)
        return {}

    @app.post("/api/undo")
    def undo(body: _TakeBack) -> dict[str, Any]:
        return _answer(project, body, project.store.undo(user=body.user, id=body.id, own=_own(body)))

    @app.post("/api/redo")
    def redo(body: _TakeBack) -> dict[str, Any]:
        return _answer(project, body, project.store.redo(user=body.user, id=body.id, own=_own(body)))


def _reading(app: FastAPI, project: Project) -> None:
    @app.get("/api/tracklets/{flight}/{number}")
    def tracklet(flight: str, number: Annotated[int, Path(ge=0, lt=MAX_TRACKLETS)]) -> dict[str, Any]:
        with project.reading() as state:
            name = _known(state, tracklet_id(flight, number))
            return {**views.tracklet(project, state, name, every=True), "seen": len(project.store.entries)}

    @app.get("/api/together/{first}/{second}")
    def together(first: Identity, second: Identity) -> dict[str, Any]:
        with project.reading() as state:
            found = project.meeting(state, first, second)
            return {"together": found and {"tracklets": found[:2], "frame": found.frame}}

    @app.get("/api/findings")
    def findings(
        offset: Annotated[int, Query(ge=0)] = 0, kind: Annotated[str, Query(max_length=20)] = ""
    ) -> dict[str, Any]:
        with project.reading() as state:
            every = project.findings(state)
            found = [each for each in every if kind in ("", each.kind)]
            counts = Counter(each.kind for each in every)
            return {
                "findings": [views.finding(project, state, each) for each in found[offset : offset + FINDINGS]],
                "total": len(found),
                "kinds": {each: counts[each] for each in KINDS if counts[each]},
                "page": FINDINGS,
                "seen": len(project.store.entries),
            }

    @app.get("/api/progress")
    def progress(user: Annotated[str, Query(max_length=200)] = "") -> dict[str, Any]:
        with project.reading() as state:
            return {
                **dataclasses.asdict(project.progress(state, user)),
                "elsewhere": project.shown_elsewhere(state),
                "seen": len(project.store.entries),
            }


def _pictures(app: FastAPI, project: Project, picture: Picture) -> None:
    @app.get("/api/crops/{flight}/{frame}/{rank}.jpg")
    def crop(flight: str, frame: int, rank: int) -> Response:
        try:
            content = project.crop(flight, Seen(frame, rank))
        except AnnotateError as error:
            raise MissingError(str(error)) from None
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": _FOREVER})

    @app.get("/api/frames/{flight}/{frame}.jpg")
    def whole_frame(flight: str, frame: int) -> Response:
        _check_flight(project, flight)
        try:
            content, width, height = picture(flight, frame)
        except AnnotateError as error:
            raise MissingError(str(error)) from None
        headers = {"Cache-Control": _FOREVER, "X-Frame-Size": f"{width}x{height}"}
        return Response(content, media_type="image/jpeg", headers=headers)

    @app.get("/api/boxes/{flight}/{frame}")
    def boxes(flight: str, frame: int) -> dict[str, Any]:
        _check_flight(project, flight)
        with project.reading() as state:
            return {"boxes": views.boxes(project, state, flight, frame)}


def _own(body: _TakeBack) -> Own | None:
    """Whether a decision was made in the window that asks, or before it was opened."""
    since, tab = body.since, f"{body.tab}."
    return None if since is None else lambda entry: entry.sequence <= since or entry.id.startswith(tab)


def _item(project: Project, state: State, body: _Body) -> dict[str, Any] | None:
    """The tracklet to label next in the window that asks."""
    turn = project.next_turn(state, body.user, body.tab, body.again, body.only)
    if turn is None:
        return None
    item = views.tracklet(project, state, turn.tracklet)
    if turn.second_look:
        del item["label"]  # the second answer must not know the first
    return {
        **item,
        "second_look": turn.second_look,
        **_people(project, state, turn.tracklet),
        "seen": len(project.store.entries),
    }


def _people(project: Project, state: State, tracklet: str, offset: int = 0) -> dict[str, Any]:
    """The people that `tracklet` might be, from `offset` on: the likeliest first, at the end those seen beside it.

    With the first come a few of the last: a wrong label, or a person boxed twice, may hide the right one there.
    Where there are no others, they are the first.
    """
    likely, excluded = project.ranking(state, tracklet)
    ranked: list[Candidate | Excluded] = [*likely, *excluded]
    page = ranked[offset : offset + MORE] if offset else ranked[: min(CANDIDATES, len(likely))]
    aside = [] if offset else excluded[: ASIDE if likely else CANDIDATES]
    return {
        "candidates": [views.candidate(project, state, tracklet, each) for each in page],
        "excluded": [views.candidate(project, state, tracklet, each) for each in aside],
        "total": len(likely) + len(excluded),
    }


def _answer(project: Project, body: _Request, outcome: Outcome) -> dict[str, Any]:
    operation = outcome.entry.operation
    answer: dict[str, Any] = {
        "sequence": outcome.entry.sequence,
        "operation": operation.model_dump(mode="json"),
        "created": outcome.created,
        "repeated": outcome.repeated,
    }
    if isinstance(operation, Undo | Redo):
        answer["of"] = project.store.entries[operation.target - 1].operation.model_dump(mode="json")
    if body.next:
        with project.reading() as state:
            answer["item"] = _item(project, state, body)
    return answer


def _known(state: State, name: str) -> str:
    if name not in state.tracklets:
        raise MissingError(f"there is no tracklet {name[:200]}")
    return name


def _check_flight(project: Project, flight: str) -> None:
    if flight not in project.flights:
        raise MissingError(f"there is no flight {flight[:100]!r}")
