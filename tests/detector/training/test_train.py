"""The training loop: resumed, stopped, on several processes, in bfloat16."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta

import cv2
import numpy as np
import pytest
import torch

from detector.errors import DetectorError
from detector.training.train import _accelerator, train
from tests.detector.training.conftest import PLAIN, config


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_resumed_run_gives_the_losses_of_an_undisturbed_one(data, tmp_path):
    train(config(data), tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 6

    class Killed(BaseException):
        pass

    def kill(done, text):
        if done == 5:  # two iterations past the checkpoint
            raise Killed

    with pytest.raises(Killed):
        train(config(data), tmp_path / "killed", advance=kill)
    train(config(data), tmp_path / "killed")
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    states = [torch.load(tmp_path / name / "resume.pt", weights_only=True) for name in ("whole", "killed")]
    for name, value in states[0]["model"].items():
        assert torch.equal(value, states[1]["model"][name]), name


def test_a_signal_to_all_processes_of_the_run_saves_it(data, tmp_path):
    # As a terminal's Ctrl-C or a batch system's end of time: the workers that load images get it too.
    settings = config(data, iterations=100_000, workers=1, checkpoint_every=100_000)
    (tmp_path / "config.txt").write_text(settings.model_dump_json())
    code = (
        "from pathlib import Path\nfrom detector.config import TrainConfig\n"
        "from detector.training.train import train\n"
        "text = Path('config.txt').read_text()\ntrain(TrainConfig.model_validate_json(text), Path('run'))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log = tmp_path / "run" / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and len(log.read_text().splitlines()) >= 3) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGTERM)
    _, complaint = process.communicate(timeout=60)
    assert "and saved; run again to resume" in complaint
    state = torch.load(tmp_path / "run" / "resume.pt", weights_only=True)
    assert state["iteration"] >= 3


DISTRIBUTED = """
import os
from pathlib import Path
import torch
# In double precision: a batch of two is rounded otherwise than one of four, by another SIMD in another way, and in
# single precision a box at a threshold would then be another one's; so nothing but a wrong step can be seen.
torch.set_default_dtype(torch.float64)
torch.Tensor.float = torch.Tensor.double
from detector.models import presets
from detector.config import TrainConfig
from detector.training.train import train
# Batch norm would see other images in each process; frozen, the arithmetic is that of one process.
presets.ARCHITECTURES["small"] = presets.ARCHITECTURES["small"].model_copy(update={"norm": "frozen"})
config = TrainConfig.model_validate_json(Path("config.txt").read_text())

def fork(folder, rank, size):
    # What torchrun sets; forked, so that torch is imported once.
    place = {"MASTER_ADDR": "localhost", "MASTER_PORT": os.environ["PORT"], "LOCAL_WORLD_SIZE": size}
    process = os.fork()
    if process:
        return process
    if int(size) > 1:
        os.environ.update(place, RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=size)
    train(config, Path(folder))
    os._exit(0)

for process in (fork("one", "0", "1"), fork("two", "0", "2"), fork("two", "1", "2")):
    assert os.waitpid(process, 0)[1] == 0
"""


def test_two_processes_at_half_the_batch_give_the_losses_of_one(data, tmp_path):
    larger = PLAIN.model_copy(update={"crop": 128})  # so that each image has as many RoIs as are asked for
    # Not Adam: it makes whole steps of what is rounding alone.
    settings = config(
        data, iterations=3, batch_size=4, augmentation=larger, optimizer="sgd", learning_rate=1e-2, weight_decay=0
    )
    (tmp_path / "config.txt").write_text(settings.model_dump_json())
    with socket.create_server(("localhost", 0)) as free:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PORT": str(free.getsockname()[1])}
    subprocess.run(
        [sys.executable, "-c", DISTRIBUTED],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        timeout=300,
    )
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 3
    np.testing.assert_allclose(two, one, rtol=1e-6)  # torchvision gives one part of it in single precision
    states = [torch.load(tmp_path / name / "resume.pt", weights_only=True)["model"] for name in ("one", "two")]
    assert any(value.dtype == torch.float64 for value in states[0].values())
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-9, atol=1e-12, msg=name)


def test_memory_that_runs_out_on_a_gpu_is_one_line(data, tmp_path, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")

    monkeypatch.setattr("detector.training.train._Run", fail)
    with pytest.raises(DetectorError, match=r"^the GPU's memory ran out; set a lower batch_size"):
        train(config(data), tmp_path)


def test_a_device_that_is_not_there_is_said(data, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(DetectorError, match="device 'cuda': no such usable NVIDIA GPU"):
        train(config(data, device="cuda"), tmp_path)


def test_processes_wait_for_one_that_validates(data, monkeypatch):
    seen = {}
    monkeypatch.setattr("detector.training.train.Accelerator", lambda **options: seen.update(options))
    _accelerator(config(data))
    assert seen["kwargs_handlers"][0].timeout >= timedelta(hours=6)
    assert seen["cpu"]


def test_bfloat16_starts_from_the_loss_of_float32(data, tmp_path):
    for precision in ("fp32", "bf16"):
        train(config(data, precision=precision, iterations=1), tmp_path / precision)
    ((mixed,), (full,)) = (losses(tmp_path / precision) for precision in ("bf16", "fp32"))
    assert mixed == pytest.approx(full, rel=0.02)
    assert mixed != full
    with pytest.raises(DetectorError, match="'fp16' needs a CUDA device"):
        train(config(data, precision="fp16"), tmp_path / "fp16")


def test_workers_change_nothing_but_the_speed(data, tmp_path):
    blurred = PLAIN.model_copy(update={"colour": 1.0, "noise": 1.0, "flip": 0.5})
    for workers in (0, 2):
        train(config(data, iterations=3, workers=workers, augmentation=blurred), tmp_path / str(workers))
    assert losses(tmp_path / "0") == losses(tmp_path / "2")


def test_workers_do_not_wait_for_opencvs_idle_threads(data, tmp_path):
    threads = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (0, 0), 2)
        time.sleep(0.5)  # until they have stopped spinning
        train(config(data, iterations=1, workers=1), tmp_path)
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(threads)


def test_validation_leaves_torchs_threads_as_they_were(data, tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        train(config(data, iterations=1, validation=data), tmp_path)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_training_learns(data, tmp_path):
    settings = {"iterations": 30, "batch_size": 4, "learning_rate": 2e-3, "ema": 0.0}
    train(config(data, **settings), tmp_path)
    rows = losses(tmp_path)
    assert np.mean(rows[-5:]) < 0.6 * np.mean(rows[:5])


def test_validation_keeps_the_best(data, tmp_path):
    best = train(config(data, validation=data, evaluate_every=3), tmp_path)
    assert best == tmp_path / "best.safetensors"
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    for figure in ("AP50", "visdrone_AP50"):
        assert [row["iteration"] for row in rows if f"validation/{figure}" in row] == [3, 6]


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(data, tmp_path):
    with pytest.raises(DetectorError, match=r"not finite at iteration \d+"):
        train(config(data, learning_rate=1e30, clip_norm=None, warmup=0, checkpoint_every=1), tmp_path)
    state = torch.load(tmp_path / "resume.pt", weights_only=True)
    assert state["iteration"] >= 1


def test_another_runs_folder_is_refused(data, tmp_path):
    train(config(data, iterations=1), tmp_path)
    with pytest.raises(DetectorError, match="other settings \\(iterations\\)"):
        train(config(data, iterations=2), tmp_path)
