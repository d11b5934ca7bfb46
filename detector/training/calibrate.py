"""Calibration of a checkpoint by annotated images that it was not trained on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detector.annotations.coco import AnnotatedImage
from detector.backends.load import load_predictor
from detector.config import DetectorConfig
from detector.errors import DetectorError
from detector.evaluation.calibration import calibrated, calibration_error, fit, reliability
from detector.evaluation.curves import judge
from detector.evaluation.evaluate import detect
from detector.models.checkpoint import load_checkpoint, save_checkpoint
from detector.models.header import read_header
from detector.models.weights import source_of
from detector.scores import ScoreLine


@dataclass(frozen=True)
class Calibrated:
    """What a calibration did.

    Attributes:
        line: from the scores before to those after.
        before: calibration error of the scores before; None without detections.
        after: the same of those after, on the same images.

    """

    line: ScoreLine
    before: float | None
    after: float | None


def calibrate(
    config: DetectorConfig,
    images: Sequence[AnnotatedImage],
    out: Path,
    advance: Callable[[int], None] = lambda count: None,
) -> Calibrated:
    """Write the checkpoint that `config` names to `out`, with calibrated scores: in tiles, where it has tiles.

    Args:
        config: names a checkpoint of uavpipe; its floor decides which detections count.
        images: with persons, and not trained on.
        out: `….safetensors`, written atomically.
        advance: is called with the number of images just done.

    Raises:
        DetectorError: another kind of weights; or what was found does not permit a calibration.

    """
    source = source_of(config)
    if source.kind != "uavpipe":
        raise DetectorError(f"{source.path}: expected a checkpoint that 'uavpipe detector train' wrote")
    header, checkpoint = read_header(source.path), load_checkpoint(source.path)
    architecture, state = header.architecture.model_copy(update={"tile_scores": None}), checkpoint.state
    predictor = load_predictor(config, replace(source, architecture=architecture))
    judged = judge(images, detect(predictor, images, advance), config.max_detections)
    line = fit(judged)
    if config.tiles is None:
        state = calibrated(state, line)
    else:
        architecture = architecture.model_copy(update={"tile_scores": line})
    what = "calibration" if config.tiles is None else "calibration in tiles"
    training = header.training | {what: line.model_dump() | {"images": judged.images}}
    save_checkpoint(out, state, architecture=architecture, training=training, classes=header.classes)
    after = replace(judged, scores=line(judged.scores).astype(np.float32))
    return Calibrated(line, *(calibration_error(reliability(each)) for each in (judged, after)))
