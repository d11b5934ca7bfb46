"""`detector.tiles: auto`: decided once for a flight, and kept beside its detections.

All that works on a flight must detect alike: its segments, an interrupted run and the one that resumes it, shards,
Ray's tasks. So the decision is made before the first segment, while the flight is locked, and written to
`detections/tiles.json`; from there it goes into the settings of the stage, as if it had been configured.
"""

import logging
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detector.config import DetectorConfig
from detector.models.weights import WeightsSource, source_of
from pipeline.chain.table import DETECT
from pipeline.config.models import CameraConfig, FlightConfig
from pipeline.engine.progress import announce
from pipeline.telemetry import Source, find_flight_telemetry
from pipeline.telemetry.ground_plane import make_view
from pipeline.video import Video
from pipeline.workspace.folders import Flight
from pipeline.workspace.manifest import fingerprint, read_record, write_record

if TYPE_CHECKING:
    from detector.backends.tile_choice import Choice

FILE = "tiles.json"  # in the folder of the stage `detect`
_EVERY, _LOOKS = 50, 32  # a frame of so many is looked at, and at most so many frames
_ROWS = (0.25, 0.5, 0.75)  # of the picture's height: where persons are expected
# Where the work is done changes no decision.
_WHERE = {"threshold", "device", "batch_size", "precision"}

log = logging.getLogger("uavpipe")


def with_decided_tiles(config: DetectorConfig, flight: Flight, weights: str) -> DetectorConfig:
    """`config` with the tiles that were decided for `flight`; as it is where nothing is to be decided, or was yet.

    `weights` is the sha256 of the detector's.
    """
    if config.tiles != "auto":
        return config
    record = read_record(flight.stage(DETECT.folder).path / FILE)
    if record is None or record.get("made_of") != _made_of(config, flight, weights):
        return config
    return DetectorConfig.model_validate(config.model_dump() | {"tiles": record["tiles"]})


def decide_tiles(config: FlightConfig, flight: Flight, video: Video) -> None:
    """Decide the tiles of `flight`, which is locked, unless that was done, and say what was decided.

    By the telemetry where the camera is known, else by a first look at every 50th frame, at most 32.

    Raises:
        PipelineError: the video or its telemetry cannot be read.
        DetectorError: the weights, or a model whose input is not known.

    """
    source = source_of(config.detector)
    if with_decided_tiles(config.detector, flight, source.sha256).tiles != "auto":
        return
    announce(f"{flight.folder.name}: deciding on tiles …")
    choice = choose_tiles(
        video,
        config.detector,
        source,
        config.camera,
        find_flight_telemetry(config.telemetry, flight.parts, config.frames.image_fps),
    )
    log.warning("%s: detector.tiles: auto: %s", flight.folder.name, choice)
    folder = flight.stage(DETECT.folder).path
    folder.mkdir(exist_ok=True)
    content = {**asdict(choice), "tiles": choice.tiles and choice.tiles.model_dump()}
    write_record(folder / FILE, {**content, "made_of": _made_of(config.detector, flight, source.sha256)})


def choose_tiles(
    video: Video,
    config: DetectorConfig,
    source: WeightsSource,
    camera: CameraConfig | None = None,
    telemetry: Source | None = None,
) -> "Choice":
    """What `tiles: auto` means for `video`; see `decide_tiles`."""
    from detector.backends.tile_choice import affordable_for, by_height, look  # torch: only where it is decided

    height = _height_by_telemetry(video, camera or CameraConfig(), telemetry)
    if height is not None:
        option = affordable_for(video.width, video.height, config, source)
        return by_height(option, height, "by the telemetry")
    return look(config, source, _looks(video))


def _height_by_telemetry(video: Video, camera: CameraConfig, source: Source | None) -> float | None:
    """How tall persons are in px, in the median over the flight; None where that is not known."""
    if source is None or camera.fov_deg is None:
        return None
    telemetry, heights = source.telemetry, []
    for number in _numbers(video.frame_count):
        known = telemetry.at(number / video.fps)
        view = make_view(camera, known["altitude_m"], known["pitch_deg"], video.width, video.height)
        if view is not None:
            heights += [view.person_pixels(row * video.height) for row in _ROWS]
    seen = [height for height in heights if height is not None]
    return float(np.median(seen)) if seen else None


def _numbers(count: int) -> list[int]:
    """The frames to look at, of `count`, evenly over the flight."""
    looks = min(_LOOKS, -(-count // _EVERY))
    return [int((place + 0.5) * count / looks) for place in range(looks)]


def _looks(video: Video) -> Iterator[NDArray[np.uint8]]:
    wanted = _numbers(video.frame_count)
    for segment in video.segments:
        last = max((number for number in wanted if segment.first <= number < segment.stop), default=None)
        if last is None:
            continue
        for frame in video.read(segment):
            if frame.index in wanted and not frame.suspect:
                yield frame.image
            if frame.index >= last:
                break


def _made_of(config: DetectorConfig, flight: Flight, weights: str) -> str:
    settings: dict[str, Any] = config.model_dump(mode="json", exclude=_WHERE | {"weights", "tiles"})
    return fingerprint({"video": flight.sha256, "weights": weights, "settings": settings})
