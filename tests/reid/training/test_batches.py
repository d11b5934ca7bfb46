import cv2
import numpy as np
import pytest
import torch

from reid.config import TrainConfig
from reid.errors import ReidError
from reid.records import Samples
from reid.training.batches import TrainingBatches

CONFIG = TrainConfig.model_validate(
    {
        "network": {"height": 32, "width": 16},
        "sampler": {"identities": 3, "images": 2},
        "augmentation": {"flip": 0, "margin": 1},
    }
)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A picture's red is its number, its green its identity; two distractors and a piece of junk among them."""
    folder = tmp_path_factory.mktemp("people")
    identities = np.array([7, 7, 7, 0, 9, 9, -1, 12, 30, 30, 0], np.int64)
    paths = tuple(folder / f"{number}.png" for number in range(len(identities)))
    for number, (path, identity) in enumerate(zip(paths, identities, strict=True)):
        cv2.imwrite(str(path), np.full((8, 4, 3), (0, max(identity, 0), number), np.uint8))
    unknown = np.full(len(paths), -1)
    return Samples(identities, unknown + 1, unknown, paths)


def test_labels_go_with_their_images_and_nobody_unknown_is_among_them(people):
    batches = TrainingBatches(people, CONFIG)
    assert (batches.classes, batches.size) == (4, 6)
    for iteration in range(10):
        batch = batches[iteration]
        images = batches.augment(batch, torch.device("cpu"))
        assert images.shape == (6, 3, 32, 16)
        assert [[7, 9, 12, 30][label] for label in batch.labels] == images[:, 1, 0, 0].tolist()


def test_batches_ahead_are_the_same_in_the_same_order(people):
    batches = TrainingBatches(people, CONFIG)
    seen = list(batches.between(3, 12))
    assert [iteration for iteration, _ in seen] == list(range(3, 12))
    for iteration, batch in seen:
        assert torch.equal(batch.crops, batches[iteration].crops)
        assert torch.equal(batch.labels, batches[iteration].labels)
    assert list(batches.between(5, 5)) == []


def test_processes_share_one_batch(people):
    whole = TrainingBatches(people, CONFIG)[4]
    parts = [TrainingBatches(people, CONFIG, process=process, processes=2)[4] for process in range(2)]
    assert torch.equal(torch.cat([part.crops for part in parts]), whole.crops)
    assert np.array_equal(np.concatenate([part.draws.corner for part in parts]), whole.draws.corner)
    for part in parts:
        assert torch.equal(part.labels, whole.labels)
    with pytest.raises(ReidError, match="6 images does not divide among 4 processes"):
        TrainingBatches(people, CONFIG, process=0, processes=4)


def test_an_unreadable_image_stops_with_its_name(people, tmp_path):
    broken = Samples(people.identities, people.cameras, people.tracklets, (tmp_path / "gone.png",) * len(people))
    with pytest.raises(ReidError, match=r"gone\.png: cannot be read"):
        list(TrainingBatches(broken, CONFIG).between(0, 5))
