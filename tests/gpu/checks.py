"""Checks of all that computes on a GPU: on a real one, or on a pretended one with its ledger. `test_gpu` runs them.

A pretended GPU computes what the CPU computes, so that fp32 must be equal to the bit.
"""

import json
from unittest import mock

import cv2
import numpy as np
import pytest
import torch

from detector.backends.torchvision import Predictor
from detector.config import Augmentation, DataSource, DetectorConfig, Resize
from detector.config import TrainConfig as DetectorTraining
from detector.training.train import train as train_detector
from pipeline.chain.table import DETECT
from pipeline.config.models import FlightConfig, FramesConfig
from pipeline.engine.progress import progress_bar
from pipeline.run.flight import run_stages
from pipeline.workspace.tables import read_table
from reid.config import TrainConfig
from reid.embedder import Embedder
from reid.evaluation.evaluate import Evaluation, Options
from reid.records import ReidData, Samples
from reid.training.train import train as train_reid
from tests.gpu.pretend import HALF, pretended_gpu

REAL = torch.cuda.is_available()
SMALL = {"weights": "embedded", "resize": Resize(width=192, height=192), "floor": 0.02}
KINDS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# Rounded to half precision, these overflow or are wrong by pixels: a box is clamped when it is decoded and cut.
NEVER_IN_HALF = (
    "_cdist_forward", "_log_softmax", "_roi_align_backward", "_softmax", "binary_cross_entropy_with_logits",
    "clamp", "exp", "log", "nll_loss_forward", "nms", "roi_align", "sigmoid", "smooth_l1_loss", "softplus",
)  # fmt: skip


@pytest.fixture
def gpu():
    """The ledger of a pretended GPU; None on a real one."""
    if REAL:
        yield None
        return
    with pretended_gpu() as ledger:
        yield ledger


def equal(found, expected, tolerance):
    """To the bit where the GPU is pretended."""
    if REAL:
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(found, expected)


def check_ledger(ledger, precision, *layers):
    if ledger is not None:
        assert ledger.kinds("convolution", "convolution_backward", *layers) == {KINDS[precision]}
        assert not {*HALF} & ledger.kinds(*NEVER_IN_HALF)


@pytest.fixture(scope="module")
def pictures():
    noise = np.random.default_rng(5).integers(0, 256, (3, 216, 384, 3))
    return list(noise.astype(np.uint8))


@pytest.fixture(scope="module")
def on_cpu(pictures):
    predictor = Predictor.load(DetectorConfig(device="cpu", **SMALL))
    return predictor.predict([predictor.preprocess(picture) for picture in pictures])


@pytest.mark.parametrize("precision", KINDS)
def test_detection(gpu, pictures, on_cpu, precision):
    predictor = Predictor.load(DetectorConfig(precision=precision, **SMALL))
    assert (predictor.device.type, predictor.batch_size) == ("cuda", 16)
    assert not torch.backends.cudnn.allow_tf32  # else fp32 is none
    assert not torch.backends.cuda.matmul.allow_tf32
    prepared = [predictor.preprocess(picture) for picture in pictures]
    if gpu:
        gpu.clear()
    found = predictor.predict(prepared)
    for one, expected in zip(found, on_cpu, strict=True):
        if precision == "fp32":
            equal(one.boxes, expected.boxes, 1e-3)
            equal(one.scores, expected.scores, 1e-4)
        assert abs(len(one) - len(expected)) <= 5
    check_ledger(gpu, precision, "relu_", "relu")
    if gpu:
        # Not one more: the GPU idles while the host waits, and the host while the GPU is asked.
        here = "detector/backends/torchvision.py"
        chosen = "detector/models/suppression.py"
        assert gpu.own_waits("detector") == {
            f"{here} _local_scalar_dense": 2,
            f"{here} to host": 1,
            f"{chosen} nonzero": 2,
            f"{chosen} to host": 2,
        }
        # An image more is two more waits, for its proposals and for its persons, and 40 more operators.
        assert sum(gpu.waits.values()) <= 16 + 3 * len(prepared)
        assert sum(gpu.launches.values()) <= 500 + 50 * len(prepared)


