import pytest
import torch
from torch import nn

from detector.backends.torchvision import GPU_BATCH
from detector.models import faster_rcnn
from detector.models.faster_rcnn import INT32, build, chunks, freeze_stem
from detector.models.presets import ARCHITECTURES, DETECTRON2, STRIDES


def parameters(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    quick = {"proposals": (200, 50), "rois_per_image": 32}
    return {preset: build(architecture.model_copy(update=quick)) for preset, architecture in ARCHITECTURES.items()}


def test_backbones_are_the_published_ones(models):
    # ResNet-50's 25.557 M without its classifier; ResNet-18's 11.690 M without layer4 and classifier.
    c4 = models["paper-c4"]
    frozen_norms = 53 * 2  # FrozenBatchNorm2d keeps scale and shift as buffers
    assert parameters(c4.backbone.body) + parameters(c4.roi_heads.box_head) == 23_454_912
    assert frozen_norms == sum("weight" in n or "bias" in n for n, _ in c4.named_buffers())
    assert parameters(models["small"].backbone.body) == 11_689_512 - 8_393_728 - 513_000


def test_fpn_takes_torchvisions_own_weights(models):
    from torchvision.models.detection import fasterrcnn_resnet50_fpn

    theirs = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=2).state_dict()
    ours = models["fpn"].state_dict()
    differing = {name for name in theirs if name not in ours or ours[name].shape != theirs[name].shape}
    assert {name for name in differing if "num_batches_tracked" not in name and not name.startswith("rpn")} == set()


@pytest.mark.parametrize(("preset", "anchors"), [("paper-c4", 15), ("fpn", 6), ("small", 6)])
def test_anchors_per_place(models, preset, anchors):
    counts = models[preset].rpn.anchor_generator.num_anchors_per_location()
    assert set(counts) == {anchors}


def test_anchors_have_the_sizes_that_are_written_down(models):
    levels = models["small"].rpn.anchor_generator.cell_anchors
    sides = [level[:, 2:] - level[:, :2] for level in levels]
    areas = [side.prod(dim=1).sqrt() for side in sides]
    torch.testing.assert_close(areas[0][[0, 1]], torch.tensor([10.0, 16.0]), rtol=0.15, atol=1)
    ratios = sides[2][:, 1] / sides[2][:, 0]
    assert ratios.min() < 1.1
    assert ratios.max() > 2.7


