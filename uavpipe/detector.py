"""`uavpipe.detect`: the persons in an image, in a folder of images, or in a video."""

import logging
import os
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from detector.backends.images import read_image
from detector.backends.protocol import PersonDetector
from detector.config import DetectorConfig
from detector.models.weights import WeightsSource, source_of
from pipeline.config.yaml import validate
from pipeline.engine.steps import QUEUE, SegmentEnd, decode
from pipeline.engine.steps import detect as detect_steps
from pipeline.engine.threads import prefetch
from pipeline.errors import PipelineError
from pipeline.run.flight import load_detector
from pipeline.run.tiles import choose_tiles
from pipeline.video import Damage, Video, open_video
from pipeline.video.content_hash import IMAGE_SUFFIXES
from uavpipe.detections import Detections
from uavpipe.errors import one_error

log = logging.getLogger("uavpipe")


@overload
def detect(source: NDArray[np.uint8], **settings: Any) -> Detections: ...
@overload
def detect(source: str | os.PathLike[str], **settings: Any) -> Any: ...
def detect(source: NDArray[np.uint8] | str | os.PathLike[str], **settings: Any) -> Any:
    """Detect the persons in an image, a folder of images or a video.

    Examples:
        >>> found = uavpipe.detect("photo.jpg", weights="embedded", threshold=0.5)
        >>> found.boxes.shape, found.scores
        >>> for found in uavpipe.detect("flight01.mp4"):
        ...     print(found.frame, found.pts_s, len(found))

    Args:
        source: uint8 (H, W, 3) RGB, as an array or a picture of Pillow; or the path of an image, of a folder of
            images, which are taken in natural order of their names, or of a video.
        settings: of the section `detector` of the configuration, as in docs/configuration.md. With `threshold`,
            persons of lower score are left out; without, all from `floor` (0.05) up are returned, as `uavpipe
            detect` stores them.

    Returns:
        `Detections` of one image. For a folder or a video an iterator over the `Detections` of its frames, in
        order; it decodes and detects as it is consumed. Lost frames are left out, with a warning at the end.

    Raises:
        UavpipeError: the source, the weights or a setting; of a folder or video also while it is consumed.

    """
    with one_error():
        given = {name: os.fspath(each) if isinstance(each, Path) else each for name, each in settings.items()}
        config = validate(given, DetectorConfig, "detect")
        least = config.threshold if "threshold" in given else config.floor
        if not isinstance(source, str | os.PathLike):
            return _in_image(np.asarray(source), _loaded(config, source_of(config)), least)
        path = Path(source)
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir():
            return _in_image(read_image(path), _loaded(config, source_of(config)), least, str(path))
        video = open_video(path)
        weights = source_of(config)
        if config.tiles == "auto":
            config = config.model_copy(update={"tiles": choose_tiles(video, config, weights).tiles})
        return _in_video(video, _loaded(config, weights), least)


@lru_cache(maxsize=1)  # the next image needs the same
def _loaded(config: DetectorConfig, source: WeightsSource) -> PersonDetector:
    return load_detector(config, source)


def _in_image(image: NDArray[np.uint8], detector: PersonDetector, least: float, source: str = "") -> Detections:
    try:
        prepared = detector.preprocess(image)
    except ValueError as error:
        raise PipelineError(f"{source or 'the array'}: {error}") from None
    (found,) = detector.predict([prepared])
    return Detections(found.boxes, found.scores, source).above(least)


def _in_video(video: Video, detector: PersonDetector, least: float) -> Iterator[Detections]:
    source, damage = str(video.path), list[Damage]()
    with one_error():
        decoded = prefetch(decode(video, video.segments), QUEUE)
        with closing(detect_steps(decoded, detector, {range(video.frame_count)})) as steps:
            for item, found in ((step.item, step.detections) for step in steps):
                if isinstance(item, SegmentEnd):
                    damage += item.damage
                elif found is not None:
                    yield Detections(found.boxes, found.scores, source, item.index, item.pts_s).above(least)
    if damage:
        lost = sum(each.lost for each in damage)
        log.warning("%s: %d frames are damaged, %d of them lost", source, len(damage), lost)
