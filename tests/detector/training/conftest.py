"""Data and a recipe for short trainings."""

import json

import cv2
import numpy as np
import pytest

from detector.config import Augmentation, DataSource, TrainConfig


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four pictures of a bright upright bar, the "person", on dark noise."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(1, 5):
        picture = rng.integers(0, 60, (120, 160, 3)).astype(np.uint8)
        x, y = int(rng.integers(10, 130)), int(rng.integers(10, 70))
        picture[y : y + 40, x : x + 16] = (240, 220, 200)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        images.append({"id": number, "file_name": f"{number}.png", "width": 160, "height": 120})
        annotations.append(
            {"id": number, "image_id": number, "category_id": 1, "bbox": [x, y, 16, 40], "iscrowd": 0}
        )
    categories = [{"id": 1, "name": "person"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "coco.json").write_text(json.dumps(content))
    return DataSource(annotations=folder / "coco.json", images=folder)


PLAIN = Augmentation(crop=64, person_height=(20, 30), colour=0, grey=0, blur=0, noise=0, jpeg=0, flip=0)


def config(data, **changes):
    settings = {
        "train": (data,),
        "iterations": 6,
        "batch_size": 2,
        "warmup": 2,
        "workers": 0,
        "log_every": 1,
        "device": "cpu",
    }
    return TrainConfig(**(settings | {"augmentation": PLAIN, "checkpoint_every": 3} | changes))
