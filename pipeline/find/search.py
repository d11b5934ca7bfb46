"""Ranking the tracklets of a workspace by their similarity to a query."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.operations import Mark, flight_of
from pipeline.find.calibration import Calibration, probability
from pipeline.find.gallery import Gallery
from pipeline.sightings.tracklets import LabelledTracklets


@dataclass(frozen=True, eq=False)
class Query:
    """What is looked for.

    Attributes:
        vectors: float32 (k, d), of length 1: an embedding of each photo or crop.
        own: tracklets that it is of; they are no answers.

    """

    vectors: NDArray[np.float32]
    own: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Found:
    """A tracklet that looks like the query.

    Attributes:
        tracklet: its name.
        similarity: mean cosine of its feature and the query's vectors, -1 to 1.
        score: probability that it shows the same person; None without a calibration.

    """

    tracklet: str
    similarity: float
    score: float | None


@dataclass(frozen=True)
class Answer:
    """A person: an identity with all its tracklets, or one tracklet without a label.

    Attributes:
        found: its tracklets, the most similar first.
        likely: whether the best is above the threshold; also without a calibration.

    """

    found: tuple[Found, ...]
    likely: bool


def search(
    query: Query,
    gallery: Gallery,
    tracklets: LabelledTracklets,
    calibration: Calibration | None,
    error: float,
) -> list[Answer]:
    """All answers, the most similar first; those of `left_out` are not compared.

    Args:
        query: what is looked for.
        gallery: the tracklets.
        tracklets: frames and labels.
        calibration: of the gallery's network.
        error: share of the searches for persons who are not there that may get an answer that is called likely.

    """
    if not len(gallery.names):
        return []
    apart = left_out(query, tracklets)
    places = np.array([place for place, name in enumerate(gallery.names) if name not in apart], np.int64)
    alike = np.asarray(gallery.features[places] @ query.vectors.mean(axis=0), np.float32)
    odds = None if calibration is None else calibration.log_odds(alike)
    scores = [None] * len(places) if odds is None else probability(odds).tolist()
    likely = np.ones(len(places), np.bool_)
    if calibration is not None and odds is not None:
        likely = odds > calibration.least(error)
    people: dict[int | str, list[int]] = {}
    for place in np.argsort(-alike, kind="stable").tolist():
        name = gallery.names[places[place]]
        label = tracklets.label(name)
        people.setdefault(name if isinstance(label, Mark) else label, []).append(place)
    return [
        Answer(
            tuple(Found(gallery.names[places[each]], float(alike[each]), scores[each]) for each in members),
            bool(likely[members[0]]),
        )
        for members in people.values()
    ]


def left_out(query: Query, tracklets: LabelledTracklets) -> set[str]:
    """The query's own tracklets, and those that share a frame with one of them: they are of others."""
    found = {*query.own}
    for flight in {flight_of(name) for name in query.own}:
        rows = tracklets.rows[flight]
        numbers = [int(name.rpartition("/")[2]) for name in query.own if flight_of(name) == flight]
        frames = rows.loc[rows["number"].isin(numbers), "frame"]
        there: Sequence[int] = rows.loc[rows["frame"].isin(frames), "number"].unique().tolist()
        found |= {f"{flight}/{number}" for number in there}
    return found
