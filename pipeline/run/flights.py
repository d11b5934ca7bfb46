"""The chain over all flights of a configuration: up to the labels without anybody's help, and on from there.

What holds is skipped, as everywhere. One bad flight of forty is told at the end and does not stop the others.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from annotate.log.store import LABELS
from annotate.project import Project
from detector.errors import DetectorError
from pipeline.config.models import FlightConfig, require_flights
from pipeline.engine.progress import Progress
from pipeline.errors import PipelineError
from pipeline.run.flight import (
    PIXEL_STAGES,
    StageResult,
    load_detector,
    open_stages,
    run_linking,
    run_stages,
    tracks_depend_on,
)
from pipeline.workspace.folders import flight_name
from pipeline.workspace.manifest import StageFolder, stage_fingerprint

Step = Literal["frames", "detect", "crops", "tracks", "dataset", "evaluate", "report"]


@dataclass(frozen=True)
class Labelling:
    """How far the labelling of a workspace is.

    Attributes:
        labelled: tracklets that have a label.
        tracklets: those that have a crop, and so can get one.

    """

    labelled: int
    tracklets: int


@dataclass(frozen=True)
class Planned:
    """A stage of a flight, and what a run would do there.

    Attributes:
        flight: its name; "" for what is of all flights.
        stage: its name.
        reason: why it would run; empty: it holds, and is skipped.

    """

    flight: str
    stage: str
    reason: str


def run_flights(
    config: FlightConfig,
    until: Step,
    progress: Progress,
    report: Callable[[StageResult], None],
    since: Step = "frames",
) -> dict[Path, str]:
    """Bring all flights up to date, up to `until`; `report` is told of each stage.

    Stages before `since` are taken as they are.

    The detector is loaded once for all. While a flight's detections are linked, the next one is already decoded.

    Returns:
        The videos that failed, and why; the others are done.

    Raises:
        PipelineError: no video is named, or two would share a folder.

    """
    load = lru_cache(maxsize=1)(load_detector)
    last = until if until in PIXEL_STAGES else PIXEL_STAGES[-1]
    failed: dict[Path, str] = {}
    linking: list[tuple[Path, Future[StageResult]]] = []  # of the flight before, or nothing

    @contextmanager
    def alone(video: Path) -> Iterator[None]:
        """What fails within is kept: it is of this flight alone."""
        try:
            yield
        except (PipelineError, DetectorError) as error:
            failed[video] = str(error)

    def finish_linking() -> None:
        while linking:
            video, linked = linking.pop()
            with alone(video):
                report(linked.result())

    with ThreadPoolExecutor(1, thread_name_prefix="link") as worker:
        for video in require_flights(config):
            with alone(video):
                try:
                    results = run_stages(config, video, last, progress, load, since)
                finally:
                    finish_linking()  # the last line on a flight comes before the first on the next
                for result in results:
                    report(result)
                if until not in PIXEL_STAGES:
                    linking.append((video, worker.submit(run_linking, config, video, since)))
        finish_linking()
    return failed


def labelling(workspace: Path) -> Labelling:
    """How far the labelling of `workspace` is.

    Raises:
        AnnotateError: its tables, crops or labels are damaged.

    """
    if not (workspace / LABELS).exists():
        return Labelling(0, 0)
    project = Project(workspace)
    try:
        with project.reading() as state:
            done = project.progress(state, "")
        return Labelling(done.labelled, done.tracklets)
    finally:
        project.close()


def plan(config: FlightConfig, until: Step, since: Step = "frames") -> Iterator[Planned]:
    """What `run_flights` would do, and why; nothing is done.

    Raises:
        PipelineError, DetectorError: as a run would end at once.

    """
    last = until if until in PIXEL_STAGES else PIXEL_STAGES[-1]
    for video in require_flights(config):
        flight = flight_name(video)
        with open_stages(config, video, last, since) as (opened, stages):
            for stage in stages:
                reason = "" if stage.is_current() else reason_to_run(stage.folder, stage.inputs, stage.section)
                yield Planned(flight, stage.name, reason)
            if until not in PIXEL_STAGES:
                inputs, section = tracks_depend_on(config, stages)
                folder = opened.stage("tracks")
                holds = folder.is_current(stage_fingerprint("tracks", inputs, section))
                yield Planned(flight, "tracks", "" if holds else reason_to_run(folder, inputs, section))


def reason_to_run(folder: StageFolder, inputs: Mapping[str, Any], section: Mapping[str, Any]) -> str:
    """Why a stage that does not hold would run: what of `inputs` and `section` is not as it was."""
    manifest = folder.manifest()
    if manifest is None:
        return "was begun, not finished" if any(folder.path.glob("*")) else "not done yet"
    before, settings = manifest["inputs"], manifest["section"]
    changes = [f"other {name.replace('_', ' ')}" for name in inputs if before.get(name) != inputs[name]]
    changes += [
        f"{name} {settings.get(name)} is now {value}"
        for name, value in section.items()
        if settings.get(name) != value
    ]
    return ", ".join(changes) or "a file is damaged or gone"
