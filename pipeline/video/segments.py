"""Segments of a video: their first frames, and the packets from which a decoder makes each."""

import numpy as np
from numpy.typing import NDArray

from pipeline.video.records import Run, Segment


def plan_segments(
    frame_count: int, clean_frames: NDArray[np.int64], clean_packets: NDArray[np.int64], segment_frames: int
) -> tuple[Segment, ...]:
    """Cut `frame_count` frames into segments.

    A boundary is at the first clean key frame that is `segment_frames` or more after the last boundary;
    where twice that many frames have none, a boundary is forced after `segment_frames`, and the decoder
    starts from the last clean key frame before it. Forced segments of the same key frame share one run.

    Args:
        frame_count: number of frames.
        clean_frames: int64 (k,), ascending: indices of frames on which a fresh decoder may start.
        clean_packets: int64 (k,): the ranks of their packets.
        segment_frames: see above.

    Example: 1,000 frames with clean key frames 0 and 300, 256 a segment: 0–300, 300–556, 556–812, 812–1,000.
    """
    starts = [0]
    while True:
        earliest = starts[-1] + segment_frames
        at = int(np.searchsorted(clean_frames, earliest))
        found = at < len(clean_frames) and clean_frames[at] < earliest + segment_frames
        start = int(clean_frames[at]) if found else earliest
        if start >= frame_count:
            break
        starts.append(start)
    stops = [*starts[1:], frame_count]

    before = np.searchsorted(clean_frames, starts, side="right") - 1
    anchors = [int(clean_packets[at]) if at >= 0 else 0 for at in before]
    runs: dict[int, Run] = {}
    for anchor, first, stop in zip(anchors, starts, stops, strict=True):
        runs[anchor] = Run(anchor, runs[anchor].first if anchor in runs else first, stop)
    return tuple(
        Segment(number, first, stop, runs[anchor])
        for number, (first, stop, anchor) in enumerate(zip(starts, stops, anchors, strict=True))
    )
