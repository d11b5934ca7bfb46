"""The chain over one flight: what its stages are made from, and which of them to run.

`run_stages` is what `make STAGE`, `uavpipe STAGE` and `uavpipe run` call.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from annotate.log.store import LABELS
from detector.backends.load import load_predictor
from detector.backends.protocol import PersonDetector
from detector.config import DetectorConfig
from detector.models.weights import WeightsSource, source_of
from pipeline.chain.table import DETECT, FRAMES, LABEL, OVERLAY, TRACKS, ChainStage, is_before, stage_named
from pipeline.config.models import FlightConfig
from pipeline.engine.fill import Work
from pipeline.engine.progress import Progress, announce
from pipeline.engine.segment_stage import SegmentStage
from pipeline.engine.single_pass import run_pass
from pipeline.errors import PipelineError
from pipeline.privacy.redactions import open_redacted
from pipeline.relinking.carry_over import NOT_CARRIED, carry_over
from pipeline.relinking.keep import check_same, keep_boxes
from pipeline.run.ahead import Ahead
from pipeline.run.failures import recorded
from pipeline.run.tiles import decide_tiles, with_decided_tiles
from pipeline.run.unusable import warn_of_gaps, warn_of_nothing, warn_of_standstill
from pipeline.sightings.names import read_names
from pipeline.sightings.places import remember_places
from pipeline.stages.appearance import AppearanceStage
from pipeline.stages.crops import CropsStage
from pipeline.stages.detect import SCHEMA, DetectStage, source_of_import
from pipeline.stages.frames import FramesStage
from pipeline.stages.motion import MotionStage
from pipeline.stages.overlay import write_overlay
from pipeline.stages.tracks import TracksStage, link_flight, write_tracklets
from pipeline.telemetry import find_flight_telemetry
from pipeline.telemetry.ground_plane import remember_camera
from pipeline.telemetry.terrain import remember_terrain
from pipeline.telemetry.wall_clock import remember_clock
from pipeline.video import Video, colours_of, open_video
from pipeline.workspace.folders import Flight, open_flight
from pipeline.workspace.stage import Stage, StageResult
from pipeline.workspace.tables import read_file

_S = TypeVar("_S", bound=Stage)
Load = Callable[[DetectorConfig, WeightsSource], PersonDetector]
Execute = Callable[[Work, Callable[[int], None]], None]

log = logging.getLogger("uavpipe")


def load_detector(config: DetectorConfig, source: WeightsSource) -> PersonDetector:
    """The detector with the weights of `source`; warns of what to know before trusting them.

    Raises:
        DetectorError: as `load_predictor`.

    """
    if source.warning:
        log.warning("%s", source.warning)
    announce(f"loading the model, {source.description} …")
    return load_predictor(config, source)


def describe(
    config: FlightConfig,
    flight: Flight,
    last: ChainStage = TRACKS,
    first: ChainStage = FRAMES,
    imported: Mapping[str, Any] | None = None,
) -> tuple[Stage, ...]:
    """The stages of `flight` up to `last`, in the chain's order, as the configuration wants them; nothing is run.

    Imported detections are used as they are, whatever detector the configuration names.

    Args:
        config: the configuration.
        flight: its video's name and hash are enough: the video is not opened.
        last: the last stage.
        first: the stages before it are taken as they were finished.
        imported: where detections are from that are about to be imported.

    Raises:
        PipelineError: a stage before `first` is not finished, or the telemetry cannot be read; or imported
            detections do not fit the video any more.
        DetectorError: the weights.

    """

    def settled(stage: _S, settings: BaseModel | None = None) -> _S:
        if is_before(stage_named(stage.name), first):
            return stage.as_finished()
        return stage if settings is None else stage.as_recorded(type(settings)().model_dump(mode="json"))

    read: dict[str, Any] = {
        "video": flight.sha256,
        "segment_frames": config.frames.segment_frames,
        "image_fps": config.frames.image_fps,
    }
    if colours := next(filter(None, map(colours_of, flight.parts)), ""):
        read["colours"] = colours
    telemetry = find_flight_telemetry(config.telemetry, flight.parts, config.frames.image_fps)
    frames = settled(FramesStage.of(flight, read, config.frames, telemetry), config.frames)
    if last is FRAMES:
        return (frames,)
    if imported is not None:
        detect: DetectStage | None = DetectStage.imported(flight, read, config.detector, imported)
    else:
        detect = DetectStage.as_imported(flight, read, config.detector)
    if detect is None:  # the weights are asked for only where they are needed: they may have to be downloaded
        weights = source_of(config.detector).sha256
        detector = with_decided_tiles(config.detector, flight, weights)
        detect = settled(DetectStage.of(flight, read, detector, weights), detector)
    found = {**read, DETECT.folder: detect.fingerprint}
    threshold = config.detector.threshold
    stages: tuple[Stage, ...] = (
        frames,
        detect,
        settled(CropsStage.of(flight, found, config.crops, threshold, config.camera, telemetry), config.crops),
        settled(MotionStage.of(flight, read)),
        settled(AppearanceStage.of(flight, found, config.tracks.min_score)),
    )
    tracks = config.tracks.starting_from(threshold)
    stages = (*stages, settled(TracksStage.of(flight, tracks, stages), tracks))
    return tuple(stage for stage in stages if not is_before(last, stage_named(stage.name)))


def run_stages(
    config: FlightConfig,
    video: Path,
    last: ChainStage,
    progress: Progress,
    load: Load = load_detector,
    first: ChainStage = FRAMES,
) -> list[StageResult]:
    """Bring the stages of one flight up to date, up to `last`.

    Args:
        config: the configuration.
        video: a video file or a folder of images.
        last: the last stage: a segment stage or the tracklets.
        progress: shows how far it is.
        load: gives the detector, where one is needed.
        first: the stages before it are taken as they were finished.

    Raises:
        PipelineError: the video, the workspace or the damage limit; one line.
        DetectorError: the weights.

    """
    results = run_segment_stages(config, video, last, progress, load, first)
    return [*results, *run_linking(config, video, first)] if last is TRACKS else results


def run_segment_stages(
    config: FlightConfig,
    video: Path,
    last: ChainStage,
    progress: Progress,
    load: Load = load_detector,
    first: ChainStage = FRAMES,
    ahead: Ahead | None = None,
    execute: Execute = run_pass,
) -> list[StageResult]:
    """Fill all tables of the segment stages up to `last` in one pass over the video; see `run_stages`.

    `ahead` hashes and opens the video, and may have done so already. `execute` begins the stages, fills their parts
    and ends them.
    """
    ahead = ahead or Ahead()
    parts = config.parts_of(video)
    announce(f"{config.name_of(video)}: reading the video …")
    with (
        open_flight(config.workspace, parts, config.name_of(video), hash_of=ahead.content_hash) as flight,
        recorded(flight.folder, alone=len(config.flights) == 1),
    ):
        stages, stale = prepare(config, flight, last, first)
        if stale:
            work = work_of(config, open_configured(config, video, ahead.open_video), stale, stages, load)
            with progress(title_of(flight, stale), work.video.frame_count) as advance:
                execute(work, advance)
        results = [stage.result(skipped=stage not in stale) for stage in stages]
        frames = next(each for each in results if each.stage == FRAMES.name)
        _check_damage(frames, config.frames.max_bad_frames, video)
    warn_of_nothing(results, config, video)
    return results


def prepare(
    config: FlightConfig, flight: Flight, last: ChainStage, first: ChainStage
) -> tuple[list[SegmentStage], tuple[SegmentStage, ...]]:
    """The segment stages of a flight, and those of them that are stale; labels that they touch are kept.

    Args:
        config: the configuration.
        flight: locked; while it is prepared, by this process alone.
        last: the last stage.
        first: the stages before it are taken as they were finished.

    """
    remember_camera(flight.folder, config.camera)
    remember_terrain(flight.folder, config.terrain)
    remember_clock(flight.folder, *config.clock_of(flight.video))
    remember_places(config.workspace, config.places)
    if config.detector.tiles == "auto" and _detects(flight, last, first):
        decide_tiles(config, flight, open_configured(config, flight.video))
    described = describe(config, flight, last, first)
    _migrate(flight, described)
    outdated = [stage for stage in described if not stage.is_current()]
    _say_imported(flight, last)
    keep_boxes(flight.folder, described, outdated)
    stale = tuple(stage for stage in outdated if isinstance(stage, SegmentStage))
    _announce(flight, stale)
    return [stage for stage in described if isinstance(stage, SegmentStage)], stale


def _detects(flight: Flight, last: ChainStage, first: ChainStage) -> bool:
    """Whether a run from `first` to `last` detects in `flight`, if its detections are stale."""
    asked = not is_before(last, DETECT) and not is_before(DETECT, first)
    return asked and source_of_import(flight.stage(DETECT.folder)) is None


def title_of(flight: Flight, stages: Iterable[Stage]) -> str:
    """What the progress bar of a pass says."""
    return f"{flight.folder.name}: {', '.join(stage.name for stage in stages)}"


def run_linking(config: FlightConfig, video: Path, first: ChainStage = FRAMES) -> list[StageResult]:
    """Link the detections of a flight whose segment stages are up to date, from their tables alone.

    Returns:
        The stage; and the labels, where they were carried over to new tracklets.

    Raises:
        PipelineError, DetectorError: as `run_stages`.
        AnnotateError: the labels are damaged.

    """
    with (
        open_flight(config.workspace, config.parts_of(video), config.name_of(video)) as flight,
        recorded(flight.folder, alone=len(config.flights) == 1),
    ):
        tracks = describe(config, flight, TRACKS, first)[-1]
        settings = config.tracks.starting_from(config.detector.threshold)
        warn_of_gaps(flight.folder, config.tracks)
        warn_of_standstill(flight.folder)
        if not tracks.is_current():
            _announce(flight, (tracks,))
        check_same(flight.folder, tracks, lambda: link_flight(flight, settings))
        result = tracks.run([TRACKS.file], lambda folder: write_tracklets(flight, settings))
        carried = carry_over(flight.folder)
    if carried is None:
        return [result]
    left = {"without_counterpart": carried.lost, "to_decide_again": carried.undecided}
    place = config.workspace / (NOT_CARRIED if any(left.values()) else LABELS)
    counts = {"carried_over": carried.labels, **left}
    return [result, StageResult(LABEL.name, place, counts, skipped=False)]


def run_overlay(config: FlightConfig, video: Path, progress: Progress) -> StageResult:
    """Bring the overlay video of one flight up to date, detections first; with the names of labelled persons.

    Raises:
        PipelineError, DetectorError: as `run_stages`.
        AnnotateError: the labels are damaged.

    """
    run_stages(config, video, DETECT, progress)
    threshold = config.overlay.threshold
    settings = config.overlay.model_dump()
    settings["threshold"] = config.detector.threshold if threshold is None else threshold
    with open_flight(config.workspace, config.parts_of(video), config.name_of(video)) as flight:
        detect = describe(config, flight, DETECT)[-1]
        names = read_names(flight.folder)
        inputs = {DETECT.folder: detect.fingerprint}
        if names.content:
            inputs[LABEL.name] = names.content

        def make(folder: Path) -> Mapping[str, Any]:
            opened = open_configured(config, video)
            with progress(f"{flight.folder.name}: {OVERLAY.name}", opened.frame_count) as advance:
                boxes = read_file(flight.folder / DETECT.output, SCHEMA.names)
                boxes = boxes[boxes["score"] >= settings["threshold"]]
                written = write_overlay(
                    folder / OVERLAY.file,
                    opened,
                    boxes.assign(tag=names.tags(boxes, numbers=False)),
                    max_width=config.overlay.max_width,
                    crf=config.overlay.crf,
                    advance=advance,
                )
            return {"frames": written}

        stage = Stage(OVERLAY.name, flight.stage(OVERLAY.folder), inputs, settings)
        return stage.run([OVERLAY.file], make)


def _migrate(flight: Flight, stages: Iterable[Stage]) -> None:
    for stage in stages:
        if isinstance(stage, SegmentStage) and (parts := stage.migrate()):
            log.warning("%s: %s: %d parts of an earlier version migrated", flight.folder.name, stage.name, parts)


def _announce(flight: Flight, stages: Iterable[Stage]) -> None:
    """Say why finished stages run again, before they do."""
    for stage in stages:
        if stage.folder.manifest() is not None:
            keep = "; --from crops keeps the detections" * (stage.name == DETECT.name)
            log.warning("%s: %s runs again: %s%s", flight.folder.name, stage.name, stage.what_changed(), keep)


@dataclass(frozen=True)
class LoadDetector:
    """Loads the detector of a flight: plain data, as far as `load` is.

    Attributes:
        stage: whose parts it is for.
        config: of the detector.
        load: gives the detector.

    """

    stage: DetectStage
    config: DetectorConfig
    load: Load

    def __call__(self) -> PersonDetector:
        """The detector.

        Raises:
            PipelineError: as `load_unchanged`, or this machine would compute in another precision.
            DetectorError: as `load`.

        """
        self.stage.check_precision()
        return load_unchanged(self.config, self.stage.inputs["weights"], self.load)


def load_unchanged(config: DetectorConfig, sha256: str, load: Load) -> PersonDetector:
    """The detector that `load` gives, of weights with the hash `sha256`.

    Raises:
        PipelineError: the configuration means others by now, or on this machine.
        DetectorError: as `load`.

    """
    source = source_of(config)
    if source.sha256 != sha256:
        raise PipelineError(f"{source.path}: other weights than when the run began; run again")
    return load(config, source)


def work_of(
    config: FlightConfig, video: Video, stale: tuple[SegmentStage, ...], stages: list[SegmentStage], load: Load
) -> Work:
    """What filling the `stale` ones of a flight's `stages` needs."""
    detect = next((stage for stage in stages if isinstance(stage, DetectStage)), None)
    if detect is None:
        return Work(video, stale, _no_detector, _no_detections)
    return Work(video, stale, LoadDetector(detect, detect.config, load), detect.stored)


