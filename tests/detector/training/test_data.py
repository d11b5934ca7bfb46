"""Training samples: boxes, regions to ignore, and what their number decides."""

import json

import pytest
import torch

from detector.config import Augmentation, DataSource, Resize, TrainConfig
from detector.errors import DetectorError
from detector.training.data import TrainingSamples, load_batches
from tests.detector.training.conftest import PLAIN


def test_sample_boxes_lie_on_the_bar(data):
    samples = TrainingSamples([data], PLAIN, Resize(width=64, height=64), seed=1, count=40, cache_gb=0.1)
    seen = 0
    for number in range(40):
        image, target = samples[number]
        assert image.shape == (3, 64, 64)
        for x1, y1, x2, y2 in target["boxes"].round().int().tolist():
            inside = image[:, y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].float()
            assert inside.mean() > 200
            seen += 1
    assert seen > 25


def test_a_sample_depends_on_its_number_alone(data):
    def make():
        return TrainingSamples(
            [data], Augmentation(crop=64), Resize(width=64, height=64), seed=1, count=9, cache_gb=0
        )

    first, second = make(), make()
    second[3]
    for (image, target), (other, other_target) in zip([first[5], first[2]], [second[5], second[2]], strict=True):
        assert torch.equal(image, other)
        assert torch.equal(target["boxes"], other_target["boxes"])
    assert not torch.equal(first[5][0], first[6][0])


def test_ignored_regions_are_blanked(data, tmp_path):
    content = json.loads(data.annotations.read_text())
    for row in content["annotations"]:
        row["iscrowd"] = 1
    (tmp_path / "coco.json").write_text(json.dumps(content))
    source = DataSource(annotations=tmp_path / "coco.json", images=data.images)
    samples = TrainingSamples([source], None, Resize(width=160, height=160), seed=1, count=4, cache_gb=0)
    for number in range(4):
        image, target = samples[number]
        assert len(target["boxes"]) == 0
        assert image.max() < 150  # no bar is left


def test_a_data_set_of_nobody_is_refused(data, tmp_path):
    content = json.loads(data.annotations.read_text())
    (tmp_path / "coco.json").write_text(json.dumps(content | {"annotations": []}))
    source = DataSource(annotations=tmp_path / "coco.json", images=data.images)
    with pytest.raises(DetectorError, match=r"coco\.json: no persons to train on"):
        load_batches(TrainConfig(iterations=1, train=(source,)), Resize(width=160, height=160), [], pin=False)


def test_who_stands_before_somebody_ignored_is_left_whole(data, tmp_path):
    content = json.loads(data.annotations.read_text())
    for row in list(content["annotations"]):
        x, y, width, height = row["bbox"]
        behind = [x - 8, y - 8, width + 4, height + 4]
        content["annotations"].append(row | {"id": row["id"] + 10, "bbox": behind, "iscrowd": 1})
    (tmp_path / "coco.json").write_text(json.dumps(content))
    source = DataSource(annotations=tmp_path / "coco.json", images=data.images)
    for augmentation in (None, PLAIN):
        samples = TrainingSamples(
            [source], augmentation, Resize(width=160, height=160), seed=1, count=8, cache_gb=0
        )
        boxes = 0
        for number in range(8):
            image, target = samples[number]
            for x1, y1, x2, y2 in target["boxes"].round().int().tolist():
                assert image[:, y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].float().mean() > 200
                boxes += 1
            if len(target["boxes"]):
                assert (image == 114).all(dim=0).any()  # the rest of the region is blank
        assert boxes
