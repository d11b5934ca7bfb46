"""The architectures and their presets, as plain numbers; importable without torch."""

from typing import Literal

from pydantic import Field, model_validator

from detector.config import Body, Preset, Resize, Section
from detector.scores import TileScores

# distance of the anchors' places by level, px of the scaled image
STRIDES: dict[Preset, tuple[int, ...]] = {"paper-c4": (16,), "fpn": (4, 8, 16, 32, 64), "small": (4, 8, 16)}


class Architecture(Section):
    """A model in numbers. A checkpoint contains its own, so that weights are always used with their anchors."""

    preset: Preset = Field(description="decides backbone and heads")
    body: Body = Field("resnet18", description="of preset small: what comes before its FPN")
    resize: Resize = Field(description="how images are scaled for it by default")
    anchor_sizes: tuple[tuple[int | float, ...], ...] = Field(
        min_length=1, description="square roots of the anchors' areas, px of the scaled image, a tuple per level"
    )
    anchor_ratios: tuple[float, ...] = Field(min_length=1, description="height / width of the anchors")
    proposals: tuple[int, int] = Field(description="before NMS (per level) and after NMS (in all), in detection")
    training_proposals: tuple[int, int] = Field(description="the same in training")
    rois_per_image: int = Field(ge=1, description="RoIs per training image for the box head")
    size_divisible: int = Field(ge=1, description="the padded batch's sides are multiples of this, in px")
    norm: Literal["batch", "frozen"] = Field(
        description="batch: statistics change in training; frozen: scale and bias are constants"
    )
    norm_eps: float = Field(1e-5, ge=0, description="added to the variance")
    pixel_mean: tuple[float, float, float] = Field(
        (123.675, 116.28, 103.53), description="of ImageNet's R, G, B in 0..255; subtracted from each image"
    )
    pixel_std: tuple[float, float, float] = Field(
        (58.395, 57.12, 57.375), description="divides the difference; 1 if the first kernels include it"
    )
    bgr: bool = Field(False, description="the first kernels take blue, green, red in this order")
    stride_in_1x1: bool = Field(
        False, description="where a ResNet stage shrinks: in its first 1x1 kernel (MSRA's way), or in its 3x3"
    )
    rules: Literal["torchvision", "detectron2"] = Field(
        "torchvision",
        description="how anchors are placed, proposals ranked and RoIs aligned: as in the training of the weights; "
        "with detectron2, convolutions too give its results to the last bit, not in faster channels-last order",
    )
    anchor_offset: float = Field(
        0.0, ge=0, lt=1, description="of the first anchor's centre from the corner, in strides; detectron2's rules"
    )
    sampling_ratio: int | None = Field(
        None, ge=0, description="sampling points per side of a RoI's cell; 0: by its size; null: the preset's"
    )
    proposal_iou: float = Field(0.7, gt=0, le=1, description="if two proposals overlap more than this, one is kept")
    tile_scores: TileScores | None = Field(
        None,
        description="what scores in tiles mean: small pieces show few persons, and wrong boxes are surer there",
    )
    person_classes: int = Field(1, ge=1, description="number of classes after the background that are persons")

    @model_validator(mode="after")
    def _a_tuple_per_level(self) -> "Architecture":
        levels = len(STRIDES[self.preset])
        if len(self.anchor_sizes) != levels:
            raise ValueError(f"'{self.preset}' has {levels} levels, anchor_sizes has {len(self.anchor_sizes)}")
        if len({len(sizes) for sizes in self.anchor_sizes}) != 1:
            raise ValueError("each level needs the same number of anchor_sizes: they share one RPN head")
        return self


ARCHITECTURES: dict[str, Architecture] = {
    "paper-c4": Architecture(
        preset="paper-c4",
        resize=Resize(width=800, height=648, keep_aspect=False),
        anchor_sizes=((32, 64, 128, 256, 512),),
        anchor_ratios=(0.5, 1.0, 2.0),
        proposals=(6000, 1000),
        training_proposals=(12000, 2000),
        rois_per_image=512,
        size_divisible=16,
        norm="frozen",
    ),
    "fpn": Architecture(
        preset="fpn",
        resize=Resize(short_side=1200, max_side=1999),
        anchor_sizes=((8, 11), (16, 22), (32, 45), (64, 90), (128, 181)),
        anchor_ratios=(1.0, 2.0, 3.0),
        proposals=(1000, 1000),
        training_proposals=(2000, 2000),
        rois_per_image=512,
        size_divisible=64,
        norm="frozen",
    ),
    # Persons of 25 m flights are 10 to 130 px tall at 960 px: strides 4, 8 and 16 are all that is needed.
    "small": Architecture(
        preset="small",
        resize=Resize(width=960, height=960),
        anchor_sizes=((10, 16), (26, 40), (60, 90)),
        anchor_ratios=(1.0, 1.8, 3.0),
        proposals=(500, 300),
        training_proposals=(1000, 300),
        # RoIAlign's backward pass runs on one thread: with 512 RoIs it is most of an iteration on a CPU.
        rois_per_image=64,
        size_divisible=16,
        norm="batch",
    ),
}

# At equal CPU time it finds more than ResNet-18: it takes larger images (docs/benchmarks.md, Bodies).
EFFICIENTNET = ARCHITECTURES["small"].model_copy(
    update={
        "body": "efficientnet-lite0",
        "resize": Resize(width=1120, height=1120),
        "anchor_sizes": ((6, 11), (19, 32), (54, 90)),
        "norm_eps": 1e-3,
    }
)

# torchvision's own checkpoints are trained at torchvision's scale and anchors, which differ from our preset's:
# the same tensors with other anchors would give boxes of a quarter of the size.
TORCHVISION: dict[str, Architecture] = ARCHITECTURES | {
    "fpn": ARCHITECTURES["fpn"].model_copy(
        update={
            "resize": Resize(short_side=800, max_side=1333),
            "anchor_sizes": ((32,), (64,), (128,), (256,), (512,)),
            "anchor_ratios": (0.5, 1.0, 2.0),
            "size_divisible": 32,
        }
    )
}
COCO_FPN = TORCHVISION["fpn"].model_copy(update={"norm_eps": 0.0})  # torchvision sets it so for COCO_V1

_DETECTRON2 = {
    "resize": Resize(short_side=800, max_side=1333, filter="bilinear"),
    "pixel_std": (1.0, 1.0, 1.0),
    "bgr": True,
    "stride_in_1x1": True,
    "rules": "detectron2",
    "sampling_ratio": 0,
}
# detectron2's defaults for Faster R-CNN R50-C4 and R50-FPN: its model zoo, and what is trained from there.
DETECTRON2: dict[str, Architecture] = {
    "paper-c4": ARCHITECTURES["paper-c4"].model_copy(update=_DETECTRON2 | {"size_divisible": 1}),
    "fpn": TORCHVISION["fpn"].model_copy(update=_DETECTRON2 | {"training_proposals": (2000, 1000)}),
}
