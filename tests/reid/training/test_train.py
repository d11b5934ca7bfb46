import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from reid.checkpoint import load_checkpoint, load_network
from reid.config import TrainConfig
from reid.embedder import NetworkEmbedder
from reid.errors import ReidError
from reid.header import read_header
from reid.records import ReidData, Samples
from reid.training.init_weights import terms_of
from reid.training.train import _accelerator, learning_rate, train
from reid.weights import EMBEDDED

ROOT = Path(__file__).parents[3]


def picture(rng, person):
    """Noise in the person's own colours above and below the belt."""
    colours = np.random.default_rng(person).integers(0, 256, (2, 3))
    image = rng.normal(0, 25, (40, 20, 3)) + np.repeat(colours, 20, axis=0)[:, None]
    return image.clip(0, 255).astype(np.uint8)


def samples(folder, persons, images, seed):
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    identities = np.repeat(np.array(persons, np.int64), images)
    paths = tuple(folder / f"{person:04d}_{number}.png" for number, person in enumerate(identities))
    for path, person in zip(paths, identities, strict=True):
        cv2.imwrite(str(path), picture(rng, person))
    return Samples(identities, np.arange(len(paths)) % 3, np.full(len(paths), -1), paths)


def make_data(folder):
    train_samples = samples(folder / "train", range(1, 9), 5, seed=0)
    query = samples(folder / "query", range(11, 17), 1, seed=1)
    return ReidData("bars", train_samples, query, samples(folder / "gallery", range(11, 17), 3, seed=2))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("bars") / "data")


# A SqueezeNet has no batch norms: in several processes it is that of one.
SETTINGS = {
    "device": "cpu",  # where a resumed run is equal to the bit, and there is one for each of several processes
    "network": {
        "backbone": "squeezenet1_1",
        "height": 48,
        "width": 24,
        "global_branch": {"width": 32, "dimension": 16},
        "group_branch": {"groups": 2, "width": 16, "dimension": 8},
    },
    "loss": {"triplet": {"margin": 0.3}, "lgm": {}},
    "sampler": {"identities": 4, "images": 2},
    "augmentation": {"erase": 0.3, "brightness": 0.2},
    "init": "random",
    "iterations": 6,
    "decay_from": 4,
    "learning_rate": 1e-3,
    "log_every": 1,
    "checkpoint_every": 3,
}


def config(**changes):
    return TrainConfig.model_validate(SETTINGS | changes)


