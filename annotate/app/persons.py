"""Requests about people: the wall of the gallery, and everything about one person or one tracklet."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import FastAPI, Path, Query
from pydantic import BaseModel, ConfigDict

from annotate.app import views
from annotate.app.errors import MissingError
from annotate.filters import ClockTime, Filter, Kind, named, tags_of
from annotate.log.state import State
from annotate.operations import MAX_TRACKLETS, Identity, Seen, tracklet_id
from annotate.people import companions
from annotate.project import Project

PAGE = 60  # cards at a time
ALIKE = 6  # people shown to merge with


class Told(NamedTuple):
    """When and where tracklets were seen.

    Attributes:
        words: by name of the tracklet: "time", "video" and "place".
        maps: figures in HTML; they number the tracklets as they were given.

    """

    words: Mapping[str, Mapping[str, str]]
    maps: Sequence[str] = ()


# Contents of tracklets by name, and whose they are, who is then drawn on maps -> when and where each was seen.
Sightings = Callable[[Mapping[str, Sequence[Seen]], int | None], Told]


class _Wall(BaseModel):
    """What the gallery shows: people, or the tracklets that have a label of another kind."""

    model_config = ConfigDict(extra="forbid")

    offset: Annotated[int, Query(ge=0)] = 0
    limit: Annotated[int, Query(ge=1, le=500)] = PAGE
    find: Annotated[str, Query(max_length=200)] = ""
    tag: Annotated[str, Query(max_length=40)] = ""
    flight: Annotated[str, Query(max_length=200)] = ""
    begin: ClockTime = ""
    end: ClockTime = ""
    kind: Kind = ""

    def only(self) -> Filter:
        """The filter of tracklets."""
        return Filter(flight=self.flight, begin=self.begin, end=self.end, kind=self.kind or "person")


def add_routes(app: FastAPI, project: Project, sightings: Sightings) -> None:
    """Add the requests about people to `app`; `sightings` tells when and where tracklets were seen."""

    @app.get("/api/identities")
    def identities(asked: Annotated[_Wall, Query()]) -> dict[str, Any]:
        with project.reading() as state:
            numbers = named(state, _seen(project, state, asked.only()), asked.find, asked.tag)
            shown = [
                views.identity(project, state, number)
                for number in numbers[asked.offset : asked.offset + asked.limit]
            ]
            return {"identities": shown, "total": len(numbers), "seen": len(project.store.entries)}

    @app.get("/api/tracklets")
    def tracklets(asked: Annotated[_Wall, Query()]) -> dict[str, Any]:
        only = asked.only()
        with project.reading() as state:
            names = [name for name in state.tracklets if asked.find in name and project.wants(state, name, only)]
            shown = [
                views.tracklet(project, state, name) for name in names[asked.offset : asked.offset + asked.limit]
            ]
            return {"tracklets": shown, "total": len(names), "seen": len(project.store.entries)}

    @app.get("/api/tags")
    def tags() -> dict[str, Any]:
        with project.reading() as state:
            return {"tags": tags_of(state)}

    @app.get("/api/identities/{number}")
    def identity(number: Identity) -> dict[str, Any]:
        with project.reading() as state:
            _check_person(state, number)
            members = _members(state, number)
            return {
                **views.identity(project, state, number),
                "members": [views.tracklet(project, state, name) for name in members],
                "companions": [
                    {**views.identity(project, state, each.identity), "frames": each.frames, "in": each.flights}
                    for each in companions(state, number)
                ],
                "seen": len(project.store.entries),
            }

    @app.get("/api/identities/{number}/alike")
    def alike(number: Identity) -> dict[str, Any]:
        with project.reading() as state:
            _check_person(state, number)
            found = project.alike(state, number, ALIKE)
            return {"alike": [views.identity(project, state, each.identity) for each in found]}

    @app.get("/api/identities/{number}/sightings")
    def seen(number: Identity) -> dict[str, Any]:
        with project.reading() as state:
            _check_person(state, number)
            contents = {name: state.tracklets[name] for name in _members(state, number)}
        told = sightings(contents, number)
        return {"sightings": told.words, "maps": told.maps}

    @app.get("/api/sightings/{flight}/{number}")
    def one_seen(flight: str, number: Annotated[int, Path(ge=0, lt=MAX_TRACKLETS)]) -> dict[str, Any]:
        name = tracklet_id(flight, number)
        with project.reading() as state:
            if name not in state.tracklets:
                raise MissingError(f"there is no tracklet {name[:200]}")
            contents = {name: state.tracklets[name]}
        return {"sightings": sightings(contents, None).words}


def _members(state: State, number: int) -> list[str]:
    """The tracklets of a person, in the order in which the page has them."""
    return sorted(state.members[number], key=lambda name: (state.tracklets[name][0], name))


def _check_person(state: State, number: int) -> None:
    if number not in state.members:
        raise MissingError(f"there is no person {number}")


def _seen(project: Project, state: State, only: Filter) -> list[int]:
    """The people of whom a tracklet is wanted, ascending."""
    if only == Filter(kind="person"):
        return state.people()
    return [
        number
        for number in state.people()
        if any(project.wants(state, name, only) for name in state.members[number])
    ]
