import hashlib
import json

import cv2
import numpy as np
import pytest
from safetensors import safe_open

from reid.embedder import Embedder
from reid.weights import EMBEDDED, weights_hash


def test_the_embedded_network_is_small_and_says_where_it_is_from():
    assert EMBEDDED.stat().st_size < 8_000_000
    with safe_open(EMBEDDED, "numpy") as file:
        training = json.loads(file.metadata()["training"])
    assert "/" not in json.dumps(training)  # no path of the machine that trained it
    card = EMBEDDED.with_name("MODEL_CARD.md").read_text("utf-8")
    assert all(heading in card for heading in ("## Training", "## Terms", "## Evaluation"))


def test_a_person_looks_more_like_itself_shifted_than_like_another():
    def person(shirt, trousers, shift=0):
        image = np.full((128, 64, 3), 120, np.uint8)
        cv2.ellipse(image, (32 + shift, 45), (14, 28), 0, 0, 360, shirt, -1)
        cv2.rectangle(image, (22 + shift, 70), (42 + shift, 122), trousers, -1)
        cv2.circle(image, (32 + shift, 12), 8, (200, 160, 130), -1)
        return image

    red = [person((200, 30, 30), (20, 20, 60), shift) for shift in (0, 4)]
    blue = [person((30, 60, 200), (220, 220, 210), shift) for shift in (0, 4)]
    features = Embedder.load(EMBEDDED, "cpu").embed(np.stack(red + blue))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    alike = features @ features.T
    assert min(alike[0, 1], alike[2, 3]) > alike[:2, 2:].max()


@pytest.mark.parametrize(
    ("model", "other"),
    [
        ("m.xml", "m.bin"),
        ("m.xml", "m.input.yaml"),
        ("m.onnx", "m.onnx.data"),
        ("m.onnx", "m.onnx_data"),
        ("m.onnx", "m.input.yaml"),
    ],
)
def test_the_hash_follows_each_file_that_decides_the_features(tmp_path, model, other):
    (tmp_path / model).write_text("model")
    alone = weights_hash(tmp_path / model)
    assert alone == hashlib.sha256(b"model").hexdigest()
    found = [alone]
    for content in ("one", "another"):
        (tmp_path / other).write_text(content)
        found.append(weights_hash(tmp_path / model))
    assert len(set(found)) == 3
    (tmp_path / "m.safetensors").write_text("model")
    assert weights_hash(tmp_path / "m.safetensors") == alone  # a checkpoint has its own input
