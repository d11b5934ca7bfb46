"""One pass over a video in this process: begin the stages, fill all segments, finish the stages."""

import time
from collections.abc import Callable

from pipeline.engine.fill import Work, fill


def run_pass(work: Work, advance: Callable[[int], None]) -> None:
    """Bring every stage of `work` to its end; the caller has the flight locked.

    Args:
        work: the video, and the stages that are stale.
        advance: called with numbers of frames that are finished.

    Raises:
        PipelineError: the video changed, or a part disappeared before its stage was finished.

    """
    started = time.monotonic()
    for stage in work.stages:
        stage.folder.begin()
    fill(work, work.video.segments, advance)
    for stage in work.stages:
        stage.end(work.video.segments, time.monotonic() - started)
