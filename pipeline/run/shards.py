"""Shards: independent processes, on one machine or many, that each fill a part of the flights' segments.

They share nothing but the workspace on a common file system, and need no coordinator: which segments a shard fills
depends only on its number and on the videos. They write parts; an ordinary run afterwards finds all parts and
finishes the stages. A shard that is lost costs the segments that it had not filled: run it again, or let the
ordinary run fill them.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, groupby, pairwise
from pathlib import Path

from annotate.errors import AnnotateError
from detector.errors import DetectorError
from pipeline.chain.table import FRAMES, TRACKS, ChainStage
from pipeline.config.flights import require_flights
from pipeline.config.models import FlightConfig
from pipeline.engine.fill import fill
from pipeline.engine.progress import Progress
from pipeline.errors import PipelineError
from pipeline.run.flight import Load, load_detector, open_configured, prepare, title_of, work_of
from pipeline.video import Segment
from pipeline.workspace.folders import open_flight
from pipeline.workspace.locks import turn


@dataclass(frozen=True)
class Shard:
    """Which part of the work a process does.

    Attributes:
        number: of this one, from 1.
        count: of all.

    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"expected 1 to {self.count} of {self.count}, not {self.number}")

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The shard that is written as I/N.

        Raises:
            ValueError: it is not.

        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if match is None:
            raise ValueError(f"expected I/N, such as 2/8, not '{text}'")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@dataclass(frozen=True)
class Share:
    """What a shard does of one flight.

    Attributes:
        video: of the flight.
        begin, end: of the flight from 0 to 1: the decoder runs whose middle is between them.

    """

    video: Path
    begin: Fraction
    end: Fraction

    def segments(self, segments: Sequence[Segment]) -> list[Segment]:
        """Those of a flight's `segments` that are in it; what one decoder makes in a go stays together."""
        frames = segments[-1].stop if segments else 0
        chosen: list[Segment] = []
        for _, group in groupby(segments, key=lambda segment: segment.run):
            run = list(group)
            if self.begin <= Fraction(run[0].first + run[-1].stop, 2 * frames) < self.end:
                chosen += run
        return chosen


@dataclass(frozen=True)
class Filled:
    """What a shard filled of one flight.

    Attributes:
        folder: of the flight.
        segments: number of those in its share.
        frames: in these.
        of: number of the flight's segments; 0: its stages were up to date.

    """

    folder: Path
    segments: int
    frames: int
    of: int


def shares(config: FlightConfig, shard: Shard) -> Iterator[Share]:
    """What `shard` does of each flight that it has a share of.

    The flights count by their size: laid end to end in the order of the configuration, they are cut into equal
    lengths. So each shard has to open only a few of them.

    Raises:
        PipelineError: as `require_flights`.

    """
    videos = require_flights(config)
    sizes = [max(1, sum(map(_size, config.parts_of(video)))) for video in videos]
    ends = list(accumulate(sizes, initial=0))
    cuts = [Fraction(ends[-1] * cut, shard.count) for cut in (shard.number - 1, shard.number)]
    for video, (begin, end) in zip(videos, pairwise(ends), strict=True):
        if begin < cuts[1] and cuts[0] < end:
            yield Share(video, *((cut - begin) / (end - begin) for cut in cuts))


def _size(video: Path) -> int:
    """Bytes of a video; 0 for one that cannot be read: the shard whose share it is says why."""
    try:
        files = video.iterdir() if video.is_dir() else [video]
        return sum(file.stat().st_size for file in files)
    except OSError:
        return 0


def run_shard(
    config: FlightConfig,
    shard: Shard,
    progress: Progress,
    report: Callable[[Filled], None],
    last: ChainStage = TRACKS,
    first: ChainStage = FRAMES,
    load: Load = load_detector,
) -> dict[Path, str]:
    """Fill the segments of `shard` for the segment stages up to `last`; `report` is given each flight.

    Args:
        config: the configuration: the same for all shards.
        shard: which part.
        progress: shows how far it is.
        report: is given what was filled of each flight.
        last: the last stage.
        first: the stages before it are taken as they were finished.
        load: gives the detector; it is loaded once.

    Returns:
        The videos that failed, and why.

    Raises:
        PipelineError: as `require_flights`.

    """
    kept = lru_cache(maxsize=1)(load)
    failed: dict[Path, str] = {}
    for share in shares(config, shard):
        try:
            report(_fill_share(config, share, progress, last, first, kept))
        except (PipelineError, DetectorError, AnnotateError) as error:
            failed[share.video] = str(error)
    return failed


def _fill_share(
    config: FlightConfig, share: Share, progress: Progress, last: ChainStage, first: ChainStage, load: Load
) -> Filled:
    video = share.video
    with open_flight(config.workspace, config.parts_of(video), config.name_of(video), shared=True) as flight:
        with turn(flight.folder):
            stages, stale = prepare(config, flight, last, first)
            for stage in stale:
                stage.folder.reopen()
        if not stale:
            return Filled(flight.folder, 0, 0, 0)
        work = work_of(config, open_configured(config, video), stale, stages, load)
        segments = share.segments(work.video.segments)
        frames = sum(segment.stop - segment.first for segment in segments)
        with progress(title_of(flight, stale), frames) as advance:
            fill(work, segments, advance)
        for stage in stale:
            stage.check_runtimes(work.video.segments)
        return Filled(flight.folder, len(segments), frames, len(work.video.segments))
