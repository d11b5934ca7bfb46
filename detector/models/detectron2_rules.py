"""detectron2's rules of Faster R-CNN where they differ from torchvision's, for weights trained with them.

Anchors are placed at fixed strides and not rounded, proposals are ranked by logit, RoIs are aligned to pixel
centres. Each difference alone moves boxes by pixels. After detectron2's `DefaultAnchorGenerator`,
`find_top_rpn_proposals` and `ROIPooler` (https://github.com/facebookresearch/detectron2).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign, roi_align

from detector.models.presets import STRIDES, Architecture
from detector.models.proposals import RegionProposals, rebuilt

_CANONICAL_SIDE, _CANONICAL_LEVEL = 224, 4  # equation 1 of the FPN paper: a RoI of 224 px is pooled at stride 2^4


def use_detectron2_rules(model: FasterRCNN, architecture: Architecture) -> None:
    """Put detectron2's anchors, proposals and RoI pooling into `model`; its weights keep names and shapes."""
    strides = STRIDES[architecture.preset]
    rpn, pool = model.rpn, model.roi_heads.box_roi_pool
    model.rpn = rebuilt(rpn, _RegionProposals, _AnchorGenerator(architecture, strides))
    model.roi_heads.box_roi_pool = _RoIPool(
        pool.featmap_names, pool.output_size, pool.sampling_ratio, strides[: len(pool.featmap_names)]
    )


class _AnchorGenerator(AnchorGenerator):
    """Anchors of exactly the given sizes, sizes outermost, at fixed strides from the top left corner."""

    def __init__(self, architecture: Architecture, strides: Sequence[int]) -> None:
        levels = len(architecture.anchor_sizes)
        super().__init__(architecture.anchor_sizes, (architecture.anchor_ratios,) * levels)
        self._strides, self._offset = strides, architecture.anchor_offset

    def generate_anchors(
        self,
        scales: Sequence[float],
        aspect_ratios: Sequence[float],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Anchors (sizes x ratios, 4) xyxy around (0, 0) of the areas scales² and the given height / width."""
        sides = [
            (width, ratio * width)
            for scale in scales
            for ratio in aspect_ratios
            for width in (math.sqrt(scale**2 / ratio),)
        ]
        return torch.tensor([[-w / 2, -h / 2, w / 2, h / 2] for w, h in sides], dtype=dtype, device=device)

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """The anchors (n, 4) of each image, xyxy in px, level by level, row by row."""
        self.set_cell_anchors(feature_maps[0].dtype, feature_maps[0].device)
        grids = self.grid_anchors(
            [level.shape[-2:] for level in feature_maps], [[stride, stride] for stride in self._strides]
        )
        shifted = [grid + self._offset * stride for grid, stride in zip(grids, self._strides, strict=True)]
        return [torch.cat(shifted)] * len(image_list.image_sizes)


class _RegionProposals(RegionProposals):
    """Ranks proposals by logit, which still differs where the float32 sigmoids of two are both 1."""

    def ranked(self, logits: Tensor) -> Tensor:
        """`logits` themselves."""
        return logits

    def usable(self, boxes: Tensor) -> Tensor:
        """Whether `boxes` (n, 4) have an area: (n,)."""
        return (boxes[:, 2:] > boxes[:, :2]).all(dim=1)


class _RoIPool(MultiScaleRoIAlign):
    """RoIAlign with pixel centres at halves (`aligned`), at fixed strides."""

    def __init__(
        self, names: Sequence[str], output_size: tuple[int, int], sampling_ratio: int, strides: Sequence[int]
    ) -> None:
        super().__init__(list(names), output_size, sampling_ratio)
        self._strides = strides

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """Features (n, c, h, w) of the images' n boxes (xyxy, px) from the maps `x`, by name, (images, c, H, W)."""
        rois = torch.cat(
            [torch.cat([torch.full_like(box[:, :1], image), box], 1) for image, box in enumerate(boxes)]
        )
        levels = self._levels(rois[:, 1:])
        pooled, places = [], []
        for level, (name, stride) in enumerate(zip(self.featmap_names, self._strides, strict=True)):
            chosen = torch.where(levels == level)[0]
            pooled.append(
                roi_align(x[name], rois[chosen], self.output_size, 1 / stride, self.sampling_ratio, aligned=True)
            )
            places.append(chosen)
        in_order: Tensor = torch.cat(pooled)[torch.cat(places).argsort()]
        return in_order

    def _levels(self, boxes: Tensor) -> Tensor:
        first, last = (int(math.log2(stride)) for stride in (self._strides[0], self._strides[-1]))
        side = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
        level = torch.floor(_CANONICAL_LEVEL + torch.log2(side / _CANONICAL_SIDE + 1e-8))
        return level.clamp(first, last).to(torch.int64) - first
