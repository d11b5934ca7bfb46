"""Settings of detection and of training; importable without torch."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, field_validator, model_validator

Preset = Literal["paper-c4", "fpn", "small"]
Body = Literal["resnet18", "efficientnet-lite0"]  # of preset small
NAMED_WEIGHTS = ("auto", "embedded", "coco")  # all else is a path
_ONLY_BACKEND = {".onnx": "onnx", ".xml": "openvino"}  # by the suffix of the weights' file


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Resize(Section):
    """The scaling of an image for the model.

    Either into a frame (`width`, `height`; `keep_aspect: false` fills it, as the paper does) or to a length
    of the short side, but the long side at most `max_side` (as torchvision and detectron2 do).
    """

    width: int | None = Field(None, ge=1, le=16384)
    height: int | None = Field(None, ge=1, le=16384)
    keep_aspect: bool = True
    short_side: int | None = Field(None, ge=1, le=16384)
    max_side: int | None = Field(None, ge=1, le=16384)
    filter: Literal["area", "bilinear"] = Field(
        "area", description="area: OpenCV's average over areas; bilinear: Pillow's, as detectron2 scales"
    )

    @model_validator(mode="after")
    def _one_rule(self) -> "Resize":
        frame = self.width is not None and self.height is not None
        side = self.short_side is not None
        half = (self.width is None) != (self.height is None)
        if frame == side or half or (frame and self.max_side is not None):
            raise ValueError("give either width and height, or short_side (and max_side)")
        if self.short_side is not None and not self.keep_aspect:
            raise ValueError("keep_aspect: false needs width and height")
        return self

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height, in pixels, to which an image of `width` x `height` is scaled."""
        if self.width is not None and self.height is not None:
            if not self.keep_aspect:
                return self.width, self.height
            scale = min(self.width / width, self.height / height)
            return _rounded(width * scale, height * scale)
        assert self.short_side is not None
        # Rounded in the steps in which detectron2 does it, or one image in some thousands is a pixel off.
        scale = self.short_side / min(width, height)
        short, long = float(self.short_side), scale * max(width, height)
        if self.max_side is not None and long > self.max_side:
            scale = self.max_side / long
            short, long = short * scale, long * scale
        return _rounded(long, short) if width > height else _rounded(short, long)


def _rounded(width: float, height: float) -> tuple[int, int]:
    return max(1, int(width + 0.5)), max(1, int(height + 0.5))


class Tiles(Section):
    """Sliced inference: the image is cut into overlapping squares, and each is scaled for the model by itself."""

    size: int = Field(640, ge=64, description="side of a tile, in pixels of the original image")
    overlap: float = Field(
        0.2, ge=0, lt=1, description="share of a tile that its neighbour covers too; a person should fit into it"
    )
    full_image: bool = Field(True, description="detect in the whole image as well, for persons larger than a tile")


class Detectron2(Section):
    """Settings of backend detectron2: the model besides its weights."""

    config_file: Path | None = Field(
        None, description="the model's config.yaml; null: detectron2's defaults of R50-FPN or R50-C4"
    )
    persons: tuple[NonNegativeInt, ...] = Field(
        (0,), min_length=1, description="classes that are persons; VisDrone: [0, 1]"
    )


class Onnx(Section):
    """Settings of backend onnx: what the model's file does not say; null: as models of its layout expect it."""

    layout: Literal["auto", "yolox", "yolov5", "yolov8", "yolo-nms", "detr", "nanodet"] = Field(
        "auto",
        description="form of the outputs; auto: by their shapes and values, or refused. yolov5: with a column for "
        "objectness, as YOLOv3, v6 and v7 too; yolov8: without it, as v9, 11 and 12 too; yolo-nms: with NMS inside",
    )
    persons: tuple[NonNegativeInt | str, ...] = Field(
        (), description="names or numbers of the classes that are persons; empty: by their names in the model"
    )
    colours: Literal["rgb", "bgr"] | None = Field(None, description="order of the channels")
    range: Literal["0-1", "0-255", "-1-1", "imagenet"] | None = Field(
        None, description="values of the pixels; imagenet: minus ImageNet's mean, divided by its standard deviation"
    )
    fit: Literal["centre", "top-left", "stretch"] | None = Field(
        None, description="where the scaled image is in the input, with grey margins; stretch: no margins"
    )


