"""detectron2's YAML files, and the architectures that they describe.

A model's own `config.yaml`, as detectron2 writes it into its output folder, is complete; keys that are not in a
file have detectron2's defaults. Files are read with a safe loader, and no other file is read from there.
"""

import ast
import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from detector.errors import DetectorError
from detector.files import read_regular
from detector.models.presets import DETECTRON2, STRIDES, Architecture

_MAX_BYTES = 1_000_000
# The base files of detectron2's R50 models agree with our presets.
_DEFAULTS = re.compile(r"(Base-RCNN|faster_rcnn_R_50)-?_?(FPN|C4)(_[13]x)?\.yaml")

# key -> the only values with which a model can be imported
_FIXED: dict[str, tuple[Any, ...]] = {
    "MODEL.META_ARCHITECTURE": ("GeneralizedRCNN",),
    "MODEL.BACKBONE.NAME": ("build_resnet_backbone", "build_resnet_fpn_backbone"),
    "MODEL.RESNETS.DEPTH": (50,),
    "MODEL.RESNETS.NUM_GROUPS": (1,),
    "MODEL.RESNETS.WIDTH_PER_GROUP": (64,),
    "MODEL.RESNETS.NORM": ("FrozenBN", "BN", "SyncBN"),
    "MODEL.RESNETS.RES5_DILATION": (1,),
    "MODEL.RESNETS.DEFORM_ON_PER_STAGE": ([False] * 4,),
    "MODEL.FPN.NORM": ("",),
    "MODEL.FPN.FUSE_TYPE": ("sum",),
    "MODEL.PROPOSAL_GENERATOR.NAME": ("RPN",),
    "MODEL.PROPOSAL_GENERATOR.MIN_SIZE": (0,),
    "MODEL.ANCHOR_GENERATOR.NAME": ("DefaultAnchorGenerator",),
    "MODEL.RPN.HEAD_NAME": ("StandardRPNHead",),
    "MODEL.RPN.BBOX_REG_WEIGHTS": ([1.0, 1.0, 1.0, 1.0],),
    "MODEL.ROI_HEADS.NAME": ("Res5ROIHeads", "StandardROIHeads"),
    "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS": ([10.0, 10.0, 5.0, 5.0],),
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": ("ROIAlignV2",),
    "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": (False,),
}
_RESOLUTION = {"fpn": 7, "paper-c4": 14}


def read_config(path: Path) -> dict[str, Any]:
    """The keys and values of detectron2's YAML file `path`, as `MODEL.RPN.NMS_THRESH: 0.7`.

    Raises:
        DetectorError: missing, not YAML of nested keys, with YAML tags, with one section in several places (which
            could expand without end), or based on a file that is not one of detectron2's.

    """
    try:
        text = read_regular(path)
        if len(text) > _MAX_BYTES:
            raise DetectorError(f"{path}: larger than {_MAX_BYTES} bytes; expected detectron2's YAML")
        content = yaml.safe_load(text.decode("utf-8"))
    except OSError as error:
        raise DetectorError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        raise DetectorError(f"{path}:{line} not YAML that can be read; expected detectron2's config.yaml") from None
    if not isinstance(content, dict):
        raise DetectorError(f"{path}: expected detectron2's 'KEY: value' lines, found {type(content).__name__}")
    base = content.pop("_BASE_", None)
    if base is not None and not _DEFAULTS.fullmatch(Path(str(base)).name):
        raise DetectorError(
            f"{path}: _BASE_: {base} is not read; take the config.yaml that detectron2 wrote into its output folder"
        )
    flat: dict[str, Any] = {}
    sections, seen = [("", content)], {id(content)}
    while sections:
        prefix, section = sections.pop()
        for key, value in section.items():
            if not isinstance(value, dict):
                flat[f"{prefix}{key}"] = _plain(value)
            elif id(value) in seen:
                raise DetectorError(f"{path}: {prefix}{key} is an alias of another section; write it out")
            else:
                seen.add(id(value))
                sections.append((f"{prefix}{key}.", value))
    return flat


