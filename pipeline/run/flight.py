"""The chain: what each stage needs, makes and obeys, and how far to go.

`run_stages` is what both `make STAGE` and `uavpipe STAGE` call.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from detector.backends.load import load_predictor
from detector.backends.protocol import PersonDetector
from detector.config import DetectorConfig
from detector.models.weights import WeightsSource, source_of
from detector.records import Detections
from pipeline.config.models import FlightConfig
from pipeline.engine.progress import Progress
from pipeline.engine.single_pass import PixelStage, run_pass
from pipeline.errors import PipelineError
from pipeline.privacy.redactions import open_redacted
from pipeline.stages.appearance import AppearanceStage
from pipeline.stages.crops import CropsStage
from pipeline.stages.detect import DetectStage, detections_by_frame, read_detections
from pipeline.stages.frames import FramesStage
from pipeline.stages.motion import MotionStage
from pipeline.stages.overlay import write_overlay
from pipeline.stages.tracks import TABLE as TRACKLETS
from pipeline.stages.tracks import write_tracklets
from pipeline.telemetry import Telemetry, find_telemetry, no_telemetry
from pipeline.telemetry.ground_plane import remember_camera
from pipeline.video import Segment, Video
from pipeline.workspace.folders import Flight, flight_name, open_flight
from pipeline.workspace.manifest import stage_fingerprint

PIXEL_STAGES = ("frames", "detect", "crops", "motion", "appearance")
# Settings that say where and when to work, not what comes out: changing them leaves results valid.
_NOT_IN_RESULT = dict.fromkeys(("threshold", "weights", "preset", "device", "batch_size"), True) | {
    "detectron2": {"config_file"}  # its content counts, with the weights
}

Load = Callable[[DetectorConfig, WeightsSource], PersonDetector]

log = logging.getLogger("uavpipe")


@dataclass(frozen=True)
class StageResult:
    """One stage after `run_stages`.

    Attributes:
        stage: its name.
        folder: where it wrote.
        counts: what it found.
        skipped: it held already, nothing was done.

    """

    stage: str
    folder: Path
    counts: dict[str, Any]
    skipped: bool


def load_detector(config: DetectorConfig, source: WeightsSource) -> PersonDetector:
    """The detector with the weights of `source`; says what to know before trusting them.

    Raises:
        DetectorError: as `load_predictor`.

    """
    if source.warning:
        log.warning("%s", source.warning)
    return load_predictor(config, source)


def run_stages(
    config: FlightConfig,
    video_path: Path,
    until: str,
    progress: Progress,
    load: Load = load_detector,
    since: str = "frames",
) -> list[StageResult]:
    """Bring the stages of one flight up to date, up to `until`, one of `PIXEL_STAGES`, in one pass.

    Args:
        config: the configuration.
        video_path: a video file or a folder of images.
        until: the last stage.
        progress: shows how far it is.
        load: gives the detector, where one is needed.
        since: stages before this one are taken as they are; "tracks": all.

    Raises:
        PipelineError: the video, the workspace or the damage limit; one line.
        DetectorError: the weights.

    """
    with open_stages(config, video_path, until, since) as (flight, stages):
        remember_camera(flight.folder, config.camera)
        stale = [stage for stage in stages if not stage.is_current()]
        if stale:
            video = _open(config, video_path)
            with progress(
                f"{flight.folder.name}: {', '.join(s.name for s in stale)}", video.frame_count
            ) as advance:
                run_pass(video, stale, _model(config, stages, load), _stored_detections(stages), advance)
        results = [
            StageResult(s.name, s.folder.path, (s.folder.manifest() or {})["counts"], s not in stale)
            for s in stages
        ]
    _check_damage(results[0], config.frames.max_bad_frames, video_path)
    return results


@contextmanager
def open_stages(
    config: FlightConfig, video_path: Path, until: str, since: str = "frames"
) -> Iterator[tuple[Flight, list[PixelStage]]]:
    """The flight of `video_path`, locked, and its stages up to `until`: from `since` on as the configuration wants.

    Raises:
        PipelineError: the video, the workspace, or a stage before `since` is not finished.
        DetectorError: the weights.

    """
    with open_flight(config.workspace, video_path) as flight:
        reading = {
            "video": flight.sha256,
            "segment_frames": config.frames.segment_frames,
            "image_fps": config.frames.image_fps,
        }
        section = config.frames.model_dump(include={"images", "stride", "quality"})
        source = find_telemetry(config.telemetry, video_path)
        telemetry = cache(source.read) if source else no_telemetry
        hashed = source.fingerprint() if source else "off"
        located = reading | {"telemetry": hashed}
        as_they_are = PIXEL_STAGES if since == "tracks" else PIXEL_STAGES[: PIXEL_STAGES.index(since)]

        def settled(stage: PixelStage) -> PixelStage:
            if stage.name in as_they_are:
                _take_as_it_is(stage)
            return stage

        stages = [settled(FramesStage(flight.stage("frames"), located, section, telemetry))]
        if until != "frames":
            detect = settled(_detect_stage(config, flight, reading))
            later = _stages_on(detect, config, flight, reading, hashed, telemetry)
            stages += [detect, *map(settled, later[: PIXEL_STAGES.index(until) - 1])]
        yield flight, stages


def _take_as_it_is(stage: PixelStage) -> None:
    """Make `stage` want what it was finished with, whatever the configuration says by now."""
    manifest = stage.folder.manifest()
    if manifest is None:
        raise PipelineError(f"{stage.folder.path}: not finished; `--from` cannot leave it out")
    stage.inputs, stage.section = manifest["inputs"], manifest["section"]
    if not stage.is_current():
        raise PipelineError(f"{stage.folder.path}: a file is damaged or gone; run it again, without `--from`")


def _detect_stage(config: FlightConfig, flight: Flight, reading: dict[str, Any]) -> DetectStage:
    return DetectStage(
        flight.stage("detections"),
        reading | {"weights": source_of(config.detector).sha256},
        config.detector.model_dump(mode="json", exclude=_NOT_IN_RESULT),
    )


def _stages_on(
    detect: PixelStage,
    config: FlightConfig,
    flight: Flight,
    reading: dict[str, Any],
    telemetry_hash: str,
    telemetry: Callable[[], Telemetry],
) -> list[PixelStage]:
    """The pixel stages after `detect`, in the chain's order."""
    found = reading | {"detections": detect.fingerprint}
    cut = config.crops.model_dump(exclude_none=True, exclude={"verify"}) | {"threshold": config.detector.threshold}
    measured: dict[str, Any] = {}
    if config.crops.person_m is not None:
        cut["camera"] = config.camera.model_dump()
        measured = {"telemetry": telemetry_hash}
    return [
        CropsStage(flight.stage("crops"), found | measured, cut, telemetry, config.crops.verify),
        MotionStage(flight.stage("motion"), reading, {}),
        AppearanceStage(flight.stage("appearance"), found, {"low": config.tracks.low}),
    ]