class DetectorConfig(Section):
    """Settings of person detection."""

    weights: str = Field(
        "auto",
        description="'auto': a checkpoint in weights/, else torchvision's COCO weights, else the embedded model; "
        "'embedded'; 'coco'; or the path of a checkpoint",
    )
    preset: Preset | None = Field(None, description="architecture; null: the one the weights were made for")
    backend: Literal["torchvision", "detectron2", "openvino", "onnx"] = Field(
        "torchvision",
        description="runtime of the model; where it is not set, .onnx and .xml have their own; "
        "detectron2: needs its .pkl or .pth, and that package; "
        "openvino: faster on CPUs; needs pip install 'uavpipe[openvino]'; "
        "takes any weights or an exported .xml; "
        "onnx: an .onnx of any tool",
    )
    detectron2: Detectron2 = Field(Detectron2(), description="settings of backend detectron2")
    onnx: Onnx = Field(Onnx(), description="settings of backend onnx")
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto: CUDA if there is a usable GPU"
    )
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        "auto", description="auto: fp16 on CUDA, fp32 on a CPU"
    )
    batch_size: int | None = Field(None, ge=1, description="images per forward pass; null: 16 on CUDA, 1 on a CPU")
    resize: Resize | None = Field(None, description="null: as the weights were trained")
    tiles: Tiles | Literal["auto"] | None = Field(
        None,
        description="null: the whole image at once; {}: tiles, for small persons; auto: by the height of a "
        "flight's persons, at 5 × the model time at most",
    )
    floor: float = Field(0.05, ge=0, le=1, description="lowest score that is stored")
    threshold: float = Field(0.8, ge=0, le=1, description="lowest score that becomes a crop (the paper's 0.8)")
    max_detections: int = Field(500, ge=1, description="maximum number of boxes per image, best first")
    nms_iou: float = Field(0.5, gt=0, le=1, description="of two boxes that overlap more, the better one is kept")

    @model_validator(mode="before")
    @classmethod
    def _backend_of_the_file(cls, content: Any) -> Any:
        if isinstance(content, dict) and "backend" not in content:
            backend = _ONLY_BACKEND.get(Path(str(content.get("weights", ""))).suffix)
            return content if backend is None else content | {"backend": backend}
        return content

    @field_validator("tiles", mode="before")
    @classmethod
    def _errors_name_the_field_alone(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return Tiles.model_validate(value)
        if value is None or value == "auto" or isinstance(value, Tiles):
            return value
        raise ValueError("expected auto, null or {size: …, overlap: …}")

    @model_validator(mode="after")
    def _floor_below_threshold(self) -> "DetectorConfig":
        if self.floor > self.threshold:
            raise ValueError(f"floor ({self.floor}) must not exceed threshold ({self.threshold})")
        return self


class DataSource(Section):
    """Annotated images: COCO JSON, and the folder to which its file names are relative."""

    annotations: Path
    images: Path
    weight: float = Field(1.0, gt=0, description="how often it is drawn, relative to the other sources")
    persons: tuple[str, ...] = Field(
        (), description="names of the categories that are persons; empty: by their name"
    )


class Augmentation(Section):
    """Augmentation of a training image; each part has its own random draw."""

    crop: int = Field(320, ge=64, description="side of the square that the model trains on, in pixels")
    person_height: tuple[float, float] = Field(
        (10.0, 120.0),
        description="a person in the crop is scaled to a height drawn from this range, log-uniform, in pixels",
    )
    scale: tuple[float, float] = Field((0.35, 3.0), description="smallest and largest scale of an image")
    on_person: float = Field(0.85, ge=0, le=1, description="share of crops that are placed around a person")
    flip: float = Field(0.5, ge=0, le=1)
    colour: float = Field(0.8, ge=0, le=1, description="share with changed brightness, contrast, saturation, hue")
    grey: float = Field(0.08, ge=0, le=1)
    blur: float = Field(0.25, ge=0, le=1)
    noise: float = Field(0.25, ge=0, le=1)
    jpeg: float = Field(0.25, ge=0, le=1)


class TrainConfig(Section):
    """A training recipe; the run's folder keeps a copy of it."""

    preset: Preset = "small"
    body: Body | None = Field(
        None, description="of preset small; null: that of the initial checkpoint, without one resnet18"
    )
    train: tuple[DataSource, ...] = Field(min_length=1)
    validation: DataSource | None = None
    init: str = Field(
        "random",
        description="'random'; 'imagenet': the backbone's weights, with stem and first stage frozen where batch "
        "norm is; 'coco': torchvision's R50-FPN, for preset fpn, or its R50 for paper-c4; 'embedded': the bundled "
        "weights, for preset small; or the path of a checkpoint (ours, whose anchors and scale are kept, or "
        "torchvision's; of a .pth without a box head, the backbone)",
    )
    terms: str = Field(
        "",
        pattern="^.*$",
        description="of the training data, one line: licence, permitted use; checkpoints state them after those of "
        "the initial weights",
    )
    iterations: int = Field(ge=1)
    batch_size: int = Field(8, ge=1, description="images per iteration, over all processes")
    rois_per_image: int | None = Field(
        None, ge=1, description="RoIs per image for the box head; null: the preset's"
    )
    anchor_sizes: tuple[tuple[int, ...], ...] | None = Field(
        None,
        description="square roots of the anchors' areas by level, px of the scaled image; null: the preset's",
    )
    anchor_ratios: tuple[float, ...] | None = Field(None, description="height / width; null: the preset's")
    resize: Resize | None = Field(
        None, description="how whole images are scaled, also in detection with these weights; null: the preset's"
    )
    optimizer: Literal["sgd", "adamw"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="with sgd")
    warmup: int = Field(200, ge=0, description="iterations over which the learning rate rises linearly")
    schedule: Literal["cosine", "steps"] = "cosine"
    steps: tuple[int, ...] = Field((), description="with schedule steps: when the rate falls to a tenth")
    clip_norm: float | None = Field(10.0, gt=0, description="maximum norm of the gradient; null: no limit")
    ema: float = Field(0.998, ge=0, lt=1, description="decay of the weights' moving average; 0: none")
    augmentation: Augmentation | None = Field(
        Augmentation(), description="null: whole images, resized as in detection, flipped"
    )
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto: CUDA if there is a usable GPU"
    )
    precision: Literal["fp32", "fp16", "bf16"] = Field(
        "fp32", description="fp16: on CUDA only; bf16: also on CPUs with AMX (others emulate it, slowly)"
    )
    workers: int = Field(1, ge=0, description="processes that prepare images; 0: none")
    cache_gb: float = Field(4.0, ge=0, description="memory for decoded images, per worker")
    seed: int = Field(0, ge=0)
    log_every: int = Field(20, ge=1)
    checkpoint_every: int = Field(250, ge=1)
    evaluate_every: int = Field(1000, ge=1, description="iterations between evaluations on the validation source")

    @model_validator(mode="after")
    def _settings_fit(self) -> "TrainConfig":
        if self.schedule == "steps" and not self.steps:
            raise ValueError("schedule 'steps' needs 'steps'")
        if self.body is not None and self.preset != "small":
            raise ValueError(f"body is a setting of preset 'small'; '{self.preset}' has its own")
        return self
