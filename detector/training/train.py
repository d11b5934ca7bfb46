"""Training a detector: a loop that can be read in one sitting, killed at any moment, and resumed exactly.

A sample is a pure function of (seed, its number), and so are the model's own random choices in it. A resumed run
therefore gives the losses that an undisturbed one gives (on a CPU to the bit, with the same number of threads),
and several processes those of a single one, but for batch norms (`small`), which know their own process's images.

On a CPU set MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456 in
the environment before starting: else glibc gives large blocks back after each use and must fetch them again
(15 % of a forward of R50-FPN).
"""

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from pydantic import ValidationError
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from detector.backends.torchvision import Predictor, with_thresholds
from detector.config import DetectorConfig, TrainConfig
from detector.errors import DetectorError
from detector.evaluation.evaluate import evaluate
from detector.models.checkpoint import (
    load_checkpoint,
    load_into,
    load_torchvision,
    person_only,
    save_checkpoint,
    with_anchors_of,
)
from detector.models.faster_rcnn import build, freeze_stem, load_imagenet_backbone
from detector.models.presets import ARCHITECTURES, Architecture
from detector.training.data import TrainingSamples, collate
from detector.training.sampling import use_numbered_samplers

# Settings that change how a run goes, not what comes out of it: a resumed run may have others.
_FREE = {"workers", "cache_gb", "log_every", "checkpoint_every", "evaluate_every", "validation"}


def train(
    config: TrainConfig, output: Path, *, advance: Callable[[int, str], None] = lambda done, text: None
) -> Path:
    """Train by `config`; everything goes to `output`, and a run found there is resumed.

    Writes `last.safetensors` and, with validation data, `best.safetensors` (by AP50), `resume.pt`,
    `log.jsonl`, TensorBoard events and `config.json`. SIGTERM and Ctrl-C save before they stop.

    Args:
        config: the recipe.
        output: folder of the run.
        advance: called with the number of iterations behind us and a line on how it goes.

    Returns:
        The checkpoint to use: the best one, or the last where nothing was validated.

    Raises:
        DetectorError: bad data or settings, another run's folder, or a loss that is not finite.

    """
    run = _Run(config, output)
    run.resume()
    with _stop_request() as stop_requested:
        for iteration, batch in run.batches():
            losses = run.step(iteration, *batch)
            done = iteration + 1
            if done % config.log_every == 0:
                run.log(done, losses)
                advance(done, f"loss {sum(losses.values()):.3f}")
            stop = run.any_process(stop_requested())
            # StoredEvaluation before it is saved: whoever resumes from a checkpoint has its measurement behind him.
            if done % config.evaluate_every == 0 or done == config.iterations:
                run.validate(done)
            if done % config.checkpoint_every == 0 or done == config.iterations or stop:
                run.save(done)
            if stop and done < config.iterations:
                raise DetectorError(f"{output}: stopped at iteration {done} and saved; run again to go on")
    best = output / "best.safetensors"
    return best if best.exists() else output / "last.safetensors"


