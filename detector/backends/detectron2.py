"""detectron2 as a backend: any of its detectors, if it is installed."""

import logging
import warnings
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detector.backends.torchvision import Predictor
from detector.config import DetectorConfig, Resize
from detector.detectron2.config import read_config
from detector.detectron2.files import read_detectron2
from detector.detectron2.import_weights import detectron2_preset
from detector.errors import DetectorError
from detector.models.faster_rcnn import INT32
from detector.models.weights import WeightsSource

_ALL = 1_000_000  # more than any model finds; -1 means all to some models, and all but one to RetinaNet
_LEAST_SIDE = 0.01  # px: torchvision drops narrower boxes, which are at the edge and show no person
_BASES = {"fpn": "Base-RCNN-FPN.yaml", "paper-c4": "Base-RCNN-C4.yaml"}


def load_detectron2(config: DetectorConfig, source: WeightsSource) -> Predictor:
    """detectron2's detector for the weights `source` and the settings `config.detectron2`.

    Its files are read by our own readers: detectron2's would run code in them.

    Raises:
        DetectorError: detectron2 is not installed, or the files are not those of one of its models.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of what it uses
            from detectron2.config import get_cfg
            from detectron2.modeling import build_model
    except ImportError as error:
        raise DetectorError(
            f"backend detectron2: it is not installed here ({error}); install it by "
            "`pip install 'setuptools<82' wheel` and `pip install --no-build-isolation "
            "git+https://github.com/facebookresearch/detectron2.git`, or convert the model by "
            "`uavpipe detector import-detectron2`"
        ) from None
    _quiet()
    state = read_detectron2(source.path)
    settings = get_cfg()
    own = _own_settings(config, state, source.path)
    try:
        if base := _base(config, state, source.path):
            settings.merge_from_file(base, allow_unsafe=False)
        settings.merge_from_list([part for pair in own.items() for part in pair])
        model = build_model(settings)
    except (AssertionError, KeyError, ValueError, TypeError) as error:  # what its configuration system raises
        reason = " ".join(str(error).split())[:160]
        raise DetectorError(f"{config.detectron2.config_file or source.path}: detectron2 says: {reason}") from None
    _require_persons(config, settings, source.path)
    _load(model, state, source.path)
    rule = Resize(short_side=settings.INPUT.MIN_SIZE_TEST, max_side=settings.INPUT.MAX_SIZE_TEST, filter="bilinear")
    persons = _PersonModel(model, config, bgr=settings.INPUT.FORMAT == "BGR", at_once=_at_once(model, settings))
    return Predictor(persons, rule, config)


def _at_once(model: Any, settings: Any) -> int:
    """The number of images whose RoIs may be pooled at once: RoIAlign's int32 on a GPU overflows with more."""
    heads = settings.MODEL.ROI_BOX_HEAD
    shapes = model.backbone.output_shape()
    channels = max(shape.channels for shape in shapes.values())
    pooled = settings.MODEL.RPN.POST_NMS_TOPK_TEST * channels * heads.POOLER_RESOLUTION**2
    return max(1, INT32 // int(pooled))


def _quiet() -> None:
    """Silence torch's warnings while it runs, too."""
    warnings.filterwarnings("ignore", "torch.meshgrid", UserWarning)
    logging.getLogger("torch.fx._symbolic_trace").setLevel(logging.ERROR)


def _base(config: DetectorConfig, state: dict[str, Tensor], path: Path) -> str | None:
    """detectron2's own file with the defaults of R50-FPN or R50-C4; None for other models, which need theirs."""
    try:
        preset = detectron2_preset(state, path)
    except DetectorError:
        if config.detectron2.config_file is None:
            raise
        return None
    return str(files("detectron2") / "model_zoo" / "configs" / _BASES[preset])


def _own_settings(config: DetectorConfig, state: dict[str, Tensor], path: Path) -> dict[str, Any]:
    """The model's config.yaml, with our thresholds; all classes are detected, then the persons are taken."""
    own = read_config(config.detectron2.config_file) if config.detectron2.config_file else {}
    scores = state.get("roi_heads.box_predictor.cls_score.weight")
    if scores is not None:
        own.setdefault("MODEL.ROI_HEADS.NUM_CLASSES", len(scores) - 1)
    return own | {
        "MODEL.DEVICE": "cpu",  # until the predictor moves it
        "MODEL.WEIGHTS": "",
        "MODEL.ROI_HEADS.SCORE_THRESH_TEST": config.floor,
        "MODEL.ROI_HEADS.NMS_THRESH_TEST": config.nms_iou,
        "MODEL.RETINANET.SCORE_THRESH_TEST": config.floor,
        "MODEL.RETINANET.NMS_THRESH_TEST": config.nms_iou,
        "TEST.DETECTIONS_PER_IMAGE": _ALL,
    }


def _require_persons(config: DetectorConfig, settings: Any, path: Path) -> None:
    model = settings.MODEL
    classes = (model.RETINANET if model.META_ARCHITECTURE == "RetinaNet" else model.ROI_HEADS).NUM_CLASSES
    if max(config.detectron2.persons) >= classes:
        raise DetectorError(
            f"detector.detectron2.persons is {list(config.detectron2.persons)}; the classes of {path} are "
            f"0 to {classes - 1}"
        )


def _load(model: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    try:
        missing, unknown = model.load_state_dict(state, strict=False)
    except RuntimeError as error:  # tensors of another shape
        raise DetectorError(
            f"{path}: not the weights of this model: {' '.join(str(error).split())[:200]}"
        ) from None
    missing = [name for name in missing if not name.startswith("pixel_")]
    unknown = [name for name in unknown if "anchor_generator" not in name and not name.startswith("pixel_")]
    if missing or unknown:
        raise DetectorError(
            f"{path}: not the weights of this model: {len(missing)} tensors missing, {len(unknown)} unknown "
            f"(such as {(missing or unknown)[0]}); set detector.detectron2.config_file to its own config.yaml"
        )


class _PersonModel(nn.Module):
    """A detectron2 model with the interface of torchvision's detectors: persons only, in pixels of the input."""

    def __init__(self, model: nn.Module, config: DetectorConfig, *, bgr: bool, at_once: int) -> None:
        super().__init__()
        self._model, self._bgr, self._most, self._at_once = model, bgr, config.max_detections, at_once
        self._persons: Tensor
        self.register_buffer("_persons", torch.tensor(config.detectron2.persons), persistent=False)

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        """Boxes (n, 4) xyxy, scores (n,) and classes (n,) of the persons in each uint8 (3, h, w) RGB image."""
        inputs = [{"image": image.flip(0) if self._bgr else image} for image in images]
        batches = (inputs[at : at + self._at_once] for at in range(0, len(inputs), self._at_once))
        return [self._of_persons(answer["instances"]) for batch in batches for answer in self._model(batch)]

    def _of_persons(self, found: Any) -> dict[str, Tensor]:
        shown = found.pred_boxes.nonempty(_LEAST_SIDE)
        persons = found[torch.isin(found.pred_classes, self._persons) & shown][: self._most]
        return {"boxes": persons.pred_boxes.tensor, "scores": persons.scores, "labels": persons.pred_classes}