def _plain(value: Any) -> Any:
    """A tuple that is written as in Python, "(1, 2)", as a list; all else unchanged."""
    if isinstance(value, str) and value.startswith("("):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return list(value) if isinstance(value, tuple) else value


def read_architecture(config: Mapping[str, Any], preset: str, source: Path | str) -> Architecture:
    """The architecture of the `preset` ("fpn" or "paper-c4") that detectron2's `config` describes.

    Args:
        config: from `read_config`; empty: detectron2's defaults.
        preset: of the weights.
        source: the file, for errors.

    Raises:
        DetectorError: a value with which the model cannot be imported; names the key.

    """
    fixed = _FIXED | {
        "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": (_RESOLUTION[preset],),
        "INPUT.FORMAT": ("BGR", "RGB"),
    }
    for key, allowed in fixed.items():
        if key in config and config[key] not in allowed:
            known = " or ".join(map(repr, allowed))
            raise DetectorError(
                f"{source}: {key} is {reprlib.repr(config[key])}; only {known} can be imported "
                "(backend: detectron2 runs the others)"
            )
    default = DETECTRON2[preset]
    try:
        return Architecture.model_validate(default.model_dump() | _changes(config, default))
    except (ValidationError, TypeError, ValueError, IndexError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise DetectorError(f"{source}: not a Faster R-CNN that can be imported: {reason}") from None


def _changes(config: Mapping[str, Any], default: Architecture) -> dict[str, Any]:
    """The fields of `default` that `config` changes."""
    levels = len(STRIDES[default.preset])
    resize = default.resize
    bgr = config.get("INPUT.FORMAT", "BGR") == "BGR"
    to_rgb = slice(None, None, -1 if bgr else 1)
    before, after = default.proposals
    train_before, train_after = default.training_proposals
    ratios = _each(config.get("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS"), levels) or [default.anchor_ratios]
    if any(level != ratios[0] for level in ratios):
        raise ValueError("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS differ from level to level")
    get = config.get
    return {
        "resize": resize.model_copy(
            update={
                "short_side": get("INPUT.MIN_SIZE_TEST", resize.short_side),
                "max_side": get("INPUT.MAX_SIZE_TEST", resize.max_side),
            }
        ).model_dump(),
        "anchor_sizes": _each(get("MODEL.ANCHOR_GENERATOR.SIZES"), levels) or default.anchor_sizes,
        "anchor_ratios": ratios[0],
        "anchor_offset": get("MODEL.ANCHOR_GENERATOR.OFFSET", default.anchor_offset),
        "proposals": (get("MODEL.RPN.PRE_NMS_TOPK_TEST", before), get("MODEL.RPN.POST_NMS_TOPK_TEST", after)),
        "training_proposals": (
            get("MODEL.RPN.PRE_NMS_TOPK_TRAIN", train_before),
            get("MODEL.RPN.POST_NMS_TOPK_TRAIN", train_after),
        ),
        "proposal_iou": get("MODEL.RPN.NMS_THRESH", default.proposal_iou),
        "rois_per_image": get("MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", default.rois_per_image),
        "sampling_ratio": get("MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO", default.sampling_ratio),
        "stride_in_1x1": get("MODEL.RESNETS.STRIDE_IN_1X1", default.stride_in_1x1),
        "bgr": bgr,
        # In the file they have the order of the channels, by default blue first; ours are red first.
        "pixel_mean": get("MODEL.PIXEL_MEAN", default.pixel_mean[::-1])[to_rgb],
        "pixel_std": get("MODEL.PIXEL_STD", default.pixel_std[::-1])[to_rgb],
    }


def _each(value: Any, levels: int) -> Any:
    """detectron2's list of lists, one for all levels or one a level, as one a level."""
    return value * levels if isinstance(value, list) and len(value) == 1 else value
