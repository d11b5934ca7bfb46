"""Loading of a detector: weights, backend and tiles as the configuration says."""

from detector.backends.protocol import PersonDetector
from detector.config import DetectorConfig
from detector.errors import DetectorError
from detector.models.weights import WeightsSource, source_of


def load_predictor(config: DetectorConfig, source: WeightsSource | None = None) -> PersonDetector:
    """The detector that `config` describes, with the weights it names (or `source`).

    Raises:
        DetectorError: the weights do not exist, are damaged or of another architecture; no such device; the
            backend is not installed; or the tiles are not decided yet.

    """
    if config.tiles == "auto":
        raise DetectorError("tiles: auto is decided for a whole flight; give null, or tiles as in {size: 640}")
    source = source or source_of(config)
    if config.tiles is None:
        return _backend(config, source)
    from detector.backends.tiled import TiledPredictor

    scores = source.architecture.tile_scores if source.architecture else None
    # Between the line of whole images, which leaves scores as they are, and that of the tiles.
    floor = min(config.floor, scores.inverse(config.floor)) if scores else config.floor
    inner = _backend(config.model_copy(update={"floor": floor}), source)
    return TiledPredictor(inner, config, source.architecture)


def _backend(config: DetectorConfig, source: WeightsSource) -> PersonDetector:
    if config.backend == "detectron2":
        from detector.backends.detectron2 import load_detectron2

        return load_detectron2(config, source)
    if config.backend == "openvino":
        from detector.backends.openvino import load_openvino

        return load_openvino(config, source)
    if config.backend == "onnx":
        from detector.backends.onnx import load_onnx

        return load_onnx(config, source)
    from detector.backends.torchvision import Predictor

    return Predictor.load(config, source)