def _no_detector() -> PersonDetector:
    raise RuntimeError("no stage detects")


def _say_imported(flight: Flight, last: ChainStage) -> None:
    folder = flight.stage(DETECT.folder)
    source = source_of_import(folder)
    if source is not None and not is_before(last, DETECT):
        log.warning(
            "%s: its detections are imported from %s, no detector is run; remove %s to detect",
            flight.folder.name,
            source["file"],
            folder.path,
        )


def _no_detections(_: object) -> dict[int, Any]:
    return {}


def _check_damage(frames: StageResult, limit: int | None, video: Path) -> None:
    lost, corrupt = frames.counts["lost"], frames.counts["corrupt"]
    suspect = frames.counts.get("suspect", corrupt)  # corrupt frames are among them; a flight from before has none
    if limit is not None and lost + suspect > limit:
        raise PipelineError(
            f"{video}: {lost} frames lost and {corrupt} corrupt, {suspect} suspect in all, more than "
            f"frames.max_bad_frames={limit}; "
            f"what was found in the others is kept in {frames.folder.parent}"
        )
    if lost + suspect:
        found = f"{lost} frames lost, {corrupt} corrupt, {suspect} suspect in all"
        log.warning("%s: damaged: %s; listed in %s", video, found, frames.folder)


def open_configured(config: FlightConfig, video: Path, open_with: Callable[..., Video] = open_video) -> Video:
    """The video of a flight, redacted, divided into segments as the configuration says."""
    return open_redacted(
        config.parts_of(video),
        config.workspace / config.name_of(video),
        segment_frames=config.frames.segment_frames,
        image_fps=config.frames.image_fps,
        open_with=open_with,
    )
