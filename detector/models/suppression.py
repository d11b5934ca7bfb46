"""Non-maximum suppression of the boxes of a whole batch.

The results are torchvision's, to the bit. But torchvision filters one image after the other and asks the GPU for a
number at each step, so that host and GPU wait for each other; here all images are filtered at once, and the host
waits once for each image.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image, nms


def clipped(boxes: Tensor, shapes: Sequence[tuple[int, int]], counts: Sequence[int]) -> Tensor:
    """`boxes`, clipped to their images.

    Args:
        boxes: (n, 4) xyxy in px, those of an image one after the other.
        shapes: height and width of each image, px.
        counts: number of boxes of each image.

    """
    if len(set(shapes)) == 1:  # as always in detection
        return clip_boxes_to_image(boxes, shapes[0])
    parts = torch.split(boxes, list(counts))
    return torch.cat([clip_boxes_to_image(own, shape) for own, shape in zip(parts, shapes, strict=True)])


def larger(boxes: Tensor, side: float) -> Tensor:
    """Whether both sides of `boxes` (n, 4) xyxy are `side` px or longer: (n,)."""
    return ((boxes[:, 2:] - boxes[:, :2]) >= side).all(dim=1)


def best(
    boxes: Tensor, scores: Tensor, groups: Tensor, wanted: Tensor, counts: Sequence[int], *, iou: float, most: int
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Of each image the best boxes that overlap none of their group, with scores and groups, best first.

    Args:
        boxes: (n, 4) xyxy in px, those of an image one after the other.
        scores: (n,).
        groups: (n,), from 0: boxes of different groups do not suppress each other.
        wanted: (n,): the others are left out.
        counts: number of boxes of each image.
        iou: two boxes that overlap more are one.
        most: boxes of an image.

    """
    places = torch.nonzero(wanted)[:, 0]
    left = [len(places)]
    if len(counts) > 1:
        left = torch.stack([part.sum() for part in torch.split(wanted, list(counts))]).tolist()
    # One image needs no numbers from the GPU, and can be traced.
    columns = [column[places] for column in (boxes, scores, groups)]
    parts = [torch.split(column, left) if len(left) > 1 else (column,) for column in columns]
    found = []
    for own, scored, grouped in zip(*parts, strict=True):
        kept = _suppressed(own, scored, grouped, iou)[:most]
        found.append((own[kept], scored[kept], grouped[kept]))
    return found


def _suppressed(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float) -> Tensor:
    if boxes.device.type == "cpu" or not len(boxes):
        kept: Tensor = batched_nms(boxes, scores, groups, iou)
        return kept
    # As `batched_nms` on a GPU, which copies a 1 there and waits for it.
    apart: Tensor = nms(boxes + (groups.to(boxes) * (boxes.max() + 1))[:, None], scores, iou)
    return apart