@pytest.fixture(scope="module")
def persons(tmp_path_factory):
    """Pictures of bright bars with their boxes, and crops of four identities by colour."""
    folder, rng = tmp_path_factory.mktemp("persons"), np.random.default_rng(0)
    images, boxes = [], []
    for number in (1, 2):
        picture = rng.integers(0, 60, (120, 160, 3)).astype(np.uint8)
        picture[30:70, 40 * number : 40 * number + 16] = 230
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        images.append({"id": number, "file_name": f"{number}.png", "width": 160, "height": 120})
        box = [40 * number, 30, 16, 40]
        boxes.append({"id": number, "image_id": number, "category_id": 1, "bbox": box, "iscrowd": 0})
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "person"}]}
    (folder / "coco.json").write_text(json.dumps(content))
    return DataSource(annotations=folder / "coco.json", images=folder)


def losses(folder):
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


class KilledError(BaseException):
    pass


def trained(train, config, folder, *, dies=None, ledger=None):
    """The losses of a run, killed after iteration `dies`; the ledger is left with the last iteration."""

    def advance(done, text):
        if done == dies:
            raise KilledError
        if ledger is not None and done < config.iterations:
            ledger.clear()

    try:
        train(config, folder, advance=advance)
    except KilledError:
        train(config, folder)
    return losses(folder)


@pytest.mark.parametrize("precision", KINDS)
def test_training_a_detector(gpu, persons, tmp_path, precision):
    crop = Augmentation(crop=64, person_height=(20, 30), colour=0, grey=0, blur=0, noise=0, jpeg=0)
    config = DetectorTraining(
        train=(persons,), validation=persons, iterations=3, batch_size=2, workers=0, augmentation=crop, warmup=1,
        log_every=1, checkpoint_every=1, evaluate_every=9, precision=precision, rois_per_image=16,
        resize=SMALL["resize"],
    )  # fmt: skip
    found = trained(train_detector, config, tmp_path / "gpu", ledger=gpu)
    assert np.isfinite(found).all()
    check_ledger(gpu, precision, "relu_", "relu")  # with the validation, which is in this precision, too
    if gpu:  # in one iteration, and no more in a longer one
        train = "detector/training/train.py"
        waits = gpu.own_waits("detector/training")
        del waits[f"{train} copy between devices"]  # the weights, for the validation
        assert waits == {
            f"{train} to host": 1,  # the losses
            f"{train} to the GPU": 3 * config.batch_size,  # images, boxes, labels: here they are not pinned
            **({f"{train} _local_scalar_dense": 4} if precision == "fp16" else {}),  # of the gradients' scaler
        }
    on_cpu = config.model_copy(update={"device": "cpu", "precision": "fp32", "validation": None})
    expected = trained(train_detector, on_cpu, tmp_path / "cpu")
    if precision == "fp32":
        equal(found, expected, 1e-3)
        # The run without a disturbance, resumed from its second checkpoint
        equal(trained(train_detector, config, tmp_path / "killed", dies=3), found, 1e-2)
    else:
        np.testing.assert_allclose(found[0], expected[0], rtol=0.05)


