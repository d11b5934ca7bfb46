"""Calibration of a checkpoint by annotated images that it was not trained on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detector.annotations.coco import AnnotatedImage
from detector.backends.load import load_predictor
from detector.backends.tiled import enlargement
from detector.config import DetectorConfig, Resize, Tiles
from detector.errors import DetectorError
from detector.evaluation.calibration import calibrated, calibration_error, fit, reliability
from detector.evaluation.curves import judge
from detector.evaluation.evaluate import detect, image_sizes
from detector.models.checkpoint import load_checkpoint, save_checkpoint
from detector.models.header import read_header
from detector.models.weights import source_of
from detector.records import Detections
from detector.scores import ScoreLine, TileScores


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
    found = detect(predictor, images, advance)
    judged = judge(images, found, config.max_detections)
    line = fit(judged)
    if isinstance(config.tiles, Tiles):
        larger = _enlargement(images, found, config.tiles, config.resize or architecture.resize)
        line = TileScores(**line.model_dump(), enlargement=larger)
        architecture = architecture.model_copy(update={"tile_scores": line})
    else:
        state = calibrated(state, line)
    what = "calibration" if config.tiles is None else "calibration in tiles"
    training = header.training | {what: line.model_dump() | {"images": judged.images}}
    save_checkpoint(out, state, architecture=architecture, training=training, classes=header.classes)
    after = replace(judged, scores=line(judged.scores).astype(np.float32))
    return Calibrated(line, *(calibration_error(reliability(each)) for each in (judged, after)))


def _enlargement(
    images: Sequence[AnnotatedImage], found: Sequence[Detections], tiles: Tiles, rule: Resize
) -> float:
    """Of the tiles against the whole images: the geometric mean over what was `found`."""
    logs = [np.log(enlargement(*size, tiles, rule)) for size in image_sizes(images)]
    mean = float(np.exp(np.average(logs, weights=[len(each) for each in found])))
    if mean <= 1:
        raise DetectorError(
            f"tiles of {tiles.size} px show persons no larger than the whole images do; give smaller tiles"
        )
    return mean
