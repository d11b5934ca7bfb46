"""Metrics of tracklets against a ground truth: HOTA, IDF1, MOTA, identity switches, purity."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import Tracked, iou
from pipeline.groundtruth.read import Truth, inside


@dataclass(frozen=True)
class TrackScore:
    """Result of `score_tracks`.

    Attributes:
        hota: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021.
        idf1: Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking", 2016.
        mota: Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance", 2008.
        switches: number of times that a person changes to another tracklet.
        purity: of the boxes on a person, the share on the most frequent person of their tracklet.
        tracklets: with a box on a person.
        persons: in the ground truth.

    """

    hota: float
    idf1: float
    mota: float
    switches: int
    purity: float
    tracklets: int
    persons: int


def score_tracks(truth: Mapping[int, Truth], tracked: Mapping[int, Tracked], min_iou: float = 0.5) -> TrackScore:
    """Score `tracked` against the ground truth, both by frame index, over the annotated frames.

    A box on a person who is not evaluated, or on nobody in a region without annotations, is left out before
    anything is counted, as MOTChallenge does with its distractors. The measures themselves are those of `trackers`.
    """
    from trackers.eval import compute_clear_metrics, compute_hota_metrics, compute_identity_metrics

    nothing = Tracked(np.zeros((0, 4)), np.zeros(0, np.int64))
    persons, numbers, overlaps = [], [], []
    for frame in sorted(truth):
        here, found = truth[frame], tracked.get(frame, nothing)
        overlap = iou(here.boxes, found.boxes)
        counted = ~_not_judged(overlap, here.evaluated, min_iou, inside(found.boxes, here.regions))
        persons.append(here.identities[here.evaluated])
        numbers.append(found.tracklets[counted])
        overlaps.append(overlap[here.evaluated][:, counted])
    persons, numbers = _dense(persons), _dense(numbers)
    clear = compute_clear_metrics(persons, numbers, overlaps, threshold=min_iou)
    identity = compute_identity_metrics(persons, numbers, overlaps, threshold=min_iou)
    hota = compute_hota_metrics(persons, numbers, overlaps)
    purity, tracklets = _purity(persons, numbers, overlaps, min_iou)
    return TrackScore(
        hota=float(hota["HOTA"]),
        idf1=float(identity["IDF1"]),
        mota=float(clear["MOTA"]),
        switches=int(clear["IDSW"]),
        purity=purity,
        tracklets=tracklets,
        persons=len(np.unique(np.concatenate(persons))) if persons else 0,
    )


def _not_judged(
    overlap: NDArray[np.float64], evaluated: NDArray[np.bool_], min_iou: float, in_region: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which boxes (columns of `overlap`) belong to a person who is not evaluated, or are in a region.

    As MOTChallenge's kit does, boxes and all persons are matched one to one, with the greatest sum of overlaps: a
    second box on the same distractor is wrong.
    """
    from scipy.optimize import linear_sum_assignment

    on: NDArray[np.bool_] = overlap >= min_iou
    persons, boxes = linear_sum_assignment(np.where(on, overlap, 0), maximize=True)
    matched = on[persons, boxes] & ~evaluated[persons]
    left_out = in_region & ~on[evaluated].any(axis=0)
    left_out[boxes[matched]] = True
    return left_out


def _dense(rows: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """The same numbers from 0 up without holes, as `trackers` wants them."""
    if not rows:
        return []
    _, dense = np.unique(np.concatenate(rows), return_inverse=True)
    return [np.asarray(part) for part in np.split(dense, np.cumsum([len(row) for row in rows])[:-1])]


def _purity(
    persons: list[NDArray[np.int64]],
    numbers: list[NDArray[np.int64]],
    overlaps: list[NDArray[np.float64]],
    min_iou: float,
) -> tuple[float, int]:
    """Share of boxes on their tracklet's main person, and how many tracklets have one."""
    seen: dict[int, dict[int, int]] = {}
    for here, found, overlap in zip(persons, numbers, overlaps, strict=True):
        for column, number in enumerate(found):
            if len(here) and overlap[:, column].max() >= min_iou:
                counts = seen.setdefault(int(number), {})
                person = int(here[overlap[:, column].argmax()])
                counts[person] = counts.get(person, 0) + 1
    boxes = sum(sum(counts.values()) for counts in seen.values())
    pure = sum(max(counts.values()) for counts in seen.values())
    return (pure / boxes if boxes else float("nan")), len(seen)
