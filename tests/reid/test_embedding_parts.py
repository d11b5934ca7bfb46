import cv2
import numpy as np
import pytest

import reid.embedding_parts as module
from reid.embedder import Embedder
from reid.embedding_parts import embed_in_parts, parts_folder
from reid.errors import ReidError


class Means(Embedder):
    """The mean colour of each image; stops after `allowed` images."""

    size, dimension, device = (4, 2), 3, "cpu"

    def __init__(self, allowed=1000):
        self.allowed, self.done = allowed, 0

    def _features(self, crops):
        self.done += len(crops)
        if self.done > self.allowed:
            raise KeyboardInterrupt
        return crops.mean(axis=(1, 2), dtype=np.float32)


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PART", 16)
    files = []
    for number in range(50):
        files.append(tmp_path / f"{number:02d}.png")
        cv2.imwrite(str(files[-1]), np.random.default_rng(number).integers(0, 256, (4, 2, 3), np.uint8))
    return files


def test_a_stopped_run_resumes_and_ends_with_the_same_bytes(images, tmp_path):
    whole, stopped = tmp_path / "whole.npy", tmp_path / "stopped.npy"
    assert embed_in_parts(Means(), images, whole, {"weights": "a"}) == (50, 3)
    np.testing.assert_array_equal(np.load(whole), Means().embed_files(images))
    with pytest.raises(KeyboardInterrupt):
        embed_in_parts(Means(40), images, stopped, {"weights": "a"})
    assert not stopped.exists()
    assert sorted(path.name for path in parts_folder(stopped).iterdir()) == [
        "part-000000.npy",
        "part-000001.npy",
        "parts.json",
    ]
    resumed, steps = Means(), []
    embed_in_parts(resumed, images, stopped, {"weights": "a"}, advance=steps.append)
    assert resumed.done == 18
    assert sum(steps) == 50
    assert stopped.read_bytes() == whole.read_bytes()
    assert not parts_folder(stopped).exists()


@pytest.mark.parametrize("change", ["weights", "image", "flip", "damage"])
def test_parts_of_something_else_are_not_used(images, tmp_path, change):
    out = tmp_path / "out.npy"
    with pytest.raises(KeyboardInterrupt):
        embed_in_parts(Means(40), images, out, {"weights": "a"})
    if change == "image":
        cv2.imwrite(str(images[0]), np.zeros((9, 9, 3), np.uint8))
    if change == "damage":
        (parts_folder(out) / "part-000000.npy").write_bytes(b"no features")
    again = Means()
    embed_in_parts(again, images, out, {"weights": "b" if change == "weights" else "a"}, flip=change == "flip")
    assert again.done == {"flip": 100, "damage": 34}.get(change, 50)
    np.testing.assert_array_equal(np.load(out), Means().embed_files(images))


def test_a_folder_of_the_users_own_is_left_alone(images, tmp_path):
    folder = parts_folder(tmp_path / "out.npy")
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ReidError, match=r"out\.parts: has files that are no parts of features, as notes\.txt"):
        embed_in_parts(Means(), images, tmp_path / "out.npy", {})
    assert (folder / "notes.txt").read_text() == "mine"
