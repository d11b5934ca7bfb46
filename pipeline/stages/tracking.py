"""Detections of one person in successive frames become a tracklet; where it might be two persons, it is cut.

For labelling, a tracklet of two persons costs far more than a person of two tracklets: purity before length.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from detector.records import Detections
from pipeline.config.models import TracksConfig

_BUFFER_RATE = 30.0  # `trackers` counts its buffer of lost tracks in frames at this rate
_STILL = np.eye(2, 3, dtype=np.float32)
# Of frames more than _NEAR_S apart, boxes are enlarged for comparison by a share of their size on each side that
# grows with the time, up to _MOST: people who run leave the place of their box.
_NEAR_S, _GROWTH, _MOST = 0.1, 3.0, 0.5
_SAME_PLACE = 0.3  # IoU from which a detection just before a tracklet's begin belongs to it


class _StoredMotion:
    """Stands where BoT-SORT asks for the camera's motion: it was estimated in the pass over the video."""

    def __init__(self, motion: Mapping[int, NDArray[np.float32]]) -> None:
        self._motion = motion

    def estimate(self, frame: NDArray[np.int64], boxes: Any = None) -> NDArray[np.float32]:
        """The motion into the frame whose index is handed over in the picture's place."""
        return self._motion.get(int(frame), _STILL)

    def reset(self) -> None:
        """Nothing is kept from frame to frame."""


def link(
    detections: Mapping[int, Detections],
    motion: Mapping[int, NDArray[np.float32]],
    times: Mapping[int, float],
    config: TracksConfig,
) -> pd.DataFrame:
    """Number the persons of a video.

    Args:
        detections: by frame index; frames without a box may be absent.
        motion: float32 (2, 3) by frame index, as `pipeline.stages.motion.read_motion` gives it.
        times: seconds of every frame that was decoded, by frame index, rising.
        config: settings, with a `new_track_score`.

    Returns:
        A row a detection that belongs to a tracklet: `tracklet` (from 0), `frame`, `rank`; by tracklet, then frame.

    """
    import supervision
    from trackers.utils.iou import BIoU

    gap = _gap(times)
    overlap = BIoU(float(np.clip(_GROWTH * (gap - _NEAR_S), 0, _MOST)))
    tracker = _tracker(config, gap, overlap, motion)
    rows: list[tuple[int, int, int]] = []
    begun: dict[int, int] = {}  # tracklet -> its first frame
    unclaimed: dict[int, set[int]] = {}
    for frame, time in times.items():
        found = detections.get(frame, Detections.empty()).above(config.min_score)
        asked = supervision.Detections(
            xyxy=found.boxes.astype(np.float64), confidence=found.scores, data={"rank": np.arange(len(found))}
        )
        picture = np.array(frame) if config.method == "botsort" else None
        answer = tracker.update(asked, frame=picture, timestamp=time)
        ranks = answer.data.get("rank", np.zeros(0, int))
        unclaimed[frame] = {int(rank) for rank, number in zip(ranks, answer.tracker_id, strict=True) if number < 0}
        for rank, number in zip(ranks, answer.tracker_id, strict=True):
            if number >= 0:
                rows.append((int(number), frame, int(rank)))
                begun.setdefault(int(number), frame)
    rows += _first_boxes(rows, begun, unclaimed, detections, motion, list(times), overlap)
    table = pd.DataFrame(rows, columns=["tracklet", "frame", "rank"], dtype=np.int64)
    return table.sort_values(["tracklet", "frame"], ignore_index=True)


def _gap(times: Mapping[int, float]) -> float:
    """Seconds from a frame to the next, in the median."""
    gaps = np.diff(list(times.values())) if len(times) > 1 else np.array([1 / _BUFFER_RATE])
    return max(float(np.median(gaps)), 1e-3)


def _tracker(config: TracksConfig, gap: float, overlap: Any, motion: Mapping[int, NDArray[np.float32]]) -> Any:
    from trackers import BoTSORTTracker, ByteTrackTracker

    assert config.new_track_score is not None  # null is the threshold of crops, which is put in its place before
    common: dict[str, Any] = {
        "lost_track_buffer": round(config.max_gap_s * _BUFFER_RATE),
        "frame_rate": 1 / gap,
        "iou": overlap,
        "track_activation_threshold": config.new_track_score,
        "high_conf_det_threshold": config.high_score,
    }
    if config.method == "bytetrack":
        return ByteTrackTracker(**common)
    tracker: Any = BoTSORTTracker(**common)
    tracker.cmc = _StoredMotion(motion)
    return tracker


