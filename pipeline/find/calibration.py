"""Calibration: how often an answer like this is right, and when nobody in the workspace looks like the person.

An answer is a tracklet with its cosine similarity s to the query; it was compared among n tracklets. Some queries
are like everybody, so s is standardised: z = (s - mean) / spread of the query's n similarities, both drawn towards
their usual values, which count for ten tracklets. The log odds of the answer being right are modelled as

    intercept + slope z - log n

the last because among more tracklets more strangers look alike. The two numbers are fitted by maximum likelihood
to searches with known answers; each is made twice, with the right tracklets and without, as if half of the persons
that are searched for were not there. A search is for one crop of a labelled tracklet, among those of other flights.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotate.operations import Mark, flight_of
from pipeline.errors import PipelineError
from pipeline.find.gallery import Gallery
from pipeline.sightings.tracklets import LabelledTracklets

BUNDLED = Path(__file__).with_name("calibration.json")  # of the bundled network; benchmarks/find.py writes it
ENOUGH = 20  # persons in two flights, from which the labels of a workspace calibrate it
_FIRST = 10  # answers of a search that are fitted: the others are never shown
_MOST = 500  # searches of a workspace that are made
_STEPS, _RIDGE = 100, 1e-3
_PRIOR = 10  # tracklets that the usual mean and spread count for
_QUANTILES = 201


@dataclass(frozen=True)
class Trial:
    """A search with known answers.

    Attributes:
        person: that is looked for.
        similarities: float32 (n,), of the tracklets that it is compared with.
        right: bool (n,), which of them show the person.

    """

    person: int
    similarities: NDArray[np.float32]
    right: NDArray[np.bool_]

    def without_the_person(self) -> "Trial":
        """The search for somebody who is not there."""
        return Trial(self.person, self.similarities[~self.right], self.right[~self.right])


@dataclass(frozen=True)
class Calibration:
    """A fitted calibration.

    Attributes:
        network: the first 16 digits of the sha256 of the network's weights.
        intercept, slope: see the module.
        mean, spread: the usual mean and standard deviation of a query's similarities.
        strangers: ascending quantiles of the log odds of the best answer, where the person is not there.
        persons: that it was fitted on.
        searches: that it was fitted on.
        answers: median number of tracklets in a search.
        origin: the data, for people to read.

    """

    network: str
    intercept: float
    slope: float
    mean: float
    spread: float
    strangers: tuple[float, ...]
    persons: int
    searches: int
    answers: int
    origin: str

    def log_odds(self, similarities: NDArray[np.float32]) -> NDArray[np.float64]:
        """The log odds that each of all n answers of a search is right: float64 (n,)."""
        z = _standardised(similarities, self.mean, self.spread)
        return self.intercept + self.slope * z - np.log(max(1, len(similarities)))

    def alike(self, similarities: NDArray[np.floating]) -> NDArray[np.float64]:
        """How much more likely (log) a similarity is between tracklets of one person than of two; any shape.

        A search supposes that the person is among the n tracklets in half of the searches: each is right with odds
        of 1 to 2 n before it is looked at, and by `log_odds` afterwards.
        """
        z = (np.asarray(similarities, np.float64) - self.mean) / self.spread
        return np.asarray(self.intercept + self.slope * z + np.log(2), np.float64)

    def least(self, error: float) -> float:
        """The log odds that the best answer exceeds in a share of `error` of the searches for strangers."""
        return float(np.quantile(self.strangers, 1 - error))


def probability(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of `log_odds`, 0 to 1."""
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -50, 50))), np.float64)


def trials_of(gallery: Gallery, tracklets: LabelledTracklets) -> list[Trial]:
    """A search for one crop of each tracklet whose person is labelled in another flight, too; at most 500."""
    labels = [tracklets.label(name) for name in gallery.names]
    persons = np.array([label if isinstance(label, int) else 0 for label in labels], np.int64)
    known = (persons > 0) | np.array([label == Mark.DISTRACTOR for label in labels], np.bool_)
    flights = np.array([flight_of(name) for name in gallery.names])
    places = np.flatnonzero(persons > 0)
    found = []
    for place in places[np.linspace(0, len(places) - 1, min(len(places), _MOST)).round().astype(int)]:
        others = known & (flights != flights[place])
        right = persons[others] == persons[place]
        if right.any():
            crops = gallery.of_crops(gallery.names[place])
            alike = gallery.features[others] @ crops[len(crops) // 2]
            found.append(Trial(int(persons[place]), alike, right))
    return found


def fit(trials: Sequence[Trial], network: str, origin: str) -> Calibration:
    """The calibration of `network` on `trials`.

    Raises:
        PipelineError: they are of fewer than 20 persons.

    """
    persons = len({each.person for each in trials})
    if persons < ENOUGH:
        raise PipelineError(f"{persons} persons are labelled in two flights; a calibration needs {ENOUGH}")
    absent = [each.without_the_person() for each in trials]
    mean = float(np.mean([each.similarities.mean() for each in trials]))
    spread = float(np.mean([each.similarities.std() for each in trials]))
    rows = [_best(each, mean, spread) for each in (*trials, *absent)]
    intercept, slope = _regress(*np.concatenate(rows, axis=1))
    best = [
        intercept + slope * z[0] + offset[0]
        for z, _, offset in (_best(each, mean, spread) for each in absent)
        if len(z)
    ]
    strangers = np.quantile(best, np.linspace(0, 1, _QUANTILES)) if best else np.zeros(1)
    return Calibration(
        network,
        round(intercept, 4),
        round(slope, 4),
        round(mean, 4),
        round(spread, 4),
        tuple(round(float(value), 4) for value in strangers),
        persons,
        len(trials),
        int(np.median([len(each.similarities) for each in trials])),
        origin,
    )


def read_calibration(path: Path) -> Calibration:
    """The calibration in `path`."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return Calibration(**{**content, "strangers": tuple(content["strangers"])})


def calibration_text(calibration: Calibration) -> str:
    """The content of a calibration's file."""
    return json.dumps(asdict(calibration)) + "\n"


def _standardised(similarities: NDArray[np.float32], mean: float, spread: float) -> NDArray[np.float64]:
    s, n = similarities.astype(np.float64), len(similarities)
    center = (s.sum() + _PRIOR * mean) / (n + _PRIOR)
    variance = (((s - center) ** 2).sum() + _PRIOR * spread**2) / (n + _PRIOR)
    return np.asarray((s - center) / np.sqrt(max(variance, 1e-12)), np.float64)


def _best(trial: Trial, mean: float, spread: float) -> NDArray[np.float64]:
    """Standardised similarity, whether it is right, and offset of the first answers of a search: float64 (3, m)."""
    first = np.argsort(-trial.similarities, kind="stable")[:_FIRST]
    offset = np.full(len(first), -np.log(max(1, len(trial.similarities))))
    z = _standardised(trial.similarities, mean, spread)[first]
    return np.stack([z, trial.right[first], offset])


def _regress(
    z: NDArray[np.float64], right: NDArray[np.float64], offsets: NDArray[np.float64]
) -> tuple[float, float]:
    """Logistic regression with an offset, by Newton's method; the ridge keeps separable data finite."""
    design = np.stack([np.ones_like(z), z], axis=1)
    weights = np.zeros(2)
    for _ in range(_STEPS):
        p = probability(design @ weights + offsets)
        gradient = design.T @ (right - p) - _RIDGE * weights
        hessian = (design * (p * (1 - p))[:, None]).T @ design + _RIDGE * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        step *= min(1.0, 10 / np.abs(step).max())  # a full step can overshoot where the data are separable
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return float(weights[0]), float(weights[1])
