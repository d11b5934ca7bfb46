"""Frames of a video or folder of images, as samples for a command."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SEGMENT = 30  # frames, or up to the next frame at which decoding can begin


def spread(path: Path, count: int) -> "Iterator[NDArray[np.uint8]]":
    """Up to `count` frames, spread over a video or folder."""
    from pipeline.video import open_video

    video = open_video(path, segment_frames=_SEGMENT)
    each = max(1, len(video.segments) // count)
    chosen = video.segments[::each]
    step = max(1, sum(segment.stop - segment.first for segment in chosen) // count)
    frames = (frame for segment in chosen for frame in video.read(segment))
    return (frame.image for frame in islice(frames, 0, count * step, step))
