"""The training loop of the detector. It can be killed at any moment, and resumes exactly.

A sample is a pure function of (seed, its number), and so are the model's own random choices in it. A resumed run
therefore has the losses of an uninterrupted one (on a CPU to the bit, with the same number of threads), and
several processes have the losses of one, except with batch norm (`small`), which sees its own process's images.

On a CPU, set MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456 in
the environment before the start: otherwise glibc returns large blocks to the system after each use and requests
them again (15 % of a forward pass of R50-FPN).
"""

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs
from torch import Tensor

from detector.backends.torchvision import Predictor, with_thresholds
from detector.config import DetectorConfig, TrainConfig
from detector.device import device_errors, usable_device
from detector.errors import DetectorError
from detector.evaluation.evaluate import evaluate
from detector.models.faster_rcnn import build
from detector.training.data import Batch, load_batches
from detector.training.recipe import architecture_of, initialise, learning_rate, make_optimizer, terms_of
from detector.training.run_folder import RunFolder
from detector.training.sampling import use_numbered_samplers

# While one process validates, the others wait for it; torch would end them after ten minutes.
_PATIENCE = timedelta(days=1)


@device_errors("set a lower batch_size")
def train(
    config: TrainConfig, output: Path, *, advance: Callable[[int, str], None] = lambda done, text: None
) -> Path:
    """Train by `config` in the folder `output`; a run that is there already is resumed.

    Writes `last.safetensors` and, with validation data, `best.safetensors` (by AP50), `resume.pt`,
    `log.jsonl`, TensorBoard events and `config.json`. SIGTERM and Ctrl-C save before they stop.

    Args:
        config: the recipe.
        output: folder of the run.
        advance: called with the number of finished iterations and a line with the loss.

    Returns:
        The checkpoint to use: the best one, or the last one without validation data.

    Raises:
        DetectorError: bad data or settings, another run's folder, or a loss that is not finite; or a GPU
            that fails or has too little memory.

    """
    run = _Run(config, output)
    with _stop_request() as stop_requested:
        for iteration, batch in run.batches():
            losses = run.step(iteration, *batch)
            done = iteration + 1
            if done % config.log_every == 0:
                run.log(done, losses)
                advance(done, f"loss {sum(losses.values()):.3f}")
            stop = run.any_process(stop_requested())
            # Measured before it is saved, so that a resumed run does not repeat the evaluation.
            if done % config.evaluate_every == 0 or done == config.iterations:
                run.validate(done)
            if done % config.checkpoint_every == 0 or done == config.iterations or stop:
                run.save(done)
            if stop and done < config.iterations:
                raise DetectorError(f"{output}: stopped at iteration {done} and saved; run again to resume")
    best = output / "best.safetensors"
    return best if best.exists() else output / "last.safetensors"


