"""Places with names, as the fountain or the gate: from the configuration, for every sighting near one."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from pipeline.config.models import Place
from pipeline.errors import PipelineError
from pipeline.sightings.records import Position
from pipeline.sightings.select import metres_between
from pipeline.workspace.atomic import read_json, write_json

PLACES = "places.json"  # in a workspace: what its configuration says of places


def remember_places(workspace: Path, places: Sequence[Place] | None) -> None:
    """Write the places of the configuration into `workspace`; None leaves what is there."""
    content = {"places": [each.model_dump() for each in places or ()]}
    if places is not None and (read_json(workspace / PLACES) or {"places": []}) != content:
        write_json(workspace / PLACES, content)


def read_places(workspace: Path) -> list[Place]:
    """The places that `remember_places` wrote into `workspace`.

    Raises:
        PipelineError: the file is damaged.

    """
    if not (workspace / PLACES).exists():
        return []
    try:
        return [Place.model_validate(each) for each in (read_json(workspace / PLACES) or {})["places"]]
    except (KeyError, TypeError, ValidationError):
        raise PipelineError(
            f"{workspace / PLACES}: damaged; run `uavpipe run` with the configuration that names the places"
        ) from None


def place_named(workspace: Path, name: str) -> Place:
    """The place `name` of `workspace`.

    Raises:
        PipelineError: there is none, or the file is damaged.

    """
    known = {each.name: each for each in read_places(workspace)}
    if name not in known:
        raise PipelineError(f"there is no place '{name}'; known: {', '.join(sorted(known)) or 'none'}")
    return known[name]


def places_on(path: Iterable[Position], places: Sequence[Place]) -> tuple[str, ...]:
    """The names of the places that a path is within, in the order in which it reaches them."""
    found: dict[str, None] = {}
    for position in path:
        near = [(metres_between(position, (each.latitude, each.longitude)), each) for each in places]
        inside = sorted((metres, each.name) for metres, each in near if metres <= each.radius_m)
        found |= dict.fromkeys(name for _, name in inside)
    return tuple(found)
