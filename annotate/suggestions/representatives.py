"""The crops that represent a tracklet on the screen: sharp ones that differ from each other."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from annotate.records import Detection

_POOL = 96  # candidates: the sharpest crop of each of at most 96 stretches of the tracklet
_TIME_WEIGHT = 0.5  # of the distance in time, relative to the distance of descriptors


def representatives(
    detections: Sequence[Detection], vectors: NDArray[np.float32], count: int
) -> tuple[Detection, ...]:
    """At most `count` of `detections`, in order of time.

    The first is the clearest; each further one is the farthest, by descriptor and time, from those chosen, where a
    blurred crop counts for less (farthest point sampling, Gonzalez 1985).

    Args:
        detections: of one tracklet, in order of time; those without a crop are left out.
        vectors: float32 (len(detections), d), of length 1 each.
        count: how many, at most.

    """
    shown = [place for place, each in enumerate(detections) if each.crop is not None]
    if not shown:
        return ()
    clear = np.array([_clearness(each) for each in detections])
    pool = np.array([max(part, key=lambda place: clear[place]) for part in _stretches(shown)])
    weight = clear[pool] / clear[pool].max()
    times = np.array([detections[place].time for place in pool])
    times = (times - times[0]) / max(times[-1] - times[0], 1e-9)
    descriptors = vectors[pool]
    chosen = [int(weight.argmax())]
    nearest = np.full(len(pool), np.inf)
    while len(chosen) < min(count, len(pool)):
        last = chosen[-1]
        apart = (1 - descriptors @ descriptors[last]) + _TIME_WEIGHT * np.abs(times - times[last])
        nearest = np.minimum(nearest, apart)
        gain = nearest * weight
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
    return tuple(detections[pool[place]] for place in sorted(chosen))


def _clearness(detection: Detection) -> float:
    """Larger and sharper is clearer; a logarithm, since contrast alone makes sharpness vary by a factor of ten."""
    _, y1, _, y2 = detection.box
    return float(np.log1p(detection.sharpness) * np.sqrt(y2 - y1)) + 1e-6


def _stretches(places: Sequence[int]) -> list[Sequence[int]]:
    bounds = np.linspace(0, len(places), min(len(places), _POOL) + 1).astype(int)
    return [places[start:stop] for start, stop in itertools.pairwise(bounds)]
