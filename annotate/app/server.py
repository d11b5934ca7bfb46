"""The HTTP server of the labelling app, over a project.

Every decision is on the disk before it is answered, and a request that is sent again with the same id changes
nothing: a page that lost the connection can repeat it.
"""

import dataclasses
from collections.abc import Callable
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from annotate.app import views
from annotate.app.access import Access, Guard
from annotate.app.refresh import Refresh
from annotate.errors import AnnotateError, Busy, Refused, Unusable
from annotate.files import read_regular
from annotate.log.state import State
from annotate.log.store import Outcome
from annotate.operations import (
    MAX_TRACKLETS,
    Identity,
    Index,
    OperationId,
    Seen,
    TrackletId,
    UserName,
    read_decision,
    tracklet_id,
)
from annotate.project import Project

CANDIDATES = 9  # shown at first: one for each digit key
MORE = 45  # shown at a time after these, for the arrow keys
_PAGE = 60  # identities and findings at a time
_FOREVER = "private, max-age=31536000, immutable"  # a crop never changes under its address

# A frame of a flight: JPEG, and the width and height in pixels that it has in the video.
Picture = Callable[[str, int], tuple[bytes, int, int]]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    user: UserName


class _Candidates(_Body):
    tracklet: TrackletId
    offset: Index = 0


class _Request(_Body):
    id: OperationId
    next: bool = Field(False, description="answer with what comes next, too")


class _Decide(_Request):
    operation: dict[str, Any]
    seen: Index | None = Field(None, description="the last entry of the log that the page knew of")


def create_app(project: Project, access: Access, picture: Picture, refresh: Refresh, user: str = "") -> FastAPI:
    """The application, to be run by an ASGI server.

    Args:
        project: the workspace to label.
        access: the rules of access.
        picture: gives a frame of a flight; raises AnnotateError where it cannot.
        refresh: updates the suggestions.
        user: the name that the page proposes.

    """
    app = FastAPI(title="uavpipe", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, access=access)
    _answer_errors(app)
    _labelling(app, project)
    _reading(app, project)
    _pictures(app, project, picture)

    @app.get("/api/session")
    def session() -> dict[str, Any]:
        return {"user": user, "flights": project.flights, "source": project.source, "refresh": refresh.state()}

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
            return {"item": _item(project, state, body.user)}

    @app.post("/api/candidates")
    def candidates(body: _Candidates) -> dict[str, Any]:
        with project.reading() as state:
            _known(state, body.tracklet)
            found = project.candidates(state, body.tracklet)
            page = found[body.offset : body.offset + (MORE if body.offset else CANDIDATES)]
            shown = [views.candidate(project, state, body.tracklet, each) for each in page]
            return {"candidates": shown, "total": len(found)}

    @app.post("/api/decide")
    def decide(body: _Decide) -> dict[str, Any]:
        operation = read_decision(body.operation)
        outcome = project.store.apply(operation, user=body.user, id=body.id, seen=body.seen)
        return _answer(project, body, outcome)

    @app.post("/api/undo")
    def undo(body: _Request) -> dict[str, Any]:
        return _answer(project, body, project.store.undo(user=body.user, id=body.id))

    @app.post("/api/redo")
    def redo(body: _Request) -> dict[str, Any]:
        return _answer(project, body, project.store.redo(user=body.user, id=body.id))


