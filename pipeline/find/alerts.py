"""Alerts: which known people are probably in a new flight, by the scores of `uavpipe find`, and how many are new.

Each tracklet of the flight is searched for among the labelled people. Two tracklets that share a frame are two
people: of those that look like one person, the more similar counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from annotate.log.store import LABELS
from annotate.operations import Mark, flight_of
from pipeline.engine.progress import Progress
from pipeline.errors import PipelineError
from pipeline.find.audit import record_search
from pipeline.find.calibration import Calibration
from pipeline.find.find import calibration_of, network_of
from pipeline.find.gallery import Gallery, read_gallery
from pipeline.find.search import Found, Query, search
from pipeline.labelling.suggestions import embed_flights
from pipeline.sightings.tracklets import LabelledTracklets, read_labelled_tracklets


@dataclass(frozen=True)
class Known:
    """A known person who is probably in the flight.

    Attributes:
        number: of the identity.
        name: "" without one.
        tracklets: of the flight, that look like the person; the most similar first.
        score: probability that the first shows the person.

    """

    number: int
    name: str
    tracklets: tuple[str, ...]
    score: float


@dataclass(frozen=True)
class Alert:
    """What a new flight has of known people.

    Attributes:
        flight: its name.
        known: the most probable first.
        others: tracklets that look like nobody who is known.
        without: number of tracklets without a crop, which were not compared.
        origin: where the scores are from, in words.

    """

    flight: str
    known: tuple[Known, ...]
    others: tuple[str, ...]
    without: int
    origin: str


def find_known(
    workspace: Path, flights: Sequence[str], progress: Progress, device: str = "auto", error: float = 0.05
) -> list[Alert]:
    """The alerts for those of `flights` in which nobody is labelled yet; none where nobody is known.

    Args:
        workspace: with tracklets and crops.
        flights: names.
        progress: of embedding crops that are not embedded yet.
        device: of the network.
        error: share of the people who are not there that may be called known.

    Raises:
        PipelineError, AnnotateError, ReidError: a table, weights or labels are missing or damaged; or there is no
            calibration for the network.

    """
    if not (workspace / LABELS).exists():
        return []
    tracklets = read_labelled_tracklets(workspace)
    labelled = {flight_of(name) for name, label in tracklets.labels.items() if isinstance(label, int)}
    new = [flight for flight in flights if flight in tracklets.rows and flight not in labelled]
    if not labelled or not new:
        return []
    weights = network_of(workspace, tracklets)
    record_search(workspace, flights=new)
    embed_flights(workspace, weights, progress, device)
    gallery = read_gallery(workspace, tracklets)
    calibration = calibration_of(workspace, weights, gallery, tracklets)
    if calibration is None:
        raise PipelineError(
            f"{weights}: has no calibration, so nobody is called known; label 20 persons in two flights"
        )
    return [_alert(flight, gallery, tracklets, calibration, error) for flight in new]


def _alert(
    flight: str, gallery: Gallery, tracklets: LabelledTracklets, calibration: Calibration, error: float
) -> Alert:
    names = [name for name in gallery.names if flight_of(name) == flight]
    claims = []
    for name in names:
        query = Query(gallery.of_crops(name), frozenset({name}))
        for answer in search(query, gallery, tracklets, calibration, error):
            number = tracklets.label(answer.found[0].tracklet)
            if not isinstance(number, Mark):  # the most similar of the known people
                claims += [(answer.found[0], name, number)] * answer.likely
                break
    accepted = _without_conflicts(claims, _frames(flight, tracklets))
    people: dict[int, list[tuple[Found, str]]] = {}
    for found, name, number in accepted:
        people.setdefault(number, []).append((found, name))
    known = [
        Known(number, tracklets.names.get(number, ""), tuple(name for _, name in those), those[0][0].score or 0.0)
        for number, those in people.items()
    ]
    taken = {name for _, name, _ in accepted}
    marked = {f"{flight}/{number}" for number in tracklets.rows[flight]["number"].unique().tolist()}
    compared = [name for name in names if name not in taken]
    return Alert(
        flight=flight,
        known=tuple(known),
        others=tuple(compared),
        without=sum(tracklets.label(name) != Mark.JUNK for name in marked) - len(names),
        origin=calibration.origin,
    )


def _without_conflicts(
    claims: Sequence[tuple[Found, str, int]], frames: Mapping[str, frozenset[int]]
) -> list[tuple[Found, str, int]]:
    """The claims, the most similar first, without one that has a person twice in a frame."""
    accepted: list[tuple[Found, str, int]] = []
    for found, name, number in sorted(claims, key=lambda each: -each[0].similarity):
        if not any(who == number and frames[other] & frames[name] for _, other, who in accepted):
            accepted.append((found, name, number))
    return accepted


def _frames(flight: str, tracklets: LabelledTracklets) -> dict[str, frozenset[int]]:
    groups = tracklets.rows[flight].groupby("number")["frame"]
    return {f"{flight}/{number}": frozenset(frames.tolist()) for number, frames in groups}
