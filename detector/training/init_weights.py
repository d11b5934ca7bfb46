"""The architecture of a recipe, and the weights from which its training starts."""

from pathlib import Path

from pydantic import ValidationError
from torchvision.models.detection import FasterRCNN

from detector.config import TrainConfig
from detector.errors import DetectorError
from detector.models.checkpoint import load_checkpoint, load_into, load_torchvision, person_only, with_anchors_of
from detector.models.faster_rcnn import freeze_stem, load_imagenet_backbone
from detector.models.presets import ARCHITECTURES, Architecture


def architecture_of(config: TrainConfig) -> Architecture:
    """The preset's architecture, with the recipe's own anchors and scale.

    Raises:
        DetectorError: the anchors do not fit the preset's levels.

    """
    own = config.model_dump(include={"anchor_sizes", "anchor_ratios", "resize"}, exclude_none=True)
    try:
        return Architecture.model_validate(ARCHITECTURES[config.preset].model_dump() | own)
    except ValidationError as error:
        raise DetectorError("; ".join(problem["msg"] for problem in error.errors())) from None


def initialise(model: FasterRCNN, architecture: Architecture, init: str) -> None:
    """Put the weights that `init` names (see `TrainConfig.init`) into `model`; "random" leaves it as it is.

    Raises:
        DetectorError: no such weights, damaged ones, or of another architecture.

    """
    if init == "imagenet":
        load_imagenet_backbone(model, architecture)
        if architecture.norm == "frozen":
            freeze_stem(model)
    elif init != "random":
        path = Path(init)
        foreign = path.suffix in (".pth", ".pt")
        checkpoint = load_torchvision(path, architecture.preset) if foreign else load_checkpoint(path)
        load_into(model, with_anchors_of(person_only(checkpoint), model), path)
