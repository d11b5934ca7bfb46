"""The JSON that the pages get."""

from typing import Any
from urllib.parse import quote

from annotate.log.state import Label, State
from annotate.operations import flight_of
from annotate.project import Project
from annotate.records import Detection
from annotate.suggestions.checks import Finding
from annotate.suggestions.proposals import Proposal
from annotate.suggestions.suggest import Candidate, Excluded

PORTRAITS = 6  # crops on the card of an identity
PAIR = 4  # crops of a tracklet, and of the person beside it, in a batch


def crop(tracklet: str, detection: Detection) -> dict[str, Any]:
    """A crop of `tracklet` with its address; time in seconds, height in pixels of the frame."""
    flight = flight_of(tracklet)
    _, y1, _, y2 = detection.box
    return {
        "tracklet": tracklet,
        "frame": detection.frame,
        "rank": detection.rank,
        "time": round(detection.time, 3),
        "height": round(y2 - y1),
        "suspect": detection.suspect,
        "url": f"/api/crops/{quote(flight, safe='')}/{detection.frame}/{detection.rank}.jpg",
    }


def label(value: Label) -> int | str:
    """An identity's number, or the name of a mark."""
    return int(value) if isinstance(value, int) else value.value


def tracklet(project: Project, state: State, name: str, *, every: bool = False) -> dict[str, Any]:
    """A tracklet with the crops that represent it, or with all of them."""
    detections = project.detections(state, name)
    shown = [each for each in detections if each.crop] if every else project.shown(state, name)
    return {
        "tracklet": name,
        "flight": flight_of(name),
        "label": label(state.labels[name]),
        "frames": [detections[0].frame, detections[-1].frame],
        "times": [round(detections[0].time, 3), round(detections[-1].time, 3)],
        "detections": len(detections),
        "crops": [crop(name, each) for each in shown],
    }


def proposal(project: Project, state: State, found: Proposal) -> dict[str, Any]:
    """A proposed answer with the pictures to judge it by: of the tracklet, and of whom it is compared with."""
    name, like = found.tracklet, found.like
    return {
        "tracklet": name,
        "flight": flight_of(name),
        "answer": found.answer,
        "crops": [crop(name, each) for each in project.shown(state, name, PAIR)],
        "person": None if like is None else identity(project, state, like, name, PAIR),
    }


def boxes(project: Project, state: State, flight: str, frame: int) -> list[dict[str, Any]]:
    """The tracklets in a frame: x1, y1, x2, y2 in its pixels, origin at the top left."""
    return [
        {"tracklet": name, "label": label(state.labels[name]), "box": [round(side, 1) for side in detection.box]}
        for name, detection in project.in_frame(state, flight, frame)
    ]


def identity(
    project: Project, state: State, number: int, like: str | None = None, count: int = PORTRAITS
) -> dict[str, Any]:
    """An identity's card, with the crops that are most like the tracklet `like`; see `Project.portraits`."""
    members = state.members.get(number, set())
    return {
        "identity": number,
        "name": state.identities[number],
        "note": state.notes.get(number, ""),
        "tags": state.tags.get(number, ()),
        "tracklets": len(members),
        "detections": sum(len(state.tracklets[name]) for name in members),
        "flights": sorted({flight_of(name) for name in members}),
        "crops": [crop(name, each) for name, each in project.portraits(state, number, count, like)],
    }


def candidate(project: Project, state: State, like: str, found: Candidate | Excluded) -> dict[str, Any]:
    """An identity that the tracklet `like` might be; its most similar crops come first.

    "together" says in which frame, and with which of its tracklets, it was seen beside `like`.
    """
    seen = {"tracklet": found.tracklet, "frame": found.frame} if isinstance(found, Excluded) else None
    return {
        **identity(project, state, found.identity, like),
        "similarity": round(found.similarity, 4),
        "together": seen,
    }


def finding(project: Project, state: State, found: Finding) -> dict[str, Any]:
    """A finding with the pictures to judge it by."""
    return {
        "key": found.key,
        "kind": found.kind,
        "message": found.message,
        "frame": found.frame,
        "tracklets": [tracklet(project, state, name) for name in found.tracklets],
        "identities": [identity(project, state, number) for number in found.identities],
        "odd": found.odd,
        "corrections": [
            {"label": each.label, "operation": each.decision.model_dump(mode="json")} for each in found.corrections
        ],
    }
