"""Times of a telemetry against those of its video."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.telemetry.records import REACH_S

_ENOUGH = 0.5  # of the samples within the video, or of the video near a sample
_SINCE_1970 = 1e8  # seconds; no recording is three years long


def misfit(times: Sequence[float], begin: float, end: float) -> tuple[str, bool] | None:
    """What is wrong with samples at `times` of a video from `begin` to `end`, all in seconds.

    Returns:
        None if nothing is. Else a text, and whether they can be used nevertheless: a telemetry of a longer
        video that was cut can, one in another unit or of another video cannot.

    """
    if not times or not end > begin:
        return None
    ordered = np.sort(np.asarray(times, np.float64))
    inside = int(((ordered >= begin - REACH_S) & (ordered <= end + REACH_S)).sum())
    near = _covered(ordered, begin, end)
    if inside >= _ENOUGH * len(ordered) and near >= _ENOUGH * (end - begin):
        return None
    said = f"its times are {_span(ordered[0] - begin, ordered[-1] - begin)}, the video's {_span(0, end - begin)}"
    if near >= _ENOUGH * (end - begin):
        return f"{said}; {len(ordered) - inside} of {len(ordered)} samples lie outside the video", True
    if inside >= _ENOUGH * len(ordered):
        return f"{said}; {near:.1f} s of the video have telemetry", True
    return f"{said}; {_advice(ordered, begin, end)}", False


def _advice(ordered: NDArray[np.float64], begin: float, end: float) -> str:
    expected = "expected seconds from the beginning of the video"
    if ordered[0] > _SINCE_1970:
        return f"{expected}, not since 1970"
    if _ENOUGH / 2 * (end - begin) <= (ordered[-1] - begin) / 1000 <= end - begin + REACH_S:
        return f"{expected}; a column of milliseconds is named time_ms"
    return expected


def _covered(ordered: NDArray[np.float64], begin: float, end: float) -> float:
    """Seconds of the video near a sample."""
    lows, highs = np.clip(ordered - REACH_S, begin, end), np.clip(ordered + REACH_S, begin, end)
    overlap = np.maximum(highs[:-1] - lows[1:], 0).sum() if len(ordered) > 1 else 0.0
    return float((highs - lows).sum() - overlap)


def _span(begin: float, end: float) -> str:
    return f"{begin:.10g} s to {end:.10g} s"