def _first_boxes(
    rows: list[tuple[int, int, int]],
    begun: Mapping[int, int],
    unclaimed: Mapping[int, set[int]],
    detections: Mapping[int, Detections],
    motion: Mapping[int, NDArray[np.float32]],
    frames: list[int],
    overlap: Any,
) -> list[tuple[int, int, int]]:
    """The detection before each tracklet's first: trackers number a person only when seen twice."""
    before = dict(zip(frames[1:], frames, strict=False))
    first = {(number, frame): rank for number, frame, rank in rows if begun[number] == frame}
    found = []
    for (number, frame), rank in sorted(first.items()):
        earlier = before.get(frame)
        candidates = sorted(unclaimed.get(earlier, set())) if earlier is not None else []
        if earlier is None or not candidates:
            continue
        boxes = _moved(detections[earlier].boxes[candidates], motion.get(frame, _STILL))
        overlaps = overlap.compute(boxes, detections[frame].boxes[rank][None])[:, 0]
        best = int(overlaps.argmax())
        if overlaps[best] >= _SAME_PLACE:
            found.append((number, earlier, candidates[best]))
            unclaimed[earlier].discard(candidates[best])
    return found


def _moved(boxes: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """`boxes` (n, 4) carried along by the camera's motion: their middles move, their sizes scale."""
    middles, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    middles = middles @ matrix[:, :2].T + matrix[:, 2]
    sizes = sizes * float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    return np.asarray(np.concatenate([middles - sizes / 2, middles + sizes / 2], axis=1), np.float32)


def split_at_jumps(table: pd.DataFrame, looks: pd.DataFrame, config: TracksConfig) -> pd.DataFrame:
    """Cut each tracklet where the person's appearance changes, and number all anew in order of their begin.

    Appearance changes where the mean descriptors of the `window` detections before and after differ, by their
    cosine, more than `config.split_below` allows; of neighbouring places the clearest is cut.

    Args:
        table: as `link` gives it.
        looks: `frame`, `rank`, `look` (float32 (d,), length 1), as `stages.appearance.read_descriptors` gives it.
        config: settings.

    """
    merged = table.merge(looks, on=["frame", "rank"], how="left") if config.split_below else table
    parts: list[pd.DataFrame] = []
    for _, rows in merged.groupby("tracklet", sort=True):
        cuts = jumps(_filled(rows["look"]), config.window, config.split_below) if config.split_below else []
        bounds = [0, *cuts, len(rows)]
        parts += [rows.iloc[start:stop] for start, stop in pairwise(bounds)]
    parts = [rows for rows in parts if len(rows) >= config.min_length]
    parts.sort(key=lambda rows: (rows["frame"].iloc[0], rows["rank"].iloc[0]))
    columns = ["tracklet", "frame", "rank"]
    if not parts:
        return pd.DataFrame(columns=columns, dtype=np.int64)
    return pd.concat([rows.assign(tracklet=number) for number, rows in enumerate(parts)], ignore_index=True)[
        columns
    ]


def _filled(looks: Any) -> NDArray[np.float32]:
    """Descriptors as a matrix (n, d); a detection without one looks like the one before it."""
    known = looks.ffill().bfill()
    if known.isna().all():
        return np.zeros((len(looks), 1), np.float32)
    return np.array(known.to_list(), np.float32)


def jumps(looks: NDArray[np.float32], window: int, split_below: float) -> list[int]:
    """Where a sequence of descriptors (n, d) changes: indices of the first row of something new."""
    count = len(looks)
    if count < 2 or not looks.any():
        return []
    sums = np.concatenate([np.zeros((1, looks.shape[1])), np.cumsum(looks, axis=0, dtype=np.float64)])
    places = np.arange(1, count)
    before = sums[places] - sums[np.maximum(places - window, 0)]
    after = sums[np.minimum(places + window, count)] - sums[places]
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    alike = (before * after).sum(axis=1) / np.maximum(lengths, 1e-9)
    cuts: list[int] = []
    for place in np.argsort(alike, kind="stable"):
        if alike[place] >= split_below:
            break
        if all(abs(int(places[place]) - cut) >= window for cut in cuts):
            cuts.append(int(places[place]))
    return sorted(cuts)
