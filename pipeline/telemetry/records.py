"""Telemetry as a function of time."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

# name -> least and greatest value that can be; the names are columns of frames.parquet.
LIMITS = {
    "altitude_m": (-1000.0, 10_000.0),  # above the place of take-off
    "latitude": (-90.0, 90.0),  # degrees north, WGS 84
    "longitude": (-180.0, 180.0),  # degrees east
    "heading_deg": (-360.0, 360.0),  # of the camera, clockwise from north
    "pitch_deg": (-180.0, 180.0),  # of the camera: 0 level, -90 straight down
}
COLUMNS = tuple(LIMITS)
REACH_S = 1.5  # a sample speaks for this time before and after it; recorders that write seldom write every second
_POSITION = {"latitude", "longitude"}
_ROUND = {"longitude": 360.0, "heading_deg": 360.0}  # these go round: from 179 to -179 are 2 degrees


class Telemetry:
    """Samples of the drone's telemetry, with interpolation between them."""

    def __init__(self, times: Sequence[float], samples: Sequence[Mapping[str, float]]) -> None:
        """Take `samples`, each with some of `COLUMNS`, at `times` (seconds of the video), in any order."""
        self._tracks: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        for name in COLUMNS:
            known = {time: sample[name] for time, sample in zip(times, samples, strict=True) if name in sample}
            if known:
                ordered = sorted(known)
                values = np.array([known[time] for time in ordered], np.float64)
                if name in _ROUND:
                    values = np.unwrap(values, period=_ROUND[name])
                self._tracks[name] = (np.array(ordered, np.float64), values)

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return bool(self._tracks)

    def samples(self) -> dict[float, dict[str, float]]:
        """What was taken, by time."""
        found: dict[float, dict[str, float]] = {}
        for name, (times, values) in self._tracks.items():
            for time, value in zip(times.tolist(), values.tolist(), strict=True):
                found.setdefault(time, {})[name] = value
        return found

    def at(self, time: float) -> dict[str, float | None]:
        """Each of `COLUMNS` at `time` seconds, between two samples linearly.

        None where no sample is within 1.5 s: nothing is extrapolated far, and no long gap is bridged.
        """
        return {name: self._value(name, time) for name in COLUMNS}

    def _value(self, name: str, time: float) -> float | None:
        times, values = self._tracks.get(name, (np.empty(0), np.empty(0)))
        if not len(times) or not math.isfinite(time):
            return None
        after = int(np.searchsorted(times, time))
        nearest = np.abs(times[max(after - 1, 0) : after + 1] - time).min()
        if nearest > REACH_S:
            return None
        value = float(np.interp(time, times, values))
        if name in _ROUND and abs(value) > _ROUND[name] / 2:
            value = (value + _ROUND[name] / 2) % _ROUND[name] - _ROUND[name] / 2
        return value


def joined(parts: Iterable[tuple[float, Telemetry]]) -> Telemetry:
    """One telemetry of several, each `offset` seconds later than its own times say."""
    samples = [(offset + time, sample) for offset, each in parts for time, sample in each.samples().items()]
    return Telemetry([time for time, _ in samples], [sample for _, sample in samples])


def no_telemetry() -> Telemetry:
    """The telemetry of a video without any."""
    return Telemetry([], [])


def checked(sample: Mapping[str, float]) -> tuple[dict[str, float], str]:
    """What of a sample can be used, and what is wrong with it in words; every reader passes its samples here.

    A position of exactly 0, 0 means that the receiver had none yet; half a position is none.

    Returns:
        The sample, without such a position; and a text that is empty if each value is possible.

    """
    used = dict(sample)
    if used.get("latitude", 0) == 0 == used.get("longitude", 0) or len(used.keys() & _POSITION) == 1:
        used = {name: value for name, value in used.items() if name not in _POSITION}
    for name, value in used.items():
        least, greatest = LIMITS[name]
        if not least <= value <= greatest:
            return used, f"{name} is {value:g}, expected {least:g} to {greatest:g}"
    return used, ""
