"""The chain over all flights of a configuration, up to the tracklets.

One bad flight of forty is reported at the end and does not stop the others.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path

from annotate.errors import AnnotateError
from detector.errors import DetectorError
from pipeline.chain.table import FRAMES, TRACKS, ChainStage, is_before
from pipeline.config.flights import require_flights
from pipeline.config.models import FlightConfig
from pipeline.engine.progress import Progress
from pipeline.errors import PipelineError
from pipeline.run.ahead import Ahead
from pipeline.run.flight import load_detector, run_linking, run_segment_stages
from pipeline.workspace.stage import StageResult


def run_flights(
    config: FlightConfig,
    progress: Progress,
    report: Callable[[StageResult], None],
    last: ChainStage = TRACKS,
    first: ChainStage = FRAMES,
) -> dict[Path, str]:
    """Bring all flights up to date, up to `last`, at most the tracklets; `report` is given each stage.

    Stages before `first` are taken as they were finished. The detector is loaded once for all. While a flight's
    detections are linked, the next one is already decoded; while it is decoded, the one after it is read ahead.

    Returns:
        The videos that failed, and why; the others are done.

    Raises:
        PipelineError: no video is named, or two would share a folder.

    """
    load = lru_cache(maxsize=1)(load_detector)
    failed: dict[Path, str] = {}
    linking: list[tuple[Path, Future[list[StageResult]]]] = []  # of the flight before, or nothing

    @contextmanager
    def alone(video: Path) -> Iterator[None]:
        """Keep what fails within: it is of this flight alone."""
        try:
            yield
        except (PipelineError, DetectorError, AnnotateError) as error:
            failed[video] = str(error)

    def finish_linking() -> None:
        while linking:
            video, linked = linking.pop()
            with alone(video):
                for result in linked.result():
                    report(result)

    videos = require_flights(config)
    ahead = Ahead()
    with ThreadPoolExecutor(1, thread_name_prefix="link") as worker:
        for video, following in zip_longest(videos, videos[1:]):
            present, ahead = ahead, Ahead()
            if following is not None:
                ahead.begin(config, following, last)
            with alone(video):
                try:
                    results = run_segment_stages(config, video, last, progress, load, first, present)
                finally:
                    finish_linking()  # the last line on a flight comes before the first on the next
                for result in results:
                    report(result)
                if not is_before(last, TRACKS):
                    linking.append((video, worker.submit(run_linking, config, video, first)))
        finish_linking()
    return failed