def _reading(app: FastAPI, project: Project) -> None:
    @app.get("/api/tracklets/{flight}/{number}")
    def tracklet(flight: str, number: Annotated[int, Path(ge=0, lt=MAX_TRACKLETS)]) -> dict[str, Any]:
        with project.reading() as state:
            name = _known(state, tracklet_id(flight, number))
            return views.tracklet(project, state, name, every=True)

    @app.get("/api/identities")
    def identities(
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = _PAGE,
        find: Annotated[str, Query(max_length=200)] = "",
    ) -> dict[str, Any]:
        with project.reading() as state:
            wanted = find.strip().casefold()
            found = sorted(
                number for number, name in state.identities.items() if wanted in f"{number} {name}".casefold()
            )
            shown = [views.identity(project, state, number) for number in found[offset : offset + limit]]
            return {"identities": shown, "total": len(found), "seen": len(project.store.entries)}

    @app.get("/api/identities/{number}")
    def identity(number: Identity) -> dict[str, Any]:
        with project.reading() as state:
            if number not in state.exists:
                raise _MissingError(f"there is no identity {number}")
            members = sorted(state.members.get(number, ()), key=lambda name: (state.tracklets[name][0], name))
            return {
                **views.identity(project, state, number),
                "members": [views.tracklet(project, state, name) for name in members],
                "seen": len(project.store.entries),
            }

    @app.get("/api/findings")
    def findings(offset: Annotated[int, Query(ge=0)] = 0) -> dict[str, Any]:
        with project.reading() as state:
            found = project.findings(state)
            shown = [views.finding(project, state, each) for each in found[offset : offset + _PAGE]]
            return {"findings": shown, "total": len(found), "seen": len(project.store.entries)}

    @app.get("/api/progress")
    def progress(user: Annotated[str, Query(max_length=200)] = "") -> dict[str, Any]:
        with project.reading() as state:
            return {**dataclasses.asdict(project.progress(state, user)), "seen": len(project.store.entries)}


def _pictures(app: FastAPI, project: Project, picture: Picture) -> None:
    @app.get("/api/crops/{flight}/{frame}/{rank}.jpg")
    def crop(flight: str, frame: int, rank: int) -> Response:
        try:
            content = read_regular(project.crop_file(flight, Seen(frame, rank)))
        except (AnnotateError, OSError) as error:
            raise _MissingError(str(error)) from None
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": _FOREVER})

    @app.get("/api/frames/{flight}/{frame}.jpg")
    def whole_frame(flight: str, frame: int) -> Response:
        _check_flight(project, flight)
        try:
            content, width, height = picture(flight, frame)
        except AnnotateError as error:
            raise _MissingError(str(error)) from None
        headers = {"Cache-Control": _FOREVER, "X-Frame-Size": f"{width}x{height}"}
        return Response(content, media_type="image/jpeg", headers=headers)

    @app.get("/api/boxes/{flight}/{frame}")
    def boxes(flight: str, frame: int) -> dict[str, Any]:
        _check_flight(project, flight)
        with project.reading() as state:
            return {"boxes": views.boxes(project, state, flight, frame)}


def _item(project: Project, state: State, user: str) -> dict[str, Any] | None:
    """The tracklet that `user` is to label next."""
    turn = project.next_turn(state, user)
    if turn is None:
        return None
    found = project.candidates(state, turn.tracklet)
    item = views.tracklet(project, state, turn.tracklet)
    if turn.second_look:
        del item["label"]  # the second answer must not know the first
    return {
        **item,
        "second_look": turn.second_look,
        "candidates": [views.candidate(project, state, turn.tracklet, each) for each in found[:CANDIDATES]],
        "total": len(found),
        "seen": len(project.store.entries),
    }


def _answer(project: Project, body: _Request, outcome: Outcome) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "sequence": outcome.entry.sequence,
        "operation": outcome.entry.operation.model_dump(mode="json"),
        "created": outcome.created,
        "repeated": outcome.repeated,
    }
    if body.next:
        with project.reading() as state:
            answer["item"] = _item(project, state, body.user)
    return answer


def _known(state: State, name: str) -> str:
    if name not in state.tracklets:
        raise _MissingError(f"there is no tracklet {name[:200]}")
    return name


def _check_flight(project: Project, flight: str) -> None:
    if flight not in project.flights:
        raise _MissingError(f"there is no flight {flight[:100]!r}")


class _MissingError(AnnotateError):
    """The request names what does not exist."""


_STATUS = {Refused: 409, _MissingError: 404, Busy: 503, Unusable: 500}


def _answer_errors(app: FastAPI) -> None:
    """Each error is one line of JSON: {"error": ...}."""

    @app.exception_handler(AnnotateError)
    def refused(request: Request, error: AnnotateError) -> JSONResponse:
        status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 400)
        return JSONResponse({"error": str(error)}, status, {"Retry-After": "1"} if status == 503 else None)

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part != "body")
        return JSONResponse({"error": f"{field}: {first['msg']}" if field else str(first["msg"])}, 422)

    @app.exception_handler(HTTPException)
    def other(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code)
