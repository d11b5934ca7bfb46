"""Settings of the network, its losses and its training; importable without torch.

Defaults are the paper's first stage (Grigorev et al. 2019): ImageNet to a source set with the triplet loss.
Values that the paper does not give are marked "our choice".
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reid.errors import ReidError

NAMED_INITS = ("imagenet", "embedded", "random")  # all else is a path
_TRAINED = ("last.safetensors", "best.safetensors")  # that a training writes into its folder


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, and values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GlobalBranch(Section):
    """Two fully connected layers between the feature and the triplet loss; training only."""

    width: int = Field(2048, ge=1, description="of the hidden layer")
    dropout: float = Field(0.5, ge=0, lt=1, description="after the hidden layer; the rate is our choice")
    dimension: int = Field(128, ge=1, description="of the embedding for the triplet loss")


class GroupBranch(Section):
    """The feature's channels in equal groups, each embedded for its own L-GM loss; training only."""

    groups: int = Field(4, ge=1, description="must divide the feature's length; our choice")
    width: int = Field(256, ge=1, description="of the layer that all groups share")
    dimension: int = Field(128, ge=1, description="of each group's embedding")
    norm: bool = Field(False, description="batch norm, without scale and shift, on each group's embedding")


class NetworkConfig(Section):
    """The network from image to feature, and the branches used in training."""

    backbone: str = Field(
        "resnet50",
        description="of torchvision, such as resnet50 or vit_b_16; or 'timm:NAME' where timm is installed",
    )
    last_stride: Literal[1, 2] = Field(
        1, description="of the last stage of a ResNet or MobileNetV2; other backbones keep their own"
    )
    pooling: Literal["average", "gem"] = Field(
        "average", description="gem: generalised mean with a learned exponent (Radenovic et al. 2018)"
    )
    projection: int | None = Field(
        None,
        ge=1,
        description="length of the feature, by a linear layer; null: the backbone's own",
    )
    normalised: bool = Field(
        False,
        description="features of a search have length 1: Euclidean distances rank like cosines",
    )
    neck: Literal["none", "batch_norm"] = Field(
        "none",
        description="batch_norm: the triplet loss takes the feature before it, cross-entropy and inference after "
        "it (BNNeck, Luo et al. 2019)",
    )
    height: int = Field(256, ge=32, le=4096, description="of the images, px")
    width: int = Field(128, ge=16, le=4096, description="of the images, px")
    global_branch: GlobalBranch | None = Field(
        GlobalBranch(), description="null: the triplet loss takes the feature itself"
    )
    group_branch: GroupBranch | None = Field(None, description="needed by the L-GM loss; {}: the paper's")


class TripletConfig(Section):
    """Batch-hard triplet loss (Hermans et al. 2017)."""

    margin: float | Literal["soft"] = Field(0.2, description="0.1, 0.2, 0.3 in the paper; or 'soft'")

    @model_validator(mode="after")
    def _margin_is_positive(self) -> "TripletConfig":
        if self.margin != "soft" and self.margin <= 0:
            raise ValueError(f"margin {self.margin}: expected a number above 0, or 'soft'")
        return self


class LGMConfig(Section):
    """Large-margin Gaussian mixture loss (Wan et al. 2018) on each group of the group branch."""

    margin: float = Field(0.1, ge=0, description="the authors' alpha: share by which the own distance grows")
    margin_warmup: int = Field(0, ge=0, description="iterations over which the margin grows from 0")
    likelihood: float = Field(0.01, ge=0, description="the authors' lambda: weight of the likelihood")
    weight: float = Field(0.25, ge=0, description="the paper's k: of the groups' sum, against the triplet loss")
    covariance: Literal["identity", "diagonal"] = Field("identity", description="diagonal: learned, by class")
    means_rate: float = Field(
        50.0,
        gt=0,
        description="learning rate of the means, relative to the others'; at 2, which the authors have with SGD at "
        "0.1, the means do not move under Adam",
    )


class CrossEntropyConfig(Section):
    """Identity classification by a linear layer on the feature after the neck."""

    smoothing: float = Field(0.1, ge=0, lt=1, description="of the labels (Szegedy et al. 2016)")
    weight: float = Field(1.0, ge=0)


class DistillationConfig(Section):
    """Features like those of larger networks; it needs no identities."""

    teachers: tuple[Path, ...] = Field(
        (), description="the larger networks: checkpoints, ONNX or OpenVINO files; several are joined"
    )
    similarities: float = Field(
        5.0,
        ge=0,
        description="weight of the squared differences between the batch's similarities and the teachers', against "
        "the cosine distances from their features",
    )
    weight: float = Field(1.0, ge=0)


class LossConfig(Section):
    """The loss that is minimised: the weighted sum of those that are not null."""

    triplet: TripletConfig | None = TripletConfig()
    lgm: LGMConfig | None = None
    cross_entropy: CrossEntropyConfig | None = None
    distillation: DistillationConfig | None = None

    @model_validator(mode="after")
    def _one_is_there(self) -> "LossConfig":
        if not any((self.triplet, self.lgm, self.cross_entropy, self.distillation)):
            raise ValueError("all are null; expected one of triplet, lgm, cross_entropy, distillation")
        return self


class SamplerConfig(Section):
    """The composition of a batch: P identities with K images each."""

    identities: int = Field(32, ge=2, description="in a batch")
    images: int = Field(4, ge=1, description="of each identity; repeated only where it has fewer")


