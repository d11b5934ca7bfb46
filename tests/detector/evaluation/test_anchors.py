import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from detector.annotations.coco import AnnotatedImage
from detector.config import Resize
from detector.errors import DetectorError
from detector.evaluation.anchor_report import AnchorFit, describe_scale, iou_table, save_plot, size_table
from detector.evaluation.anchors import ScaledPersons, best_ious, cell_anchors, scale_persons, suggest
from detector.models.faster_rcnn import build
from detector.models.presets import ARCHITECTURES

NONE = np.zeros((0, 4), np.float32)


def persons(boxes, size=(256, 192)):
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    return ScaledPersons(boxes, np.tile(np.array(size, np.float64), (len(boxes), 1)))


def crowd(count=300, seed=0, size=(256, 192)):
    """Upright persons of 4 to 60 px, some of them beyond the edge."""
    rng = np.random.default_rng(seed)
    heights = np.exp(rng.uniform(np.log(6), np.log(60), count))
    sides = np.stack([heights / rng.uniform(1, 4, count), heights], axis=1)
    corners = rng.uniform(-10, np.array(size), (count, 2))
    return persons(np.hstack([corners, corners + sides]), size)


@pytest.mark.parametrize("preset", ARCHITECTURES)
def test_the_model_itself_has_no_better_anchor(preset):
    """torchvision's own anchors, of a forward of the real backbone, against all persons."""
    architecture = ARCHITECTURES[preset]
    model = build(architecture).eval()
    width, height = 256, 192
    images = torch.zeros(1, 3, height, width)
    with torch.no_grad():
        features = model.backbone(images)
    levels = list(features.values())
    anchors = model.rpn.anchor_generator(ImageList(images, [(height, width)]), levels)[0]
    found = crowd()
    expected = box_iou(torch.from_numpy(found.boxes), anchors.double()).amax(dim=1)
    np.testing.assert_allclose(best_ious(found, architecture), expected, atol=1e-12)


@given(st.integers(4, 40), st.sampled_from([1.0, 2.0, 3.0]), st.integers(0, 20), st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_a_person_that_is_an_anchor_fits_wholly(size, ratio, column, row):
    architecture = ARCHITECTURES["fpn"].model_copy(
        update={"anchor_sizes": ((size,), (64,), (64,), (64,), (64,)), "anchor_ratios": (ratio,)}
    )
    width, height = cell_anchors([size], [ratio])[0]
    x, y = 4 * column, 4 * row
    box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    assert best_ious(persons([box]), architecture)[0] == pytest.approx(1)


def test_by_hand_half_a_stride_away():
    # Anchors 16 x 16 every 16 px; the person, of that very size, lies 8 px off in both directions:
    # 64 px in common of 2 · 256 − 64.
    architecture = ARCHITECTURES["paper-c4"].model_copy(update={"anchor_sizes": ((16,),), "anchor_ratios": (1.0,)})
    assert best_ious(persons([(0, 0, 16, 16)]), architecture)[0] == pytest.approx(64 / 448)


def test_persons_are_scaled_and_images_padded():
    image = AnnotatedImage(None, (1920, 1080), np.array([[192, 108, 384, 216]], np.float32), NONE)
    scaled = scale_persons([image], ARCHITECTURES["paper-c4"])  # fills 800 x 648, padded to multiples of 16
    np.testing.assert_allclose(scaled.boxes, [[80, 64.8, 160, 129.6]], rtol=1e-6)
    np.testing.assert_array_equal(scaled.padded, [[800, 656]])


def test_no_persons_and_no_size(tmp_path):
    with pytest.raises(DetectorError, match="no persons in these 1 images"):
        scale_persons([AnnotatedImage(tmp_path / "a.jpg", (9, 9), NONE, NONE)], ARCHITECTURES["fpn"])
    boxes = np.array([[1, 2, 3, 4]], np.float32)
    with pytest.raises(DetectorError, match=r"a\.jpg: cannot be read"):
        scale_persons([AnnotatedImage(tmp_path / "a.jpg", None, boxes, NONE)], ARCHITECTURES["fpn"])


@pytest.mark.parametrize("preset", ["fpn", "small"])
def test_what_is_suggested_is_better_and_fits_the_model(preset):
    before = ARCHITECTURES[preset]
    found = crowd()
    after = suggest(found, before)
    assert type(before).model_validate(after.model_dump()) == after
    assert np.shape(after.anchor_sizes) == np.shape(before.anchor_sizes)
    assert np.minimum(best_ious(found, after), 0.7).mean() > np.minimum(best_ious(found, before), 0.7).mean() + 0.01
    assert sorted(np.ravel(after.anchor_sizes)) == list(np.ravel(after.anchor_sizes))


def test_the_report_says_what_was_measured(tmp_path):
    architecture = ARCHITECTURES["fpn"]
    # √area 8, 16 and 24.
    found = persons([(0, 0, 4, 16), (0, 0, 8, 32), (0, 0, 12, 48)])
    fit = AnchorFit(architecture, found, np.array([0.2, 0.5, 0.75]))
    rows = {line.split()[0]: line.split()[1:] for line in size_table(fit).splitlines()[1:]}
    assert rows["√area"][3] == "16.0"
    assert set(rows["height/width"]) == {"4.0"}
    row = iou_table({"fpn": fit}).splitlines()[1]
    assert " ".join(row.split()).startswith("fpn 0.50 33.3 % 66.7 % 33.3 % short side 1200 px")
    save_plot(tmp_path / "a" / "anchors.png", {"fpn": fit, "better": fit}, "fpn", "better")
    assert (tmp_path / "a" / "anchors.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(DetectorError, match=r"as anchors\.png"):
        save_plot(tmp_path / "anchors.xyz", {"fpn": fit, "better": fit}, "fpn", "better")


@pytest.mark.parametrize(
    ("resize", "words"),
    [
        (Resize(short_side=800), "short side 800 px"),
        (Resize(short_side=800, max_side=1333), "short side 800 px, long at most 1333"),
        (Resize(width=800, height=648, keep_aspect=False), "fills 800×648 px"),
        (Resize(width=960, height=960), "into 960×960 px"),
    ],
)
def test_a_scale_in_words(resize, words):
    assert describe_scale(resize) == words
