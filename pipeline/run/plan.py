"""The plan of a run: stages that would run, and why; nothing is run."""

from collections.abc import Iterator
from dataclasses import dataclass

from annotate.log.store import LABELS, LabelStore
from pipeline.chain.table import DATASET, EVALUATE, FRAMES, LABEL, REPORT, TRACKS, TRAIN, ChainStage, is_before
from pipeline.config.flights import require_flights
from pipeline.config.models import FlightConfig
from pipeline.dataset.stage import dataset_stage, finished_dataset
from pipeline.labelling.progress import LabellingProgress, labelling_progress
from pipeline.relinking.keep import outlook
from pipeline.run.flight import describe
from pipeline.run.from_labels import training_of
from pipeline.workspace.folders import open_flight
from pipeline.workspace.manifest import StageFolder


@dataclass(frozen=True)
class Planned:
    """A stage of a flight, and why a run would do it.

    Attributes:
        flight: its name; "" for what is of all flights.
        stage: its name.
        reason: why it would run; empty: it is up to date, and is skipped.

    """

    flight: str
    stage: str
    reason: str


def plan_flights(config: FlightConfig, last: ChainStage = TRACKS, first: ChainStage = FRAMES) -> Iterator[Planned]:
    """What `run_flights` would do.

    Raises:
        PipelineError, DetectorError: as a run would end at once.

    """
    for video in require_flights(config):
        with open_flight(config.workspace, config.parts_of(video), config.name_of(video)) as flight:
            stages = describe(config, flight, last, first)
            reasons = {stage.name: stage.why_stale() for stage in stages}
            labels = outlook(flight.folder, stages, [stage for stage in stages if reasons[stage.name]])
            for name, reason in reasons.items():
                told = labels if name == last.name else ""
                yield Planned(config.name_of(video), name, "; ".join(filter(None, (reason, told))))


def plan_from_labels(
    config: FlightConfig, last: ChainStage = REPORT, first: ChainStage = DATASET
) -> Iterator[Planned]:
    """What comes after the flights; where `first` is a stage of theirs, only once all tracklets have a label.

    Raises:
        AnnotateError: the labels are damaged.

    """
    done = labelling_progress(config.workspace)
    if is_before(first, LABEL) and not done.is_complete:
        yield Planned("", LABEL.name, str(done))
    elif is_before(first, REPORT):
        yield from _plan_dataset(config, last, first, done)
    if last is REPORT:
        yield Planned("", REPORT.name, "written each time")


def _plan_dataset(
    config: FlightConfig, last: ChainStage, first: ChainStage, done: LabellingProgress
) -> Iterator[Planned]:
    folder, stale = StageFolder(config.workspace / DATASET.folder), ""
    if not is_before(DATASET, first):
        if not (config.workspace / LABELS).is_file():
            yield Planned("", LABEL.name, str(done))
            return
        with LabelStore(config.workspace / LABELS, write=False) as store:
            stale = dataset_stage(config.workspace, config.dataset, store).why_stale()
        yield Planned("", DATASET.name, stale)
    if is_before(last, TRAIN):
        return
    if stale or folder.manifest() is None:
        steps = [TRAIN] * (config.reid.recipe is not None) + [EVALUATE] * (not is_before(last, EVALUATE))
        reason = "not done yet" if folder.manifest() is None else "another data set"
        yield from (Planned("", step.name, reason) for step in steps)
        return
    training = training_of(config, folder.path)
    if training.recipe and not is_before(TRAIN, first):
        yield Planned("", TRAIN.name, "" if training.weights.is_file() else "not done yet")
    if not is_before(last, EVALUATE):
        evaluation = training.evaluation(finished_dataset(config.workspace).counts["protocol"])
        yield Planned("", EVALUATE.name, evaluation.why_stale() if evaluation else "not done yet")