@pytest.mark.parametrize(("preset", "strides"), [("small", [4, 8, 16]), ("paper-c4", [16])])
def test_strides(models, preset, strides):
    with torch.inference_mode():
        features = models[preset].backbone(torch.zeros(1, 3, 128, 192))
    assert [192 // level.shape[3] for level in features.values()] == strides


@pytest.mark.parametrize("preset", ["paper-c4", "small"])
def test_training_gives_losses_and_detection_gives_boxes(models, preset):
    model = models[preset]
    image = torch.randint(0, 256, (3, 128, 160), dtype=torch.uint8)
    target = {"boxes": torch.tensor([[20.0, 20, 50, 90]]), "labels": torch.ones(1, dtype=torch.int64)}
    losses = model.train()([image], [target])
    assert set(losses) == {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"}
    assert all(torch.isfinite(value) for value in losses.values())
    for layer in model.roi_heads.box_predictor.children():  # else chance decides whether it sees anybody
        nn.init.zeros_(layer.weight)
    with torch.inference_mode():
        (output,) = model.eval()([image])
    assert output["boxes"].shape[1] == 4
    assert len(output["boxes"]) > 0
    assert (output["boxes"] >= 0).all()
    assert (output["boxes"] <= torch.tensor([160, 128, 160, 128])).all()


def test_boxes_are_decoded_in_full_precision_under_autocast(models):
    # bfloat16 knows whole multiples of 8 only, around 1,500 px.
    model = models["small"].eval()
    levels = [torch.randn(1, 64, 8, 8) for _ in range(3)]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits, deltas = model.rpn.head(levels)
        scores, boxes = model.roi_heads.box_predictor(torch.randn(5, 256))
        assert model.rpn.head.bbox_pred(levels[0]).dtype == torch.bfloat16  # autocast is on
    assert {value.dtype for value in (*logits, *deltas, scores, boxes)} == {torch.float32}


def test_the_stem_and_first_stage_can_be_held_fixed():
    model = build(ARCHITECTURES["fpn"])
    freeze_stem(model)
    fixed = {name for name, value in model.named_parameters() if not value.requires_grad}
    # conv1, and layer1's three blocks of three convolutions with one shortcut
    assert len(fixed) == 1 + 10
    assert all(name.startswith(("backbone.body.conv1", "backbone.body.layer1")) for name in fixed)


def test_images_are_not_scaled_inside_and_normalised_as_imagenet(models):
    image = torch.full((3, 96, 112), 255, dtype=torch.uint8)
    images, _ = models["small"].transform([image])
    assert images.tensors.shape == (1, 3, 96, 112)
    expected = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(images.tensors[0, :, 0, 0], expected)


class Halves(nn.Module):
    """Logits and deltas, one each."""

    def forward(self, features):
        return features[:, :1], features[:, 1:]


class Counting(nn.Module):
    """Pools nothing; notes how many numbers the maps and the pooled RoIs have."""

    def __init__(self, pool):
        super().__init__()
        self.featmap_names, self.output_size, self.largest, self.rois = pool.featmap_names, pool.output_size, 0, 0

    def forward(self, maps, boxes, image_shapes):
        assert len(boxes) == len(image_shapes)
        rois = sum(map(len, boxes))
        pooled = rois * maps["0"].shape[1] * self.output_size[0] * self.output_size[1]
        self.largest = max(self.largest, pooled, *(level.numel() for level in maps.values()))
        self.rois += rois
        return torch.zeros(()).expand(rois, 2)


FAMILIES = {"our": ARCHITECTURES, "detectron2": DETECTRON2}
ALL = {f"{family} {name}": each for family, own in FAMILIES.items() for name, each in own.items()}


@pytest.mark.parametrize("images", [GPU_BATCH, 200], ids=["default", "far too many"])
@pytest.mark.parametrize("name", ALL)
def test_no_batch_is_beyond_the_int32_that_roi_align_counts_in_on_a_gpu(name, images):
    # The real shapes at 1080p, and as many proposals as there may be; zero strides, so that they take no memory.
    architecture = ALL[name]
    with torch.device("meta"):
        model = build(architecture).eval()
    heads, (width, height) = model.roi_heads, architecture.resize.size(1920, 1080)
    channels, strides = model.backbone.out_channels, STRIDES[architecture.preset]
    heads.box_roi_pool = pool = Counting(heads.box_roi_pool)
    heads.box_head, heads.box_predictor = nn.Identity(), Halves()
    heads.postprocess_detections = lambda logits, *others: ([logits], [logits], [logits])
    maps = {
        level: torch.zeros(()).expand(images, channels, -(-height // stride), -(-width // stride))
        for level, stride in zip(pool.featmap_names, strides, strict=False)
    }
    boxes = [torch.zeros(1).expand(architecture.proposals[1], 4)] * images
    with torch.no_grad():
        heads(maps, boxes, [(height, width)] * images)
    assert pool.rois == images * architecture.proposals[1]
    assert pool.largest <= INT32


def test_rois_in_chunks_give_what_they_give_at_once(models, monkeypatch):
    torch.manual_seed(1)
    model = models["small"].eval()
    images = [torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8) for _ in range(3)]
    with torch.inference_mode():
        whole = model(images)
        # 21 RoIs of 64 channels by 7 x 7 at once, and two images' maps
        monkeypatch.setattr(faster_rcnn, "_POOLED_AT_ONCE", 21 * 64 * 49)
        monkeypatch.setattr(faster_rcnn, "INT32", 2 * 64 * 24 * 32)
        chunked = model(images)
    for one, other in zip(whole, chunked, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)
        assert len(one["boxes"]) > 0


@pytest.mark.parametrize(
    ("counts", "most", "images", "expected"),
    [
        ([3, 2], 9, 9, [(0, [3, 2])]),
        ([3, 2], 2, 9, [(0, [2]), (0, [1, 1]), (1, [1])]),
        ([0, 4, 0, 1], 2, 9, [(0, [0, 2]), (1, [2, 0, 0]), (3, [1])]),
        ([1, 1, 1], 9, 2, [(0, [1, 1]), (2, [1])]),
        ([0], 1, 1, [(0, [0])]),
    ],
)
def test_chunks_keep_order_and_count(counts, most, images, expected):
    boxes = torch.arange(4.0 * sum(counts)).reshape(-1, 4).split(counts)
    found = list(chunks(boxes, most, images))
    assert [(first, [len(box) for box in chunk]) for first, chunk in found] == expected
    assert torch.equal(torch.cat([box for _, chunk in found for box in chunk]), torch.cat(boxes))


def test_frozen_norms_keep_the_type_of_their_maps():
    norm = build(ARCHITECTURES["fpn"]).backbone.body.bn1
    for kind in (torch.float32, torch.bfloat16):
        maps = torch.randn(1, 64, 2, 2, dtype=kind, requires_grad=True)
        assert norm(maps).dtype == norm(maps.detach()).dtype == kind
