"""What distinguishes the architectures, as plain numbers; importable without torch."""

from typing import Literal

from pydantic import Field, model_validator

from detector.config import Preset, Resize, Section


class Architecture(Section):
    """A model in numbers; a checkpoint carries its own, so that weights never meet other anchors than theirs."""

    preset: Preset = Field(description="decides backbone and heads")
    resize: Resize = Field(description="how images are scaled for it, if nothing else is said")
    anchor_sizes: tuple[tuple[int, ...], ...] = Field(
        min_length=1, description="square roots of the anchors' areas, px of the scaled image, a tuple per level"
    )
    anchor_ratios: tuple[float, ...] = Field(min_length=1, description="height / width of the anchors")
    proposals: tuple[int, int] = Field(description="before and after NMS in detection, per level and in all")
    training_proposals: tuple[int, int] = Field(description="the same in training")
    rois_per_image: int = Field(ge=1, description="RoIs of a training image that the head sees")
    size_divisible: int = Field(ge=1, description="the padded batch's sides are multiples of this, in px")
    norm: Literal["batch", "frozen"] = Field(
        description="batch: statistics are learnt in training; frozen: scale and bias are constants"
    )
    norm_eps: float = Field(1e-5, ge=0, description="added to the variance")

    @model_validator(mode="after")
    def _a_tuple_per_level(self) -> "Architecture":
        levels = {"paper-c4": 1, "fpn": 5, "small": 3}[self.preset]
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
        anchor_sizes=((8,), (16,), (32,), (64,), (128,)),
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
        # RoIAlign's backward runs on one thread: at 512 RoIs it is most of an iteration on a CPU.
        rois_per_image=64,
        size_divisible=16,
        norm="batch",
    ),
}

# torchvision's own checkpoints are trained at torchvision's scale and anchors, whatever our preset has made of
# them: the same tensors behind other anchors would give boxes of a quarter of the size.
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
