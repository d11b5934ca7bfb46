"""Frames that a damaged container no longer announces, known by the bytes that no packet accounts for.

An mp4 lists its packets in one place and announces them all. In other containers each packet announces itself,
and a hole in the file swallows it whole. A hole alone means little (an index, a title, padding), and so does a
step in the time stamps alone (a pause of the recording): both together are damage.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_PADDING = 2048  # bytes between two packets that need no explanation
_TRAILER = 65536  # bytes behind the last packet that need none: an index, tags
_OVERHEAD = 0.05  # of the size of a packet: MPEG-TS adds 2 to 3 %
_STEP = 1.5  # times the usual step between two frames: one frame is missing


def find_gaps(
    spans: NDArray[np.int64],
    video: NDArray[np.int64],
    pts: NDArray[np.int64],
    shown: NDArray[np.bool_],
    *,
    times_count_packets: bool,
) -> Iterator[tuple[int, str]]:
    """Places where frames are missing, as (rank of the next video packet, reason).

    Args:
        spans: int64 (m, 2): place and size in bytes of every packet of every stream.
        video: int64 (n,): places of the video packets in the order of the file.
        pts: int64 (n,): their time stamps.
        shown: bool (n,): those that announce a frame.
        times_count_packets: the time stamps only count the packets, and a hole leaves no step in them.
    """
    order = np.argsort(spans[:, 0], kind="stable")
    start, size = spans[order, 0], spans[order, 1]
    stop = np.maximum.accumulate(start + size)[:-1]
    holes = np.flatnonzero(start[1:] - stop > _PADDING + _OVERHEAD * size[:-1])
    ascending = np.sort(pts[shown])
    steps = np.diff(ascending)
    if not len(steps):
        return
    usual = float(np.median(steps))
    for hole in holes:
        rank = int(np.searchsorted(video, start[hole + 1]))
        if rank == 0 or rank == len(video):
            continue
        near = int(np.searchsorted(ascending, pts[rank]))
        step = float(steps[max(0, near - 8) : near + 8].max())
        lost = int(start[hole + 1] - stop[hole])
        if step > _STEP * usual:
            yield rank, f"{lost} bytes belong to nothing, about {round(step / usual) - 1} frames are missing"
        elif times_count_packets:
            yield rank, f"{lost} bytes belong to nothing, frames are missing and later time stamps too early"


def trailing_gap(
    end: int, file_size: int, end_s: float, promised_s: float | None, in_fragments: bool
) -> str | None:
    """Why the end of the video seems to be missing, None if it does not.

    Args:
        end: place in bytes behind the last packet.
        file_size: in bytes.
        end_s: end of the last frame of any stream, in seconds.
        promised_s: what the header says about it; None where headers are not to be trusted or say nothing.
        in_fragments: an mp4 whose index is spread over the file.
    """
    if promised_s is not None and promised_s - end_s > max(0.02 * promised_s, 0.25):
        return f"the header promises {promised_s:.2f} s, it ends at {end_s:.2f} s"
    if in_fragments and file_size - end > _TRAILER:
        return f"the last {file_size - end} bytes of the file belong to nothing"
    return None
