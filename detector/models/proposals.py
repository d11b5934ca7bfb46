"""The proposals of the region proposal network, chosen for all images at once."""

import torch
from torch import Tensor, nn
from torchvision.models.detection.rpn import RegionProposalNetwork

from detector.models.suppression import best, clipped, larger


class RegionProposals(RegionProposalNetwork):
    """torchvision's, which chooses the proposals of all images at once."""

    def filter_proposals(
        self,
        proposals: Tensor,
        objectness: Tensor,
        image_shapes: list[tuple[int, int]],
        num_anchors_per_level: list[int],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The best boxes (n, 4) of each image and their scores (n,), best first.

        Args:
            proposals: (images, anchors, 4) xyxy in px.
            objectness: logits, one an anchor.
            image_shapes: height and width of each image, px.
            num_anchors_per_level: number of anchors of each level, in order.

        """
        logits = objectness.detach().reshape(len(proposals), -1)
        top = self._get_top_n_idx(logits, num_anchors_per_level)
        counts = [top.shape[1]] * len(top)
        boxes = proposals.gather(1, top[..., None].expand(-1, -1, 4)).reshape(-1, 4)
        boxes = clipped(boxes, image_shapes, counts)
        scores = self.ranked(logits.gather(1, top).flatten())
        levels = [torch.full((n,), level, device=top.device) for level, n in enumerate(num_anchors_per_level)]
        found = best(
            boxes,
            scores,
            torch.cat(levels)[top.flatten()],
            self.usable(boxes),
            counts,
            iou=self.nms_thresh,
            most=self.post_nms_top_n(),
        )
        return [own for own, _, _ in found], [own for _, own, _ in found]

    def ranked(self, logits: Tensor) -> Tensor:
        """What `logits` are ranked by."""
        return logits.sigmoid()

    def usable(self, boxes: Tensor) -> Tensor:
        """Whether `boxes` (n, 4) are large enough: (n,)."""
        return larger(boxes, self.min_size)


def rebuilt(rpn: RegionProposalNetwork, kind: type[RegionProposals], anchors: nn.Module) -> RegionProposals:
    """`rpn` as one of this `kind`, with the same head and settings, and with `anchors` as its generator."""
    return kind(
        anchors,
        rpn.head,
        fg_iou_thresh=rpn.proposal_matcher.high_threshold,
        bg_iou_thresh=rpn.proposal_matcher.low_threshold,
        batch_size_per_image=rpn.fg_bg_sampler.batch_size_per_image,
        positive_fraction=rpn.fg_bg_sampler.positive_fraction,
        pre_nms_top_n=rpn._pre_nms_top_n,
        post_nms_top_n=rpn._post_nms_top_n,
        nms_thresh=rpn.nms_thresh,
    )
