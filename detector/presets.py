"""What distinguishes the architectures, as plain numbers; importable without torch."""

from dataclasses import dataclass

from detector.config import Preset, Resize


@dataclass(frozen=True)
class Architecture:
    """What distinguishes a preset.

    Attributes:
        preset: its name.
        resize: how images are scaled for it.
        anchor_sizes: square roots of the anchors' areas, in pixels of the scaled image, a tuple per level.
        anchor_ratios: height / width of the anchors.
        proposals: (before, after) NMS in detection; in training three and two times as many.
        size_divisible: the padded batch's sides are multiples of this.

    """

    preset: Preset
    resize: Resize
    anchor_sizes: tuple[tuple[int, ...], ...]
    anchor_ratios: tuple[float, ...]
    proposals: tuple[int, int]
    size_divisible: int


ARCHITECTURES: dict[str, Architecture] = {
    "paper-c4": Architecture(
        "paper-c4",
        Resize(width=800, height=648, keep_aspect=False),
        ((32, 64, 128, 256, 512),),
        (0.5, 1.0, 2.0),
        (6000, 1000),
        16,
    ),
    "fpn": Architecture(
        "fpn",
        Resize(short_side=1200, max_side=1999),
        ((8,), (16,), (32,), (64,), (128,)),
        (1.0, 2.0, 3.0),
        (1000, 1000),
        32,
    ),
    # Persons of 25 m flights are 10 to 130 px tall at 960 px: strides 4, 8 and 16 are all that is needed.
    "small": Architecture(
        "small",
        Resize(width=960, height=960),
        ((10, 16), (26, 40), (60, 90)),
        (1.0, 1.8, 3.0),
        (500, 300),
        16,
    ),
}