class _Run:
    """The state of a training run: model, optimiser, average, logs."""

    def __init__(self, config: TrainConfig, output: Path) -> None:
        self.config, self.output = config, output
        self.start, self.best = 0, -1.0
        self.accelerator = _accelerator(config)
        self.device = self.accelerator.device
        self.architecture = architecture_of(config)
        if config.batch_size % self.accelerator.num_processes:
            processes = self.accelerator.num_processes
            raise DetectorError(f"batch_size {config.batch_size} does not divide among {processes} processes")
        self.folder = RunFolder(output, config, writes=self.accelerator.is_main_process, terms=terms_of(config))
        self.accelerator.wait_for_everyone()
        torch.manual_seed(config.seed)
        self.network = build(self.architecture, rois_per_image=config.rois_per_image)
        initialise(self.network, self.architecture, config.init)
        self.samplers = use_numbered_samplers(self.network)
        optimizer = make_optimizer(self.network, config)
        self.model, self.optimizer = self.accelerator.prepare(self.network, optimizer)
        # Without an average, the network's own weights are saved: its state dict refers to them.
        self.average = self.network.state_dict()
        if config.ema:
            self.average = {name: value.clone() for name, value in self.average.items()}
        if self.folder.resumable:
            self._restore(self.folder.state())
        self.folder.open_log(self.start)
        self.clock = time.monotonic()

    def _restore(self, state: Mapping[str, Any]) -> None:
        try:
            self.network.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.config.ema:
                self.average = {name: value.to(self.device) for name, value in state["average"].items()}
            if self.accelerator.scaler is not None:
                self.accelerator.scaler.load_state_dict(state["scaler"])
            self.start, self.best = state["iteration"], state["best"]
        except Exception as error:  # whatever a state of other shapes makes torch raise
            raise self.folder.torn(error) from None

    def any_process(self, asked: bool) -> bool:
        """Whether any process was asked to stop: all of them must stop after the same iteration."""
        if self.accelerator.num_processes == 1:
            return asked
        flag = torch.tensor(float(asked), device=self.device)
        return bool(self.accelerator.reduce(flag, "sum") > 0)

    def batches(self) -> Iterator[tuple[int, Batch]]:
        """Iteration and batch, from the start or the saved state to the end."""
        numbers = [self._numbers(iteration) for iteration in range(self.start, self.config.iterations)]
        pin = self.device.type == "cuda"
        return enumerate(load_batches(self.config, self.architecture.resize, numbers, pin=pin), start=self.start)

    def _numbers(self, iteration: int) -> range:
        """The samples of `iteration` that this process loads: each process takes every n-th of the batch."""
        first, size = iteration * self.config.batch_size, self.config.batch_size
        return range(first + self.accelerator.process_index, first + size, self.accelerator.num_processes)

    def step(self, iteration: int, images: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, float]:
        """One update; returns the parts of the loss, averaged over processes."""
        images = [image.to(self.device, non_blocking=True) for image in images]
        targets = [
            {name: value.to(self.device, non_blocking=True) for name, value in target.items()} for target in targets
        ]
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, iteration)
        for sampler in self.samplers:
            sampler.seeds = [self.config.seed * 1_000_003 + number for number in self._numbers(iteration)]
        self.model.train()
        with self.accelerator.autocast():
            parts: dict[str, Tensor] = self.model(images, targets)
        # The GPU is given the backward pass before its losses are waited for.
        self.optimizer.zero_grad()
        self.accelerator.backward(sum(parts.values()))
        names = sorted(parts)
        values = self.accelerator.reduce(torch.stack([parts[name].detach() for name in names]), "mean")
        losses = dict(zip(names, values.tolist(), strict=True))
        if not all(math.isfinite(value) for value in losses.values()):
            shown = ", ".join(f"{name} {value:g}" for name, value in losses.items())
            raise DetectorError(
                f"{self.output}: the loss is not finite at iteration {iteration} ({shown}); the last checkpoint "
                "is kept. Lower learning_rate, or look at the annotations"
            )
        if self.config.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self._follow(iteration)
        return losses

    @torch.no_grad()
    def _follow(self, iteration: int) -> None:
        if not self.config.ema:
            return
        # Early on the average forgets faster, or the random start would stay in it for long.
        decay = min(self.config.ema, (1 + iteration) / (10 + iteration))
        weights = self.network.state_dict()
        floats = [name for name, value in weights.items() if value.is_floating_point()]
        # All at once: one by one, a GPU would be given some hundred small orders.
        torch._foreach_lerp_([self.average[name] for name in floats], [weights[name] for name in floats], 1 - decay)
        for name in weights.keys() - set(floats):
            self.average[name].copy_(weights[name])

    def log(self, done: int, losses: dict[str, float]) -> None:
        """One line in `log.jsonl`, one point in TensorBoard."""
        if not self.folder.writes:
            return
        now = time.monotonic()
        speed = self.config.log_every * self.config.batch_size / (now - self.clock)
        self.clock = now
        row = {"iteration": done, "loss": sum(losses.values()), **losses}
        row |= {"learning_rate": learning_rate(self.config, done - 1), "images_per_s": round(speed, 2)}
        self.folder.append(row)

    def save(self, done: int) -> None:
        """Write the state and `last.safetensors`."""
        if not self.folder.writes:
            return
        scaler = self.accelerator.scaler
        self.folder.save_state(
            {
                "model": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": self.average if self.config.ema else None,
                "iteration": done,
                "best": self.best,
                "scaler": None if scaler is None else scaler.state_dict(),
            }
        )
        self.folder.save_weights("last", self.average, done, {}, self.architecture)

    def validate(self, done: int) -> None:
        """Evaluate the averaged weights; write them as `best.safetensors` if none were better."""
        if not self.folder.writes or self.config.validation is None:
            return
        model = build(self.architecture)
        model.load_state_dict(self.average)
        # On a CPU a detector works in fp32, whatever it was trained in.
        precision = self.config.precision if self.device.type == "cuda" else "fp32"
        config = DetectorConfig(device=str(self.device), precision=precision)
        predictor = Predictor(with_thresholds(model, config), self.architecture.resize, config)
        metrics = evaluate(predictor, self.config.validation)
        self.folder.append({"iteration": done, **{f"validation/{name}": value for name, value in metrics.items()}})
        if metrics["AP50"] > self.best:
            self.best = metrics["AP50"]
            self.folder.save_weights("best", self.average, done, metrics, self.architecture)
        self.clock = time.monotonic()


def _accelerator(config: TrainConfig) -> Accelerator:
    device = usable_device(config.device)
    if config.precision == "fp16" and device.type != "cuda":
        raise DetectorError("precision 'fp16' needs a CUDA device; take bf16 or fp32")
    # They would hold a later run in this process to the first one's precision and device.
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(
        mixed_precision={"fp32": "no"}.get(config.precision, config.precision),
        cpu=device.type == "cpu",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
    )


@contextmanager
def _stop_request() -> Iterator[Callable[[], bool]]:
    """SIGTERM and Ctrl-C ask for a stop after the current iteration instead of ending the process."""
    asked: list[int] = []
    try:
        before = {
            number: signal.signal(number, lambda number, frame: asked.append(number))
            for number in (signal.SIGTERM, signal.SIGINT)
        }
    except ValueError:  # only the main thread can handle signals
        before = {}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