class Augmentation(Section):
    """Random changes to a training image."""

    margin: float = Field(
        1.125,
        ge=1,
        le=2,
        description="factor: images are scaled to this times the network's size, then cropped at random",
    )
    flip: float = Field(0.5, ge=0, le=1, description="share that is mirrored")
    erase: float = Field(0.0, ge=0, le=1, description="share with a rectangle blanked (Zhong et al. 2020)")
    erase_area: tuple[float, float] = Field((0.02, 0.4), description="share of the image, drawn from this range")
    erase_aspect: float = Field(0.3, gt=0, le=1, description="of the rectangle, drawn from this to its inverse")
    shrink: float = Field(
        0.0, ge=0, le=1, description="share that is scaled down, to a fifth at least, and up again: small persons"
    )
    brightness: float = Field(0.0, ge=0, lt=1, description="factor drawn from 1 - this to 1 + this")
    contrast: float = Field(0.0, ge=0, lt=1)
    saturation: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _area_is_a_range(self) -> "Augmentation":
        low, high = self.erase_area
        if not 0 < low <= high < 1:
            raise ValueError(f"erase_area {list(self.erase_area)}: expected two rising shares between 0 and 1")
        return self


class TrainConfig(Section):
    """The recipe of a training run; the data are given apart."""

    network: NetworkConfig = NetworkConfig()
    loss: LossConfig = LossConfig()
    sampler: SamplerConfig = SamplerConfig()
    augmentation: Augmentation = Augmentation()
    init: str = Field(
        "imagenet",
        description="initial weights. 'imagenet': torchvision's backbone; 'embedded': the network bundled with "
        "uavpipe; 'random'; or a checkpoint, torchvision's .pth too",
    )
    init_heads: bool = Field(False, description="take neck and branches of that checkpoint too, where shapes match")
    terms: str = Field(
        "",
        pattern="^.*$",
        description="of the training data, and of teachers that are no checkpoints, one line: licence, use; "
        "checkpoints state them after those of the initial weights",
    )
    iterations: int = Field(25_000, ge=1, description="the paper's t1: 25,000; 16,000 on the drone's set")
    decay_from: int = Field(15_000, ge=0, description="the paper's t0: 15,000; 8,000 on the drone's set")
    learning_rate: float = Field(1e-4, gt=0, description="until t0; then it falls to 0.001 of this at t1")
    late_beta1: float | None = Field(
        0.5, ge=0, lt=1, description="Adam's first momentum from t0 on (Hermans et al.); null: 0.9 throughout"
    )
    weight_decay: float = Field(0.0, ge=0)
    ema: float = Field(0.0, ge=0, lt=1, description="decay of the weights' moving average; 0: none")
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto: CUDA if there is a usable GPU"
    )
    precision: Literal["fp32", "fp16", "bf16"] = Field("fp32", description="of the backbone; fp16 on CUDA only")
    cache_gb: float = Field(8.0, ge=0, description="memory for decoded images, per process; used if all fit")
    seed: int = Field(0, ge=0)
    log_every: int = Field(20, ge=1)
    checkpoint_every: int = Field(500, ge=1)
    evaluate_every: int = Field(2500, ge=1, description="where the data set has query and gallery")

    @property
    def init_file(self) -> Path | None:
        """The checkpoint that `init` names; None for one of the names."""
        return None if self.init in NAMED_INITS else Path(self.init)

    def check_files(self) -> None:
        """Check that the initial weights exist, with heads where `init_heads` needs them, and the teachers.

        Raises:
            ReidError: they do not.

        """
        if self.init_heads and self.init in ("imagenet", "random"):
            raise ReidError(
                f"init_heads: '{self.init}' has no heads; give a checkpoint as init, or leave init_heads out"
            )
        if self.init_file is not None and not self.init_file.is_file():
            names = ", ".join(f"'{name}'" for name in NAMED_INITS)
            made = ""
            if self.init_file.name in _TRAINED:
                made = f"; a training writes it: uavpipe reid train --config source --out {self.init_file.parent} …"
            raise ReidError(f"init: {self.init_file}: no such file; expected a checkpoint, or one of {names}{made}")
        if self.loss.distillation is not None:
            teachers = self.loss.distillation.teachers
            missing = [str(path) for path in teachers if not path.is_file()]
            if missing or not teachers:
                raise ReidError(
                    f"loss.distillation.teachers: {', '.join(missing) or 'none'}: no such file; expected "
                    "checkpoints, ONNX or OpenVINO files, as in --set 'loss.distillation.teachers=[teacher.xml]'"
                )

    @model_validator(mode="after")
    def _parts_fit(self) -> "TrainConfig":
        if (self.loss.lgm is None) != (self.network.group_branch is None):
            raise ValueError(
                "loss.lgm and network.group_branch need each other: give both ({} for the defaults) or neither"
            )
        if self.network.neck == "batch_norm" and self.loss.cross_entropy is None:
            raise ValueError("network.neck: batch_norm needs loss.cross_entropy, which trains it")
        if self.decay_from > self.iterations:
            raise ValueError(
                f"decay_from ({self.decay_from}) must not exceed iterations ({self.iterations}); set both, as "
                f"decay_from={self.iterations // 2}"
            )
        return self