class _Run:
    """The state of a training run: model, optimiser, average, logs."""

    def __init__(self, config: TrainConfig, output: Path) -> None:
        self.config, self.output = config, output
        self.start, self.best = 0, -1.0
        AcceleratorState._reset_state()  # it would hold a later run in this process to the first one's precision
        self.accelerator = Accelerator(
            mixed_precision={"fp32": "no"}.get(config.precision, config.precision),
            cpu=not torch.cuda.is_available(),
        )
        if config.precision == "fp16" and self.accelerator.device.type != "cuda":
            raise DetectorError("precision 'fp16' needs a CUDA device; take bf16 or fp32")
        processes = self.accelerator.num_processes
        if config.batch_size % processes:
            raise DetectorError(f"batch_size {config.batch_size} does not divide among {processes} processes")
        self._claim_folder()
        self.architecture = _architecture(config)
        torch.manual_seed(config.seed)
        model = build(self.architecture, rois_per_image=config.rois_per_image)
        _initialise(model, self.architecture, config.init)
        self.samplers = use_numbered_samplers(model)
        optimizer = _optimizer(model, config)
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.average = {name: value.detach().clone() for name, value in self.bare.state_dict().items()}
        self.clock = time.monotonic()
        self.writer: SummaryWriter | None = None

    @property
    def bare(self) -> nn.Module:
        """The model without what distributed training wraps around it."""
        model: nn.Module = self.accelerator.unwrap_model(self.model)
        return model

    def _claim_folder(self) -> None:
        self.output.mkdir(parents=True, exist_ok=True)
        path = self.output / "config.json"
        if path.exists():
            differing = differing_settings(path, self.config)
            if differing:
                raise DetectorError(
                    f"{self.output}: holds a run with other settings ({', '.join(differing)}); "
                    "choose another folder"
                )
        elif self.accelerator.is_main_process:
            path.write_text(self.config.model_dump_json(indent=2) + "\n", "utf-8")
        self.accelerator.wait_for_everyone()

    def resume(self) -> None:
        """Go on from `resume.pt` if there is one, and open the logs."""
        path = self.output / "resume.pt"
        if path.exists():
            self._restore(path)
        if self.accelerator.is_main_process:
            forget_after(self.output / "log.jsonl", self.start)
            folder = str(self.output / "tensorboard")
            self.writer = SummaryWriter(folder, purge_step=self.start + 1 if self.start else None)

    def _restore(self, path: Path) -> None:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.bare.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.average = {name: value.to(self.accelerator.device) for name, value in state["average"].items()}
            if self.accelerator.scaler is not None:
                self.accelerator.scaler.load_state_dict(state["scaler"])
            self.start, self.best = state["iteration"], state["best"]
        except Exception as error:  # whatever a torn file makes torch raise
            raise DetectorError(
                f"{path}: cannot be resumed from ({' '.join(str(error).split())[:100]}); "
                "remove it to begin again, or choose another folder"
            ) from None

    def any_process(self, asked: bool) -> bool:
        """Whether any process was asked to stop: all of them must stop after the same iteration."""
        if self.accelerator.num_processes == 1:
            return asked
        flag = torch.tensor(float(asked), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, "sum") > 0)

    def batches(self) -> Iterator[tuple[int, Any]]:
        """Iteration number and batch, from where the run stands to its end."""
        config = self.config
        samples = TrainingSamples(
            config.train,
            config.augmentation,
            self.architecture.resize,
            seed=config.seed,
            count=config.iterations * config.batch_size,
            cache_gb=config.cache_gb,
        )
        loader = DataLoader(
            samples,
            batch_sampler=[self._numbers(at) for at in range(self.start, config.iterations)],  # type: ignore[misc]
            collate_fn=collate,
            num_workers=config.workers,
            pin_memory=self.accelerator.device.type == "cuda",
            worker_init_fn=_quiet_worker,
        )
        # A worker would wait for ever for the threads of OpenCV's that were idle when it was forked off.
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        batches = iter(loader)  # forks
        cv2.setNumThreads(threads)
        return enumerate(batches, start=self.start)

    def _numbers(self, iteration: int) -> range:
        """The samples of `iteration` that are this process's: every so many-th of the whole batch."""
        first, size = iteration * self.config.batch_size, self.config.batch_size
        return range(first + self.accelerator.process_index, first + size, self.accelerator.num_processes)

    def step(self, iteration: int, images: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, float]:
        """One update; returns the parts of the loss, averaged over processes."""
        device = self.accelerator.device
        images = [image.to(device, non_blocking=True) for image in images]
        targets = [{name: value.to(device) for name, value in target.items()} for target in targets]
        rate = learning_rate(self.config, iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        for sampler in self.samplers:
            sampler.seeds = [self.config.seed * 1_000_003 + number for number in self._numbers(iteration)]
        self.model.train()
        with self.accelerator.autocast():
            parts: dict[str, Tensor] = self.model(images, targets)
        names = sorted(parts)
        values = self.accelerator.reduce(torch.stack([parts[name].detach() for name in names]), "mean")
        losses = dict(zip(names, values.tolist(), strict=True))
        if not all(math.isfinite(value) for value in losses.values()):
            shown = ", ".join(f"{name} {value:g}" for name, value in losses.items())
            raise DetectorError(
                f"{self.output}: the loss is not finite at iteration {iteration} ({shown}); the last checkpoint "
                "is kept. Lower learning_rate, or look at the annotations"
            )
        self.optimizer.zero_grad()
        self.accelerator.backward(sum(parts.values()))
        if self.config.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self._follow(iteration)
        return losses

    @torch.no_grad()
    def _follow(self, iteration: int) -> None:
        # Early on the average forgets faster, or it would carry the random start along for long.
        decay = min(self.config.ema, (1 + iteration) / (10 + iteration))
        for name, value in self.bare.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - decay)
            else:
                self.average[name].copy_(value)

    def log(self, done: int, losses: dict[str, float]) -> None:
        """One line in `log.jsonl`, one point in TensorBoard."""
        if self.writer is None:
            return
        now = time.monotonic()
        rate = self.config.log_every * self.config.batch_size / (now - self.clock)
        self.clock = now
        row = {"iteration": done, "loss": sum(losses.values()), **losses}
        row |= {"learning_rate": learning_rate(self.config, done - 1), "images_per_s": round(rate, 2)}
        self._append(row)

    def _append(self, row: dict[str, Any]) -> None:
        assert self.writer is not None
        with (self.output / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in row.items():
            if name != "iteration":
                self.writer.add_scalar(name, value, row["iteration"])

    def save(self, done: int) -> None:
        """Write `resume.pt` and `last.safetensors`, each whole or not at all."""
        if not self.accelerator.is_main_process:
            return
        path = self.output / "resume.pt"
        temporary = path.with_name(f".part-{path.name}")
        state = {
            "model": self.bare.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "iteration": done,
            "best": self.best,
            "scaler": None if self.accelerator.scaler is None else self.accelerator.scaler.state_dict(),
        }
        torch.save(state, temporary)
        temporary.replace(path)
        self._save_weights("last.safetensors", done, {})

    def _save_weights(self, name: str, done: int, metrics: dict[str, float]) -> None:
        training = {"iteration": done, "metrics": metrics, "config": self.config.model_dump(mode="json")}
        save_checkpoint(self.output / name, self.average, architecture=self.architecture, training=training)

    def validate(self, done: int) -> None:
        """Measure the averaged weights; keep them as `best.safetensors` if none were better."""
        if not self.accelerator.is_main_process or self.config.validation is None:
            return
        model = build(self.architecture)
        model.load_state_dict(self.average)
        config = DetectorConfig(device=str(self.accelerator.device))
        predictor = Predictor(with_thresholds(model, config), self.architecture.resize, config)
        metrics = evaluate(predictor, self.config.validation)
        self._append({"iteration": done, **{f"validation/{name}": value for name, value in metrics.items()}})
        if metrics["AP50"] > self.best:
            self.best = metrics["AP50"]
            self._save_weights("best.safetensors", done, metrics)
        self.clock = time.monotonic()


def learning_rate(config: TrainConfig, iteration: int) -> float:
    """The rate at `iteration` (from 0): linear warm-up, then a cosine to zero or cuts to a tenth."""
    rate = config.learning_rate
    if iteration < config.warmup:
        return rate * (iteration + 1) / config.warmup
    if config.schedule == "steps":
        return rate * 0.1 ** sum(iteration >= step for step in config.steps)
    progress = (iteration - config.warmup) / max(1, config.iterations - config.warmup)
    return rate * 0.5 * (1 + math.cos(math.pi * progress))


def _architecture(config: TrainConfig) -> Architecture:
    """The preset's, with the recipe's own anchors and scale."""
    own = config.model_dump(include={"anchor_sizes", "anchor_ratios", "resize"}, exclude_none=True)
    try:
        return Architecture.model_validate(ARCHITECTURES[config.preset].model_dump() | own)
    except ValidationError as error:
        raise DetectorError("; ".join(problem["msg"] for problem in error.errors())) from None


def _initialise(model: Any, architecture: Architecture, init: str) -> None:
    if init == "imagenet":
        load_imagenet_backbone(model, architecture)
        if architecture.norm == "frozen":
            freeze_stem(model)
    elif init != "random":
        path = Path(init)
        foreign = path.suffix in (".pth", ".pt")
        checkpoint = load_torchvision(path, architecture.preset) if foreign else load_checkpoint(path)
        load_into(model, with_anchors_of(person_only(checkpoint), model), path)


def _optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    # Norms and biases are not decayed: it would only fight their job.
    parameters = [value for value in model.parameters() if value.requires_grad]
    groups = [
        {"params": [value for value in parameters if value.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [value for value in parameters if value.ndim <= 1], "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def _quiet_worker(worker: int) -> None:
    # A signal to the whole process group is the main process's to answer: it saves, then ends its workers.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def differing_settings(path: Path, config: TrainConfig) -> list[str]:
    """The settings of `config` with which the run that wrote `path` would have come to something else.

    Raises:
        DetectorError: `path` describes no run.

    """
    ours = config.model_dump(mode="json")
    try:
        theirs = dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        raise DetectorError(f"{path}: does not describe a run; remove it, or choose another folder") from None
    return sorted(name for name in ours if name not in _FREE and theirs.get(name) != ours[name])


def forget_after(log: Path, iteration: int) -> None:
    """Drop the log's rows past the checkpoint, which the resumed run writes again, and rows that are torn."""
    if log.exists():
        lines = log.read_text("utf-8", "replace").splitlines()
        log.write_text("".join(f"{line}\n" for line in lines if _is_row(line, iteration)), "utf-8")


def _is_row(line: str, iteration: int) -> bool:
    try:
        return bool(json.loads(line)["iteration"] <= iteration)
    except (ValueError, TypeError, LookupError, RecursionError):
        return False


@contextmanager
def _stop_request() -> Iterator[Callable[[], bool]]:
    """SIGTERM and Ctrl-C ask for a stop after the current iteration instead of ending the process."""
    asked: list[int] = []
    try:
        before = {
            number: signal.signal(number, lambda number, frame: asked.append(number))
            for number in (signal.SIGTERM, signal.SIGINT)
        }
    except ValueError:  # not in the main thread: signals are somebody else's business
        before = {}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
