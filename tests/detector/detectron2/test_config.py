import pytest

from detector.detectron2.config import read_architecture, read_config
from detector.errors import DetectorError
from detector.models.presets import DETECTRON2


@pytest.fixture
def config(tmp_path):
    def written(text):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return read_config(path)

    return written


@pytest.mark.parametrize("preset", ["fpn", "paper-c4"])
def test_without_a_file_a_model_has_detectron2s_defaults(preset):
    assert read_architecture({}, preset, "") == DETECTRON2[preset]


def test_the_models_own_values_are_taken(config):
    found = read_architecture(
        config(
            """
_BASE_: ../COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml
MODEL:
  PIXEL_STD: [57.375, 57.120, 58.395]
  ANCHOR_GENERATOR: {SIZES: [[8], [16], [32], [64], [128]], ASPECT_RATIOS: [[1.0, 2.0]], OFFSET: 0.5}
  RPN: {PRE_NMS_TOPK_TEST: 2000, NMS_THRESH: 0.8, BBOX_REG_WEIGHTS: "(1.0, 1.0, 1.0, 1.0)"}
  RESNETS: {STRIDE_IN_1X1: false}
  ROI_BOX_HEAD: {POOLER_SAMPLING_RATIO: 2}
INPUT: {MIN_SIZE_TEST: 1200, MAX_SIZE_TEST: 2000}
"""
        ),
        "fpn",
        "config.yaml",
    )
    assert found.anchor_sizes == ((8,), (16,), (32,), (64,), (128,))
    assert (found.anchor_ratios, found.anchor_offset) == ((1.0, 2.0), 0.5)
    assert (found.proposals, found.proposal_iou, found.sampling_ratio) == ((2000, 1000), 0.8, 2)
    assert (found.resize.short_side, found.resize.max_side, found.resize.filter) == (1200, 2000, "bilinear")
    assert not found.stride_in_1x1
    assert found.pixel_std == (58.395, 57.12, 57.375)  # the file has blue first


def test_a_model_that_takes_rgb_has_its_means_in_that_order(config):
    found = config("{INPUT: {FORMAT: RGB}, MODEL: {PIXEL_MEAN: [1, 2, 3]}}")
    architecture = read_architecture(found, "fpn", "")
    assert (architecture.bgr, architecture.pixel_mean) == (False, (1, 2, 3))
    # What stands in no file is the default as it is, of blue first or not.
    assert read_architecture(config("{INPUT: {FORMAT: RGB}}"), "fpn", "").pixel_mean == (103.53, 116.28, 123.675)


def test_one_list_of_sizes_holds_for_all_levels(config):
    found = config("MODEL: {ANCHOR_GENERATOR: {SIZES: [[16, 24.5]]}}")
    assert read_architecture(found, "fpn", "").anchor_sizes == ((16, 24.5),) * 5


def test_lists_that_detectron2_shares_in_its_own_files_are_read(config):
    found = config("MODEL: {RPN: {BBOX_REG_WEIGHTS: &id1 [1.0, 1.0, 1.0, 1.0]}, OTHER: {WEIGHTS: *id1}}")
    assert found == {"MODEL.RPN.BBOX_REG_WEIGHTS": [1.0] * 4, "MODEL.OTHER.WEIGHTS": [1.0] * 4}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MODEL: {RESNETS: {DEPTH: 101}}", "MODEL.RESNETS.DEPTH is 101; only 50 can be imported"),
        ("MODEL: {ROI_HEADS: {NAME: CascadeROIHeads}}", "MODEL.ROI_HEADS.NAME is 'CascadeROIHeads'"),
        ("MODEL: {ROI_BOX_HEAD: {POOLER_RESOLUTION: 14}}", "POOLER_RESOLUTION is 14; only 7 can be imported"),
        ("INPUT: {FORMAT: L}", "INPUT.FORMAT is 'L'"),
        ("INPUT: {MIN_SIZE_TEST: 0}", "not a Faster R-CNN that can be imported"),
        ("MODEL: {PIXEL_MEAN: [1, 2]}", "not a Faster R-CNN that can be imported"),
        ("MODEL: {PIXEL_MEAN: 3}", "not a Faster R-CNN that can be imported"),
        ("MODEL: {ANCHOR_GENERATOR: {SIZES: [[8], [16]]}}", "has 5 levels, anchor_sizes has 2"),
        ("MODEL: {ANCHOR_GENERATOR: {ASPECT_RATIOS: [[1], [1], [1], [1], [2]]}}", "differ from level to level"),
    ],
)
def test_a_model_that_cannot_be_imported_is_named_by_its_key(config, text, expected):
    with pytest.raises(DetectorError, match=expected) as caught:
        read_architecture(config(text), "fpn", "config.yaml")
    assert str(caught.value).startswith("config.yaml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("_BASE_: /etc/passwd", "_BASE_: /etc/passwd is not read"),
        ("_BASE_: [a, b]", "is not read"),
        ("_BASE_: https://example.org/x.yaml", "is not read"),
        ("a: !!python/object/apply:os.system ['touch ran']", "line 1: not YAML that can be read"),
        ("a: [", "line 1: not YAML|line 2: not YAML"),
        ("- a", "expected detectron2's 'KEY: value' lines"),
        ("", "expected detectron2's 'KEY: value' lines"),
        ("a: &a {b: 1}\nc: *a", "c is an alias of another section"),
        ("[" * 5000, "not YAML that can be read"),
        ("x: " + "y" * 1_000_001, "larger than"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_line(config, text, expected):
    with pytest.raises(DetectorError, match=expected) as caught:
        config(text)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(DetectorError, match="cannot be read: No such file"):
        read_config(tmp_path / "config.yaml")