ALL_LOSSES = {
    "network": {
        "backbone": "squeezenet1_1", "height": 48, "width": 24, "neck": "batch_norm",
        "global_branch": {"width": 32, "dimension": 16}, "group_branch": {"groups": 2, "width": 16, "dimension": 8},
    },
    "loss": {"triplet": {"margin": 0.3}, "lgm": {"covariance": "diagonal"}, "cross_entropy": {}},
    "augmentation": {"erase": 0.5, "brightness": 0.2},
    "sampler": {"identities": 4, "images": 2}, "init": "random", "iterations": 3, "decay_from": 2,
    "log_every": 1, "checkpoint_every": 1, "evaluate_every": 9, "ema": 0.9, "learning_rate": 1e-4,
}  # fmt: skip


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("crops"), np.random.default_rng(1)
    paths = [folder / f"{person}_{number}.png" for person in range(4) for number in range(3)]
    for place, path in enumerate(paths):
        colour = np.array([60 * (place // 3), 120, 250 - 60 * (place // 3)])
        cv2.imwrite(str(path), (colour + rng.integers(-20, 20, (48, 24, 3))).clip(0, 255).astype(np.uint8))
    places = np.arange(len(paths))
    return Samples(places // 3, places % 3, places, tuple(paths))


@pytest.mark.parametrize("precision", KINDS)
def test_training_embedding_and_ranking(gpu, crops, tmp_path, precision):
    config = TrainConfig.model_validate(ALL_LOSSES | {"precision": precision})
    data = ReidData("crops", crops, crops, crops)
    evaluation = Evaluation(crops, crops, Options(device="cuda"))

    def measure(*features):
        return evaluation(*features).figures

    def train(config, folder, **options):
        # Without an evaluation in half precision: it embeds in fp32, always.
        return train_reid(config, data, folder, measure=measure if config.precision == "fp32" else None, **options)

    found = trained(train, config, tmp_path / "gpu", ledger=gpu)
    weights = tmp_path / "gpu" / "last.safetensors"
    assert np.isfinite(found).all()
    check_ledger(gpu, precision)
    if gpu:  # in one iteration with its diagnosis
        waits = gpu.own_waits("reid/training")
        waits.pop("reid/training/train.py copy between devices", None)  # the weights, for the evaluation
        assert waits == {
            "reid/training/losses.py to host": 2,  # the states of the triplets and of the L-GM loss
            "reid/training/train.py to host": 1,  # the losses
            **({"reid/training/train.py _local_scalar_dense": 4} if precision == "fp16" else {}),  # the scaler
        }
    on_cpu = config.model_copy(update={"device": "cpu", "precision": "fp32"})
    expected = trained(train, on_cpu, tmp_path / "cpu")
    if precision != "fp32":
        np.testing.assert_allclose(found[0], expected[0], rtol=0.05)
        return
    equal(found, expected, 1e-3)
    equal(trained(train, config, tmp_path / "killed", dies=3), found, 1e-2)
    features = [Embedder.load(weights, device).embed_files(crops.paths) for device in ("cuda", "cpu")]
    equal(*features, 1e-4)
    figures = [Evaluation(crops, crops, Options(device=device))(*features) for device in ("cuda", "cpu")]
    assert figures[0].figures == figures[1].figures


def test_ranking_a_gallery_in_parts(gpu):
    rng = np.random.default_rng(3)
    query, gallery = (
        Samples(rng.integers(-1, 5, n), rng.integers(0, 3, n), np.full(n, -1, np.int64)) for n in (12, 90)
    )
    own, others = (900 + rng.integers(-1, 2, (n, 6)).astype(np.float32) for n in (12, 90))  # many equal distances
    with mock.patch("reid.evaluation.distances._PART_BYTES", 4 * 12 * 40):  # 40 crops: three parts
        found = [Evaluation(query, gallery, Options(device=device)) for device in ("cuda", "cpu")]
        distances = found[0](own, others).distances
        rivals = found[0].candidates.between(0, 12)
        if gpu:
            gpu.clear()
        ranks = distances.ranks(0, 12, rivals)
        assert ranks.tolist() == found[1](own, others).distances.ranks(0, 12, rivals).tolist()
    if gpu:
        waits = gpu.own_waits("reid/evaluation")
        here = "reid/evaluation/torch_distances.py"
        # A part waits once, for what its rounded distances leave open.
        assert waits == {f"{here} nonzero": 3, f"{here} to host": 1, f"{here} to the GPU": 9}


def test_a_whole_pass(gpu, tmp_path):
    frames = tmp_path / "flight"
    frames.mkdir()
    rng = np.random.default_rng(2)
    for number in range(6):
        cv2.imwrite(str(frames / f"{number}.png"), rng.integers(0, 256, (96, 160, 3), np.uint8))
    found = {}
    for device in ("auto", "cpu"):
        detector = DetectorConfig(device=device, precision="fp32", **SMALL)
        config = FlightConfig(workspace=tmp_path / device, detector=detector, frames=FramesConfig(segment_frames=3))
        (*_, result) = run_stages(config, frames, DETECT, progress_bar)
        found[device] = read_table(result.folder / DETECT.file)
        manifest = json.loads((result.folder / "manifest.json").read_text())
        assert manifest["versions"]["device"].startswith("fp32 on cpu" if device == "cpu" else "fp32 on ")
    assert len(found["cpu"])
    equal(found["auto"].to_numpy(), found["cpu"].to_numpy(), 1e-3)
