"""The chain over one flight: what its stages are made from, and which of them to run.

`run_stages` is what `make STAGE`, `uavpipe STAGE` and `uavpipe run` call.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from annotate.log.store import LABELS
from detector.backends.load import load_predictor
from detector.backends.protocol import PersonDetector
from detector.config import DetectorConfig
from detector.models.weights import WeightsSource, source_of
from pipeline.chain.table import DETECT, FRAMES, LABEL, OVERLAY, TRACKS, ChainStage, is_before, stage_named
from pipeline.config.models import FlightConfig
from pipeline.engine.fill import Work
from pipeline.engine.progress import Progress
from pipeline.engine.segment_stage import SegmentStage
from pipeline.engine.single_pass import run_pass
from pipeline.errors import PipelineError
from pipeline.privacy.redactions import open_redacted
from pipeline.relinking.carry_over import NOT_CARRIED, carry_over
from pipeline.relinking.keep import check_same, keep_boxes
from pipeline.run.unusable import warn_of_gaps, warn_of_nothing
from pipeline.stages.appearance import AppearanceStage
from pipeline.stages.crops import CropsStage
from pipeline.stages.detect import DetectStage, read_detections
from pipeline.stages.frames import FramesStage
from pipeline.stages.motion import MotionStage
from pipeline.stages.overlay import write_overlay
from pipeline.stages.tracks import TracksStage, link_flight, write_tracklets
from pipeline.telemetry import find_telemetry
from pipeline.telemetry.ground_plane import remember_camera
from pipeline.video import Video
from pipeline.workspace.folders import Flight, open_flight
from pipeline.workspace.stage import Stage, StageResult

_S = TypeVar("_S", bound=Stage)
Load = Callable[[DetectorConfig, WeightsSource], PersonDetector]

log = logging.getLogger("uavpipe")


def load_detector(config: DetectorConfig, source: WeightsSource) -> PersonDetector:
    """The detector with the weights of `source`; warns of what to know before trusting them.

    Raises:
        DetectorError: as `load_predictor`.

    """
    if source.warning:
        log.warning("%s", source.warning)
    return load_predictor(config, source)


def describe(
    config: FlightConfig, flight: Flight, last: ChainStage = TRACKS, first: ChainStage = FRAMES
) -> tuple[Stage, ...]:
    """The stages of `flight` up to `last`, in the chain's order, as the configuration wants them; nothing is run.

    Args:
        config: the configuration.
        flight: its video's name and hash are enough: the video is not opened.
        last: the last stage.
        first: the stages before it are taken as they were finished.

    Raises:
        PipelineError: a stage before `first` is not finished, or the telemetry cannot be read.
        DetectorError: the weights.

    """

    def settled(stage: _S) -> _S:
        return stage.as_finished() if is_before(stage_named(stage.name), first) else stage

    read: dict[str, Any] = {
        "video": flight.sha256,
        "segment_frames": config.frames.segment_frames,
        "image_fps": config.frames.image_fps,
    }
    telemetry = find_telemetry(config.telemetry, flight.video, config.frames.image_fps)
    frames = settled(FramesStage.of(flight, read, config.frames, telemetry))
    if last is FRAMES:
        return (frames,)
    detect = settled(DetectStage.of(flight, read, config.detector, source_of(config.detector).sha256))
    found = {**read, DETECT.folder: detect.fingerprint}
    threshold = config.detector.threshold
    stages: tuple[Stage, ...] = (
        frames,
        detect,
        settled(CropsStage.of(flight, found, config.crops, threshold, config.camera, telemetry)),
        settled(MotionStage.of(flight, read)),
        settled(AppearanceStage.of(flight, found, config.tracks.min_score)),
    )
    stages = (*stages, TracksStage.of(flight, config.tracks, stages))
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
) -> list[StageResult]:
    """Fill all tables of the segment stages up to `last` in one pass over the video; see `run_stages`."""
    with open_flight(config.workspace, video, config.name_of(video)) as flight:
        remember_camera(flight.folder, config.camera)
        described = describe(config, flight, last, first)
        outdated = [stage for stage in described if not stage.is_current()]
        keep_boxes(flight.folder, described, outdated)
        stages = [stage for stage in described if isinstance(stage, SegmentStage)]
        stale = tuple(stage for stage in outdated if isinstance(stage, SegmentStage))
        if stale:
            work = _work(config, video, stale, stages, load)
            title = f"{flight.folder.name}: {', '.join(stage.name for stage in stale)}"
            with progress(title, work.video.frame_count) as advance:
                run_pass(work, advance)
        results = [stage.result(skipped=stage not in stale) for stage in stages]
    _check_damage(next(each for each in results if each.stage == FRAMES.name), config.frames.max_bad_frames, video)
    warn_of_nothing(results, config, video)
    return results


def run_linking(config: FlightConfig, video: Path, first: ChainStage = FRAMES) -> list[StageResult]:
    """Link the detections of a flight whose segment stages are up to date, from their tables alone.

    Returns:
        The stage; and the labels, where they were carried over to new tracklets.

    Raises:
        PipelineError, DetectorError: as `run_stages`.
        AnnotateError: the labels are damaged.

    """
    with open_flight(config.workspace, video, config.name_of(video)) as flight:
        tracks = describe(config, flight, TRACKS, first)[-1]
        warn_of_gaps(flight.folder, config.tracks)
        check_same(flight.folder, tracks, lambda: link_flight(flight, config.tracks))
        result = tracks.run([TRACKS.file], lambda folder: write_tracklets(flight, config.tracks))
        carried = carry_over(flight.folder)
    if carried is None:
        return [result]
    left = {"without_counterpart": carried.lost, "to_decide_again": carried.undecided}
    place = config.workspace / (NOT_CARRIED if any(left.values()) else LABELS)
    counts = {"carried_over": carried.labels, **left}
    return [result, StageResult(LABEL.name, place, counts, skipped=False)]


def run_overlay(config: FlightConfig, video: Path, progress: Progress) -> StageResult:
    """Bring the overlay video of one flight up to date, detections first.

    Raises:
        PipelineError, DetectorError: as `run_stages`.

    """
    run_stages(config, video, DETECT, progress)
    threshold = config.overlay.threshold
    settings = config.overlay.model_dump()
    settings["threshold"] = config.detector.threshold if threshold is None else threshold
    with open_flight(config.workspace, video, config.name_of(video)) as flight:
        detect = describe(config, flight, DETECT)[-1]

        def make(folder: Path) -> Mapping[str, Any]:
            opened = _open(config, video)
            with progress(f"{flight.folder.name}: {OVERLAY.name}", opened.frame_count) as advance:
                found = read_detections(detect.folder.path)
                written = write_overlay(folder / OVERLAY.file, opened, found, advance=advance, **settings)
            return {"frames": written}

        inputs = {DETECT.folder: detect.fingerprint}
        stage = Stage(OVERLAY.name, flight.stage(OVERLAY.folder), inputs, settings)
        return stage.run([OVERLAY.file], make)


def _work(
    config: FlightConfig, video: Path, stale: tuple[SegmentStage, ...], stages: list[SegmentStage], load: Load
) -> Work:
    """What filling the `stale` ones of a flight's `stages` needs."""
    detect = next((stage for stage in stages if isinstance(stage, DetectStage)), None)
    weights = detect.inputs["weights"] if detect else ""
    stored = detect.stored if detect else _no_detections
    return Work(_open(config, video), stale, partial(_load_unchanged, config.detector, weights, load), stored)


def _load_unchanged(config: DetectorConfig, sha256: str, load: Load) -> PersonDetector:
    source = source_of(config)
    if source.sha256 != sha256:
        raise PipelineError(f"{source.path}: the weights changed while the run began; run again")
    return load(config, source)


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


def _open(config: FlightConfig, video: Path) -> Video:
    return open_redacted(
        video,
        config.workspace / config.name_of(video),
        segment_frames=config.frames.segment_frames,
        image_fps=config.frames.image_fps,
    )