def rows(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def losses(folder):
    return [row["loss"] for row in rows(folder) if "loss" in row]


def nearest_is_right(data):
    def measure(query, gallery):
        distances = np.linalg.norm(query[:, None] - gallery[None], axis=2)
        right = data.gallery.identities[distances.argmin(1)] == data.query.identities
        return {"mAP": float(right.mean())}

    return measure


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_resumed_run_gives_the_losses_of_an_undisturbed_one(data, tmp_path, ema):
    train(config(ema=ema), data, tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 6

    class Killed(BaseException):
        pass

    def kill(done, text):
        if done == 5:  # two iterations past the checkpoint
            raise Killed

    with pytest.raises(Killed):
        train(config(ema=ema), data, tmp_path / "killed", advance=kill)
    train(config(ema=ema), data, tmp_path / "killed")
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    whole, killed = (load_checkpoint(tmp_path / name / "last.safetensors").state for name in ("whole", "killed"))
    for name, value in whole.items():
        assert torch.equal(value, killed[name]), name


def test_training_learns_and_keeps_the_best(data, tmp_path):
    settings = config(
        iterations=80, decay_from=80, evaluate_every=40, checkpoint_every=80, augmentation={}, learning_rate=3e-4
    )
    best = train(settings, data, tmp_path, measure=nearest_is_right(data))
    assert best == tmp_path / "best.safetensors"
    logged = losses(tmp_path)
    assert np.mean(logged[-16:]) < 0.85 * np.mean(logged[:16])
    measured = [row["evaluation/mAP"] for row in rows(tmp_path) if "evaluation/mAP" in row]
    assert len(measured) == 2
    assert load_checkpoint(best).training["metrics"] == {"mAP": max(measured)}
    assert max(measured) > 0.5  # by chance it would be a sixth
    features = NetworkEmbedder(load_network(best), "cpu").embed_files(data.query.paths)
    assert features.shape == (6, 512)
    assert np.isfinite(features).all()


def test_what_is_written_beside_a_run(data, tmp_path):
    train(config(iterations=1, decay_from=1), data, tmp_path)
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["config"]["loss"]["lgm"]["means_rate"] == 50
    assert run["data"]["name"] == "bars"
    assert (run["data"]["images"], run["data"]["identities"]) == (40, 8)
    assert run["initial"].startswith("squeezenet1_1 from random, sha256 ")
    (row,) = rows(tmp_path)
    assert row["loss"] == pytest.approx(row["triplet"] + row["lgm"])
    assert {"active", "positive", "negative", "norm", "learning_rate", "images_per_s"} <= set(row)
    assert {"lgm_accuracy", "lgm_chance", "lgm_norm", "lgm_means_norm"} <= set(row)
    assert list((tmp_path / "tensorboard").iterdir())
    assert load_checkpoint(tmp_path / "last.safetensors").training["data"] == run["data"]


def test_checkpoints_state_the_terms_of_their_start_and_of_their_data(data, tmp_path):
    weights = train(config(terms="bars: free", iterations=4), data, tmp_path / "first")
    assert read_header(weights).terms == "bars: free"
    second = config(init=str(weights), terms="mine: internal use")
    with pytest.raises(ZeroDivisionError):
        train(second, data, tmp_path / "second", advance=lambda done, text: 1 / (5 - done))
    weights.unlink()  # a run that is resumed needs its start no more
    resumed = train(second.model_copy(update={"terms": "worded otherwise"}), data, tmp_path / "second")
    assert read_header(resumed).terms == "bars: free; mine: internal use"
    assert terms_of(config()) == terms_of(config(init="a.pth")) == ""
    assert "ImageNet for non-commercial research" in terms_of(config(init="imagenet"))
    assert terms_of(config(init="embedded")) == read_header(EMBEDDED).terms
    taught = {"distillation": {"teachers": [str(resumed), "teacher.onnx"]}, "lgm": {}}
    assert terms_of(config(loss=taught)) == "bars: free; mine: internal use"


def test_another_runs_folder_is_refused(data, tmp_path):
    train(config(iterations=1, decay_from=1), data, tmp_path / "run")
    with pytest.raises(ReidError, match=r"run: holds a run with other settings \(seed\)"):
        train(config(iterations=1, decay_from=1, seed=5), data, tmp_path / "run")
    fewer = samples(tmp_path / "fewer", range(1, 5), 3, seed=4)
    other = ReidData("bars", fewer, data.query, data.gallery)
    with pytest.raises(ReidError, match=r"other settings \(the data\)"):
        train(config(iterations=1, decay_from=1), other, tmp_path / "run")
    flights = replace(data.train, cameras=data.train.cameras + 1)  # as another protocol reads them
    train(config(iterations=1, decay_from=1), replace(data, train=flights), tmp_path / "run")
    (tmp_path / "run" / "resume.pt").write_bytes(b"torn")
    with pytest.raises(ReidError, match=r"resume\.pt: cannot be resumed from"):
        train(config(iterations=1, decay_from=1), data, tmp_path / "run")
    for content in ("{", "[]", '{"config": 1, "data": 1, "initial": 1}'):
        (tmp_path / "run" / "run.json").write_text(content)
        with pytest.raises(ReidError, match=r"run\.json: is not the description of a run; choose another folder"):
            train(config(iterations=1, decay_from=1), data, tmp_path / "run")


def test_a_loss_that_is_not_finite_stops_the_run(data, tmp_path):
    with pytest.raises(ReidError, match="the loss is not finite at iteration"):
        train(config(learning_rate=1e30, iterations=20), data, tmp_path)


def test_memory_that_runs_out_on_a_gpu_is_one_line(data, tmp_path, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")

    monkeypatch.setattr("reid.training.train._Run", fail)
    with pytest.raises(ReidError, match=r"^the GPU's memory ran out; take fewer sampler"):
        train(config(), data, tmp_path)


def test_a_device_that_is_not_there_is_said(data, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ReidError, match="device 'cuda': no such usable NVIDIA GPU"):
        train(config(device="cuda"), data, tmp_path)


def test_processes_wait_for_one_that_validates(data, monkeypatch):
    seen = {}
    monkeypatch.setattr("reid.training.train.Accelerator", lambda **options: seen.update(options))
    _accelerator(config())
    assert seen["kwargs_handlers"][0].timeout >= timedelta(hours=6)
    assert seen["cpu"]


def test_bfloat16_starts_from_the_loss_of_float32(data, tmp_path):
    for precision in ("fp32", "bf16"):
        train(config(precision=precision, iterations=1, decay_from=1), data, tmp_path / precision)
    ((mixed,), (full,)) = (losses(tmp_path / precision) for precision in ("bf16", "fp32"))
    assert mixed == pytest.approx(full, rel=0.03)
    assert mixed != full
    with pytest.raises(ReidError, match="'fp16' needs a CUDA device"):
        train(config(precision="fp16"), data, tmp_path / "fp16")


def test_a_collapsed_run_is_named(data, tmp_path, caplog):
    alone = SETTINGS["network"] | {"group_branch": None, "global_branch": None}
    train(config(network=alone, loss={"triplet": {"margin": 1e9}}, iterations=4), data, tmp_path)
    assert [row["collapsed"] for row in rows(tmp_path)] == [True] * 4
    assert caplog.text.count("all embeddings of the batch are one point") == 1


def test_class_means_that_do_not_move_are_named_once(data, tmp_path, caplog):
    loss = {"triplet": {"margin": 0.3}, "lgm": {"means_rate": 1e-9}}
    train(config(loss=loss, iterations=4, decay_from=3), data, tmp_path)
    assert [row["lgm_chance"] for row in rows(tmp_path)] == pytest.approx([1.0] * 4, abs=0.1)
    assert caplog.text.count("the L-GM loss is still that of a guess") == 1


def test_few_identities_train_without_a_hang(data, tmp_path, caplog):
    train(config(sampler={"identities": 32, "images": 4}, iterations=2, decay_from=1), data, tmp_path)
    assert "should have 32 identities, the data have 8" in caplog.text
    assert len(losses(tmp_path)) == 2


def test_the_strong_preset_trains(data, tmp_path):
    network = {"neck": "batch_norm", "pooling": "gem", "global_branch": None, "group_branch": None}
    settings = config(
        network=SETTINGS["network"] | network,
        loss={"triplet": {"margin": 0.3}, "cross_entropy": {}},
        iterations=3,
        decay_from=1,
    )
    train(settings, data, tmp_path)
    assert rows(tmp_path)[0]["cross_entropy"] == pytest.approx(np.log(8), rel=0.1)  # eight identities, all alike


def test_means_learn_at_fifty_times_the_rate_and_momentum_falls_late(data, tmp_path):
    train(config(), data, tmp_path)
    groups = torch.load(tmp_path / "resume.pt", weights_only=True)["optimizer"]["param_groups"]
    assert groups[1]["lr"] == pytest.approx(50 * groups[0]["lr"])
    assert groups[0]["lr"] == pytest.approx(1e-3 * 0.001**0.5)  # t = 5 of t0 = 4, t1 = 6
    assert tuple(groups[0]["betas"]) == (0.5, 0.999)
    assert len(groups[1]["params"]) == 1


def test_the_papers_rates_by_hand():
    paper = TrainConfig()
    assert [learning_rate(paper, at) for at in (0, 15_000)] == [1e-4, 1e-4]
    assert learning_rate(paper, 20_000) == pytest.approx(1e-4 * 0.001**0.5)
    assert learning_rate(paper, 25_000) == pytest.approx(1e-7)


def run_elsewhere(script, folder, *launcher, arguments=()):
    (folder / "config.txt").write_text(config().model_dump_json())
    (folder / "script.py").write_text(script)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *launcher, "script.py", *arguments],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from reid.config import TrainConfig
from reid.records import ReidData, Samples
from reid.training.train import train
changes = eval(sys.argv[2])
config = TrainConfig.model_validate_json(Path("config.txt").read_text()).model_dump() | changes
paths = tuple(sorted(Path(sys.argv[3]).iterdir()))
unknown = np.full(len(paths), -1)
people = Samples(np.array([int(path.name[:4]) for path in paths]), unknown + 1, unknown, paths)
train(TrainConfig.model_validate(config), ReidData("bars", people, people, people), Path(sys.argv[1]))
"""


# In double precision, a batch of four and one of eight give the same but for the last digits, on any machine.
DOUBLE = "import torch\ntorch.set_default_dtype(torch.float64)\ntorch.Tensor.float = torch.Tensor.double\n"


def test_two_processes_give_the_losses_and_the_gradient_of_one(data, tmp_path):
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    folder = str(data.train.paths[0].parent)
    for name, launcher in (("one", []), ("two", torchrun)):
        changes = "{'iterations': 4, 'checkpoint_every': 4, 'learning_rate': 1e-4}"
        process = run_elsewhere(DOUBLE + SCRIPT, tmp_path, *launcher, arguments=(name, changes, folder))
        _, complaint = process.communicate(timeout=280)
        assert process.returncode == 0, complaint
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 4
    np.testing.assert_allclose(two, one, rtol=1e-9)
    # Adam's first moments are the gradients, weighted; the weights would not do: Adam makes whole steps of
    # what is rounding alone.
    states = [
        torch.load(tmp_path / name / "resume.pt", weights_only=True)["optimizer"]["state"]
        for name in ("one", "two")
    ]
    for number, state in states[0].items():
        expected, found = state["exp_avg"], states[1][number]["exp_avg"]
        assert (found - expected).norm() <= 1e-9 * expected.norm() + 1e-12, number


def test_a_signal_saves_the_run(data, tmp_path):
    changes = "{'iterations': 100_000, 'checkpoint_every': 100_000}"
    folder = str(data.train.paths[0].parent)
    process = run_elsewhere(SCRIPT, tmp_path, arguments=("run", changes, folder))
    log = tmp_path / "run" / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and len(log.read_text().splitlines()) >= 3) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, complaint = process.communicate(timeout=60)
    assert "and saved; run again to resume" in complaint
    assert torch.load(tmp_path / "run" / "resume.pt", weights_only=True)["iteration"] >= 3
