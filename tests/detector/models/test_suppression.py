"""The boxes of a whole batch are chosen as torchvision chooses those of one image after the other."""

import pytest
import torch
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import batched_nms, clip_boxes_to_image

from detector.backends.torchvision import with_thresholds
from detector.config import DetectorConfig
from detector.models.faster_rcnn import build
from detector.models.presets import ARCHITECTURES, DETECTRON2
from detector.models.suppression import best

SHAPES = [[(120, 160)] * 3, [(120, 160), (90, 200), (31, 17)], [(64, 64)]]


def boxes_around(shapes, count, seed=0):
    """Boxes (images, count, 4) in, across and outside of the images, some of them without an area."""
    torch.manual_seed(seed)
    found = []
    for height, width in shapes:
        corner = torch.rand(count, 2) * torch.tensor([1.5 * width, 1.5 * height]) - 20
        size = torch.rand(count, 2) * torch.tensor([20.0, 40.0]) * (torch.rand(count, 1) > 0.1)
        found.append(torch.cat([corner, corner + size], dim=1))
    return torch.stack(found)


def equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("training", [False, True])
def test_proposals_are_those_of_torchvision(shapes, training):
    rpn = build(ARCHITECTURES["small"]).rpn.train(training)
    levels = [900, 300, 90]
    boxes = boxes_around(shapes, sum(levels))
    logits = torch.randn(len(shapes) * sum(levels), 1)
    logits[::7] = logits[0]  # equal ones come in the order of their places
    ours = rpn.filter_proposals(boxes, logits, shapes, levels)
    theirs = RegionProposalNetwork.filter_proposals(rpn, boxes, logits, shapes, levels)
    assert all(len(own) > 50 for own in ours[0])
    for own, other in zip(ours, theirs, strict=True):
        equal(own, other)


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("persons", [1, 3])
def test_detections_are_those_of_torchvision(shapes, persons):
    architecture = ARCHITECTURES["small"].model_copy(update={"person_classes": persons})
    model = with_thresholds(build(architecture, classes=persons + 2), DetectorConfig(floor=0.3, max_detections=40))
    proposals = [own[: 200 - 60 * place] for place, own in enumerate(boxes_around(shapes, 200))]
    rows = sum(map(len, proposals))
    given = torch.randn(rows, 1 + persons), torch.randn(rows, 4 * (1 + persons)), proposals, shapes
    ours = model.roi_heads.postprocess_detections(*given)
    theirs = RoIHeads.postprocess_detections(model.roi_heads, *given)
    assert len(ours[0][0]) > 10
    for own, other in zip(ours, theirs, strict=True):
        equal(own, other)


def test_proposals_by_detectron2s_rules_are_ranked_by_logit_and_have_an_area():
    rpn, levels, shapes = build(DETECTRON2["fpn"]).rpn.eval(), [700, 300, 200, 50, 20], SHAPES[1]
    boxes, logits = boxes_around(shapes, sum(levels)), 30 + torch.randn(3 * sum(levels), 1)  # sigmoids of 1
    ours = rpn.filter_proposals(boxes, logits, shapes, levels)
    level = torch.repeat_interleave(torch.arange(5), torch.tensor(levels))
    for image, shape in enumerate(shapes):
        clipped = clip_boxes_to_image(boxes[image], shape)
        solid = (clipped[:, 2:] > clipped[:, :2]).all(dim=1)
        own = logits.reshape(3, -1)[image][solid]
        kept = batched_nms(clipped[solid], own, level[solid], 0.7)[:1000]
        equal((ours[0][image], ours[1][image]), (clipped[solid][kept], own[kept]))


def test_an_image_without_a_wanted_box_has_none():
    boxes = boxes_around(SHAPES[0], 10).flatten(0, 1)
    wanted = torch.arange(30) < 20
    found = best(boxes, torch.rand(30), torch.zeros(30), wanted, [10, 10, 10], iou=0.5, most=5)
    assert [len(own[0]) > 0 for own in found] == [True, True, False]
