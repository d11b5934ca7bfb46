"""Conversion of detectron2's Faster R-CNN R50-FPN and R50-C4 to torchvision's modules: tensors by other names."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from detector.errors import DetectorError
from detector.models.checkpoint import Checkpoint, load_into
from detector.models.faster_rcnn import build
from detector.models.presets import Architecture

# Parts of a file that a box detector does not need.
_IGNORED = re.compile(
    r"pixel_(mean|std)$|proposal_generator\.anchor_generator\.|roi_heads\.(mask|keypoint)_(head|pooler)\."
    r"|.*\.num_batches_tracked$"
)
_NAMES = (
    (r"backbone\.bottom_up\.", "backbone."),
    (r"backbone\.stem\.conv1\.norm\.", "backbone.body.bn1."),
    (r"backbone\.stem\.", "backbone.body."),
    (r"backbone\.res([2-5])\.", lambda found: f"backbone.body.layer{int(found[1]) - 1}."),
    (r"roi_heads\.res5\.", "roi_heads.box_head.layer4."),
    (r"\.shortcut\.norm\.", ".downsample.1."),
    (r"\.shortcut\.", ".downsample.0."),
    (r"\.conv([123])\.norm\.", r".bn\1."),
    (r"backbone\.fpn_lateral([2-5])\.", lambda found: f"backbone.fpn.inner_blocks.{int(found[1]) - 2}.0."),
    (r"backbone\.fpn_output([2-5])\.", lambda found: f"backbone.fpn.layer_blocks.{int(found[1]) - 2}.0."),
    (r"proposal_generator\.rpn_head\.conv\.", "rpn.head.conv.0.0."),
    (r"proposal_generator\.rpn_head\.objectness_logits\.", "rpn.head.cls_logits."),
    (r"proposal_generator\.rpn_head\.anchor_deltas\.", "rpn.head.bbox_pred."),
    (r"\.box_head\.fc1\.", ".box_head.fc6."),
    (r"\.box_head\.fc2\.", ".box_head.fc7."),
)
_HEAD = "roi_heads.box_predictor"


def detectron2_preset(state: Mapping[str, Tensor], source: Path | str) -> Literal["fpn", "paper-c4"]:
    """The architecture of the tensors `state` (by detectron2's names).

    Raises:
        DetectorError: it is not Faster R-CNN with FPN or C4.

    """
    if f"{_HEAD}.cls_score.weight" in state:
        if "backbone.fpn_lateral2.weight" in state:
            return "fpn"
        if "roi_heads.res5.0.conv1.weight" in state:
            return "paper-c4"
    raise DetectorError(
        f"{source}: not a Faster R-CNN R50-FPN or R50-C4 of detectron2; backend detectron2 runs its other models"
    )


def convert_detectron2(
    state: Mapping[str, Tensor],
    architecture: Architecture,
    *,
    persons: Sequence[int] = (0,),
    source: Path | str = "",
) -> Checkpoint:
    """The detector with the tensors `state`, as a checkpoint of ours that finds the same boxes.

    Args:
        state: by detectron2's names.
        architecture: one of `detector.models.presets.DETECTRON2`, or from the model's configuration.
        persons: numbers of the classes that are persons, from 0.
        source: the file, for errors.

    Raises:
        DetectorError: the tensors are not those of `architecture`, or it has fewer classes.

    """
    renamed = {_renamed(name): value.float() for name, value in state.items() if not _IGNORED.match(name)}
    for name in [name for name in renamed if re.search(r"(\.bn\d|downsample\.1)\.weight$", name)]:
        # As detectron2 does for its oldest files, whose weight and bias include the statistics.
        renamed.setdefault(name.replace(".weight", ".running_mean"), torch.zeros_like(renamed[name]))
        renamed.setdefault(name.replace(".weight", ".running_var"), torch.ones_like(renamed[name]))
    classes = _persons_first(renamed, persons, source)
    checkpoint = Checkpoint(architecture.model_copy(update={"person_classes": len(persons)}), classes, renamed)
    try:
        load_into(build(checkpoint.architecture, classes=classes), checkpoint, source)
    except DetectorError as error:
        raise DetectorError(f"{error}; only ResNet-50 with detectron2's usual heads can be imported") from None
    return checkpoint


def _renamed(name: str) -> str:
    for pattern, new in _NAMES:
        name = re.sub(pattern, new, name)
    return name


def _persons_first(state: dict[str, Tensor], persons: Sequence[int], source: Path | str) -> int:
    """Order the box head's rows as background, persons, others, without boxes of others; the number of classes.

    detectron2 has the background last, without a box.
    """
    names = [f"{_HEAD}.{layer}.{part}" for layer in ("cls_score", "bbox_pred") for part in ("weight", "bias")]
    rows = [len(state[name]) if name in state and state[name].ndim else 0 for name in names]
    count = rows[0] - 1
    if rows[1] != rows[0] or rows[2] != rows[3] or rows[2] not in (4, 4 * count):
        raise DetectorError(f"{source}: {_HEAD} has no scores and boxes of the same classes; the file is damaged")
    if not persons or len(set(persons)) < len(persons) or not all(0 <= person < count for person in persons):
        raise DetectorError(
            f"{source}: its {count} classes are 0 to {count - 1}; {list(persons)} cannot be its persons"
        )
    order = [count, *persons, *(number for number in range(count) if number not in persons)]
    box_of = [0 if rows[2] == 4 else person for person in persons]  # one box for all classes, or one a class
    for name in names[:2]:
        state[name] = state[name][order]
    for name in names[2:]:
        boxes = state[name].reshape(-1, 4, *state[name].shape[1:])
        state[name] = torch.cat([torch.zeros_like(boxes[:1]), boxes[box_of]]).flatten(0, 1)
    return rows[0]
