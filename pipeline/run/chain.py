"""The whole chain over all flights: up to the tracklets, and on from the labels where these are complete."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.chain.table import DATASET, FRAMES, LABEL, REPORT, STEPS, TRACKS, ChainStage, is_before
from pipeline.config.models import FlightConfig
from pipeline.engine.progress import Progress, TrainingProgress
from pipeline.labelling.progress import LabellingProgress, labelling_progress
from pipeline.run.flights import run_flights
from pipeline.run.from_labels import run_from_labels
from pipeline.run.named_files import check_named_files
from pipeline.run.ray_engine import run_flights_on_ray
from pipeline.workspace.stage import StageResult


@dataclass(frozen=True)
class Reports:
    """What is called while the chain runs.

    Attributes:
        stage: with each stage that is up to date.
        failed: with the videos that failed, and why, after the last flight.
        labels: with the progress of labelling, where the chain needs labels.

    """

    stage: Callable[[StageResult], None]
    failed: Callable[[Mapping[Path, str]], None]
    labels: Callable[[LabellingProgress], None]


def run_chain(
    config: FlightConfig,
    progress: Progress,
    training_progress: TrainingProgress,
    reports: Reports,
    first: ChainStage = FRAMES,
    last: ChainStage = REPORT,
) -> None:
    """Run the chain from `first` to `last`; stages that are up to date are skipped.

    It stops after the tracklets where some have no label, and only the report is written. A flight that fails does
    not stop the others. From the data set on, the labels that are there are used.

    Raises:
        PipelineError, AnnotateError, DetectorError, ReidError: as `run_from_labels`; a file that the configuration
            names does not exist; no video is named.

    """
    check_named_files(config, first, last)
    failed: Mapping[Path, str] = {}
    if is_before(first, LABEL):
        run = run_flights_on_ray if config.engine.name == "ray" else run_flights
        failed = run(config, progress, reports.stage, min(last, TRACKS, key=STEPS.index), first)
        reports.failed(failed)
    if not is_before(LABEL, last):
        return
    if is_before(LABEL, first):
        run_from_labels(config, progress, training_progress, reports.stage, last, first)
        return
    labelling = None if failed else labelling_progress(config.workspace)
    if labelling is not None:
        reports.labels(labelling)
    if labelling is not None and labelling.is_complete:
        run_from_labels(config, progress, training_progress, reports.stage, last, DATASET)
    elif last is REPORT and len(failed) < len(config.flights):
        run_from_labels(config, progress, training_progress, reports.stage, last, REPORT)