def _model(config: FlightConfig, stages: list[PixelStage], load: Load) -> Callable[[], PersonDetector]:
    def make() -> PersonDetector:
        source = source_of(config.detector)
        if source.sha256 != stages[1].inputs["weights"]:
            raise PipelineError(f"{source.path}: the weights changed while the run began; run again")
        return load(config.detector, source)

    return make


def _stored_detections(stages: list[PixelStage]) -> Callable[[Segment], dict[int, Detections]]:
    def stored(segment: Segment) -> dict[int, Detections]:
        (detect,) = (stage for stage in stages if stage.name == "detect")
        return detections_by_frame(detect.table.read(segment.first))

    return stored


def _check_damage(frames: StageResult, limit: int | None, video: Path) -> None:
    lost, corrupt = frames.counts["lost"], frames.counts["corrupt"]
    if limit is not None and lost + corrupt > limit:
        raise PipelineError(
            f"{video}: {lost} frames lost and {corrupt} corrupt, more than frames.max_bad_frames={limit}; "
            f"what was found in the others is kept in {frames.folder.parent}"
        )
    if lost + corrupt:
        log.warning("%s: damaged: %d frames lost, %d corrupt; listed in %s", video, lost, corrupt, frames.folder)


def run_overlay(config: FlightConfig, video_path: Path, progress: Progress) -> StageResult:
    """Bring the overlay video of one flight up to date, detections first.

    Raises:
        PipelineError, DetectorError: as `run_stages`.

    """
    run_stages(config, video_path, "detect", progress)
    threshold = config.overlay.threshold
    section = config.overlay.model_dump() | {
        "threshold": config.detector.threshold if threshold is None else threshold
    }

    def write(flight: Flight) -> dict[str, Any]:
        video = _open(config, video_path)
        with progress(f"{flight.folder.name}: overlay", video.frame_count) as advance:
            found = read_detections(flight.stage("detections").path)
            path = flight.stage("overlay").path / "overlay.mp4"
            return {"frames": write_overlay(path, video, found, advance=advance, **section)}

    with open_stages(config, video_path, "detect") as (flight, stages):
        inputs = {"detections": stages[-1].fingerprint}
        return _run_file(flight, "overlay", inputs, section, "overlay.mp4", write)


def run_tracks(config: FlightConfig, video_path: Path, progress: Progress) -> list[StageResult]:
    """Bring the tracklets of one flight up to date, and all that they are made from, in one pass over the video.

    Raises:
        PipelineError, DetectorError: as `run_stages`.

    """
    results = run_stages(config, video_path, PIXEL_STAGES[-1], progress)
    return [*results, run_linking(config, video_path)]


def run_linking(config: FlightConfig, video_path: Path, since: str = "frames") -> StageResult:
    """Bring the tracklets of a flight up to date whose pixel stages are: from their tables alone.

    Stages before `since` are taken as they are.

    Raises:
        PipelineError, DetectorError: as `run_stages`.

    """
    with open_stages(config, video_path, PIXEL_STAGES[-1], since) as (flight, stages):
        inputs, section = tracks_depend_on(config, stages)
        write = partial(write_tracklets, config=config.tracks)
        return _run_file(flight, "tracks", inputs, section, TRACKLETS, write)


def tracks_depend_on(config: FlightConfig, stages: list[PixelStage]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fingerprints of what the tracklets are made from, and the settings that they obey."""
    inputs = {stage.name: stage.fingerprint for stage in stages if stage.name != "crops"}
    return inputs, config.tracks.model_dump()


def _run_file(
    flight: Flight,
    name: str,
    inputs: dict[str, Any],
    section: dict[str, Any],
    file: str,
    write: Callable[[Flight], dict[str, Any]],
) -> StageResult:
    """A stage that writes one file from the tables of others; `write` does it and says what it found."""
    folder = flight.stage(name)
    if folder.is_current(stage_fingerprint(name, inputs, section)):
        return StageResult(name, folder.path, (folder.manifest() or {})["counts"], skipped=True)
    started = time.monotonic()
    folder.begin()
    counts = write(flight)
    folder.finish(name, inputs, section, counts, time.monotonic() - started, [file])
    return StageResult(name, folder.path, counts, skipped=False)


def _open(config: FlightConfig, video_path: Path) -> Video:
    return open_redacted(
        video_path,
        config.workspace / flight_name(video_path),
        segment_frames=config.frames.segment_frames,
        image_fps=config.frames.image_fps,
    )
