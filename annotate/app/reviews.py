"""Requests of the reviews: what to review next, and the agreement so far."""

from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any

from fastapi import FastAPI, Query

from annotate.app import views
from annotate.filters import Filter
from annotate.log.history import Entry
from annotate.log.state import State
from annotate.operations import AnswerBatch, Assign, Merge, NewIdentity, Redo, SetMark, Undo
from annotate.project import Project
from annotate.review import agreement, to_review

_LEFT = 1000  # counted at most: what is left to review


def add_routes(app: FastAPI, project: Project) -> None:
    """Add the requests of the reviews to `app`."""

    @app.get("/api/review")
    def review(
        user: Annotated[str, Query(max_length=200)] = "",
        flight: Annotated[str, Query(max_length=200)] = "",
        after: Annotated[str, Query(max_length=250)] = "",
    ) -> dict[str, Any]:
        only = Filter(flight=flight)
        with project.reading() as state:
            waiting = to_review(project.store, state, user, lambda name: project.wants(state, name, only))
            names = list(islice(waiting, _LEFT))
            place = names.index(after) + 1 if after in names else 0  # passed over: the next one
            name = names[place % len(names)] if names else None
            return {
                "item": name and _item(project, state, name),
                "left": len(names),
                "agreement": [asdict(each) for each in agreement(project.store, state)],
                "seen": len(project.store.entries),
            }


def _item(project: Project, state: State, name: str) -> dict[str, Any]:
    """A labelled tracklet, the rest of its person, and how the label came about."""
    decided = project.store.decision(name)
    assert decided is not None  # it is labelled
    label = state.labels[name]
    person = None
    if isinstance(label, int):
        person = views.identity(project, state, label, name)
    return {
        **views.tracklet(project, state, name),
        "person": person,
        "decision": decided.sequence,
        "labeller": decided.user,
        "decided": decided.time,
        "reasons": [_how(decided), *_likeness(project, state, name)],
    }


def _how(entry: Entry) -> str:
    """What was decided, in words."""
    operation = entry.operation
    if isinstance(operation, NewIdentity):
        return "named as a new person" + _with(len(operation.tracklets))
    if isinstance(operation, Assign):
        return "named as this person" + _with(len(operation.tracklets))
    if isinstance(operation, SetMark):
        return f"marked as {operation.mark.value}" + _with(len(operation.tracklets))
    if isinstance(operation, AnswerBatch):
        return "confirmed in a batch" + _with(len(operation.answers))
    if isinstance(operation, Merge):
        return f"two people were merged: {operation.source} is {operation.into}"
    if isinstance(operation, Undo | Redo):
        return "a later decision was taken back" if isinstance(operation, Undo) else "done again after an undo"
    return operation.op.replace("_", " ")


def _with(count: int) -> str:
    return f", with {count - 1:,} more at once" if count > 1 else ""


def _likeness(project: Project, state: State, name: str) -> list[str]:
    """Where its label is among the people that the tracklet resembles."""
    label = state.labels[name]
    candidates, excluded = project.ranking(state, name)
    for place, each in enumerate(candidates, start=1):
        if each.identity == label:
            among = f"number {place} of {len(candidates)} people by similarity"
            return [f"{among}: {each.similarity:.2f}"]
    for other in excluded:
        if other.identity == label:
            return [f"but seen together with {other.tracklet} of the same person, in frame {other.frame}"]
    return ["it has no other tracklet to compare with"] if isinstance(label, int) else []
