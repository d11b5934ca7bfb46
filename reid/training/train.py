"""The training loop of a re-id network; it can be interrupted at any moment and resumed exactly.

A batch is a pure function of (seed, iteration), and so are the network's own random choices in it. A resumed run
therefore has the losses of an uninterrupted one (on a CPU to the bit, with the same number of threads).

Several processes share one batch: each runs the backbone on its part, then all features are gathered, and the
heads and losses of every process see the whole batch. The backbone's batch norms are synchronised on GPUs; on CPUs,
where torch cannot do that, each sees the images of its own process.
"""

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed.nn.functional as distributed
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs
from numpy.typing import NDArray
from torch import Tensor, nn

from reid.config import TrainConfig
from reid.device import device_errors, usable_device
from reid.embedder import NetworkEmbedder
from reid.errors import ReidError
from reid.network import Network
from reid.records import ReidData
from reid.training.batches import Batch, TrainingBatches
from reid.training.distillation import read_targets
from reid.training.init_weights import initialise, terms_of
from reid.training.losses import ReidLoss, diagnose, guesses, has_collapsed
from reid.training.run_folder import RunFolder

_log = logging.getLogger(__name__)
_TIME_TO_LEARN = 0.25  # share of the iterations after which the L-GM loss should tell identities apart
# While one process validates, the others wait for it; torch would end them after ten minutes.
_PATIENCE = timedelta(days=1)
_FINAL_RATE = 0.001  # share of the learning rate that is left at the end (Hermans et al. 2017, eq. 6)

# From features float32 (n, d) of the data's query and gallery to metrics by name, "mAP" among them.
Measure = Callable[[NDArray[np.float32], NDArray[np.float32]], Mapping[str, float]]


@device_errors("take fewer sampler.identities")
def train(
    config: TrainConfig,
    data: ReidData,
    output: Path,
    *,
    measure: Measure | None = None,
    advance: Callable[[int, str], None] = lambda done, text: None,
) -> Path:
    """Train by `config` on `data.train`; returns the best checkpoint, or the last where nothing was measured.

    A run found in `output` is resumed; `RunFolder` says what is written. SIGTERM and Ctrl-C save before they stop.

    Args:
        config: the recipe.
        data: query and gallery are used by `measure` only.
        output: folder of the run.
        measure: rates features; None: nothing is measured.
        advance: called with the number of finished iterations and a line with the loss.

    Raises:
        ReidError: bad data or settings, another run's folder, or a loss that is not finite; or a GPU
            that fails or has too little memory.

    """
    run = _Run(config, data, output, measure, advance)
    with _stop_request() as stop_requested:
        for iteration, batch in run.batches.between(run.start, config.iterations):
            losses = run.step(iteration, batch)
            done, last = iteration + 1, iteration + 1 == config.iterations
            if done % config.log_every == 0:
                run.log(done, losses)
                advance(done, f"loss {sum(losses.values()):.3f}")
            stop = run.any_process(stop_requested())
            if last or done % config.evaluate_every == 0:
                run.evaluate(done)
            if last or stop or done % config.checkpoint_every == 0:
                run.save(done)
            if stop and not last:
                raise ReidError(f"{output}: stopped at iteration {done} and saved; run again to resume")
    best = output / "best.safetensors"
    return best if best.exists() else output / "last.safetensors"


class _Run:
    """The state of a training run: network, losses, optimiser, average, logs."""

    def __init__(
        self,
        config: TrainConfig,
        data: ReidData,
        output: Path,
        measure: Measure | None,
        advance: Callable[[int, str], None],
    ) -> None:
        self.config, self.data, self.output, self.measure = config, data, output, measure
        self.start, self.best = 0, -1.0
        self.accelerator = _accelerator(config)
        self.device = self.accelerator.device
        self.folder = RunFolder(output, config, data, writes=self.accelerator.is_main_process)
        self.batches = TrainingBatches(
            data.train,
            config,
            process=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
            pin=self.device.type == "cuda",
        )
        torch.manual_seed(config.seed)
        network = Network(config.network)
        loss = _loss(config, network, self.batches.classes)
        resumed = self.folder.resumable
        if resumed:
            self.folder.describe(None)
        else:
            config.check_files()
            initial = initialise(network, config.init, heads=config.init_heads)
            self.folder.describe(initial, terms_of(config))
        self.accelerator.wait_for_everyone()
        self.targets: Tensor | None = None
        if config.loss.distillation is not None:
            with self.accelerator.main_process_first():  # the others read what it has written
                self.targets = read_targets(
                    output,
                    config.loss.distillation,
                    self.batches.paths,
                    network.backbone.dimension,
                    lambda text: advance(0, text),
                    "cpu" if self.device.type == "cpu" else "auto",
                )
        if self.accelerator.num_processes > 1 and self.device.type == "cuda":
            network.backbone = nn.SyncBatchNorm.convert_sync_batchnorm(network.backbone)  # type: ignore[no-untyped-call]
        self.network = network.to(self.device).to(memory_format=torch.channels_last)
        self.loss = loss.to(self.device)
        self.backbone, self.optimizer = self.accelerator.prepare(
            network.backbone, _optimizer(network, loss, config)
        )
        # Without an average, the state dict itself: the network's current weights.
        self.average = network.state_dict()
        if config.ema:
            self.average = {name: value.clone() for name, value in self.average.items()}
        if resumed:
            self._restore(self.folder.state())
        self.folder.open_log(self.start)
        self.embeddings = self.labels = torch.empty(0)
        self.groups: Tensor | None = None
        self.collapsed = self.guesses = False
        self.clock = time.monotonic()

    def _restore(self, state: Mapping[str, Any]) -> None:
        try:
            self.network.load_state_dict(state["network"])
            self.loss.load_state_dict(state["loss"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.config.ema:
                self.average = {name: value.to(self.device) for name, value in state["average"].items()}
            if self.accelerator.scaler is not None:
                self.accelerator.scaler.load_state_dict(state["scaler"])
            self.start, self.best = state["iteration"], state["best"]
        except Exception as error:  # torch raises many classes for a state of other shapes
            raise self.folder.torn(error) from None

    def any_process(self, asked: bool) -> bool:
        """Whether any process was asked to stop: all of them must stop after the same iteration."""
        if self.accelerator.num_processes == 1:
            return asked
        flag = torch.tensor(float(asked), device=self.device)
        return bool(self.accelerator.reduce(flag, "sum") > 0)

    def step(self, iteration: int, batch: Batch) -> dict[str, float]:
        """Do one update; returns the parts of the loss over the whole batch."""
        self._schedule(iteration)
        self.network.train()
        images = self.batches.augment(batch, self.device)
        self.labels = batch.labels.to(self.device, non_blocking=True)
        self._seed(iteration, 1 + self.accelerator.process_index)
        with self.accelerator.autocast():
            features = self.backbone(images)
        features = self._gathered(features)
        self._seed(iteration, 0)  # the heads' dropout is the same in every process
        embedded = self.network.heads(features)
        self.embeddings = embedded.triplet.detach()
        self.groups = None if embedded.groups is None else embedded.groups.detach()
        targets = None if self.targets is None else self.targets[batch.numbers].to(self.device)
        parts = self.loss(embedded, self.labels, iteration, targets)
        # The GPU is given the backward pass before its losses are waited for.
        self.optimizer.zero_grad()
        self.accelerator.backward(sum(parts.values()))
        losses = dict(zip(parts, torch.stack(list(parts.values())).tolist(), strict=True))
        if not all(math.isfinite(value) for value in losses.values()):
            shown = ", ".join(f"{name} {value:g}" for name, value in losses.items())
            raise ReidError(
                f"{self.output}: the loss is not finite at iteration {iteration} ({shown}); the last checkpoint "
                "is kept. Lower learning_rate, or take precision: fp32"
            )
        self._agree()
        self.optimizer.step()
        self._follow(iteration)
        return losses

    def _schedule(self, iteration: int) -> None:
        rate = learning_rate(self.config, iteration)
        late = self.config.late_beta1 is not None and iteration >= self.config.decay_from
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
            group["betas"] = (self.config.late_beta1 if late else 0.9, 0.999)

    def _seed(self, iteration: int, stream: int) -> None:
        mixed = np.random.SeedSequence((self.config.seed, iteration, stream)).generate_state(1)[0]
        torch.manual_seed(int(mixed))

    def _gathered(self, features: Tensor) -> Tensor:
        """All processes' features. Their gradient comes back as a sum, of which the backbone takes the mean."""
        if self.accelerator.num_processes == 1:
            return features
        return torch.cat(distributed.all_gather(features.contiguous()))  # type: ignore[no-untyped-call]

    def _agree(self) -> None:
        # Gradients of the processes differ by rounding only; averaging keeps their weights equal.
        if self.accelerator.num_processes > 1:
            for parameter in (*self.network.heads.parameters(), *self.loss.parameters()):
                if parameter.grad is not None:
                    parameter.grad = self.accelerator.reduce(parameter.grad, "mean")

    @torch.no_grad()
    def _follow(self, iteration: int) -> None:
        if not self.config.ema:
            return
        # The average forgets faster at first, else it would keep the initial weights for long.
        decay = min(self.config.ema, (1 + iteration) / (10 + iteration))
        weights = self.network.state_dict()
        floats = [name for name, value in weights.items() if value.is_floating_point()]
        # All at once: one by one, a GPU would be given some hundred small orders.
        torch._foreach_lerp_([self.average[name] for name in floats], [weights[name] for name in floats], 1 - decay)
        for name in weights.keys() - set(floats):
            self.average[name].copy_(weights[name])

    def log(self, done: int, losses: dict[str, float]) -> None:
        """Log the losses and a diagnosis of the batch, with a warning when it has collapsed."""
        if not self.folder.writes:
            return
        now = time.monotonic()
        speed = self.config.log_every * self.batches.size / (now - self.clock)
        self.clock = now
        diagnosis = diagnose(self.embeddings, self.labels, self.loss.margin)
        collapsed = has_collapsed(diagnosis)
        if collapsed and not self.collapsed:
            _log.warning(
                "iteration %d: all embeddings of the batch are one point (largest distance %.2g of the margin), "
                "where the triplet loss has no gradient. If this persists, lower learning_rate, take "
                "loss.triplet.margin: soft, or start from trained weights (init)",
                done,
                diagnosis["spread"],
            )
        self.collapsed = collapsed
        if self.loss.lgm is not None and self.groups is not None:
            diagnosis = {**diagnosis, **self.loss.lgm.diagnose(self.groups, self.labels)}
            self._warn_of_guesses(done, diagnosis)
        row = {"iteration": done, "loss": sum(losses.values()), **losses, **diagnosis, "collapsed": collapsed}
        row |= {"learning_rate": learning_rate(self.config, done - 1), "images_per_s": round(speed, 2)}
        self.folder.append(row)

    def _warn_of_guesses(self, done: int, diagnosis: Mapping[str, float]) -> None:
        late = done >= _TIME_TO_LEARN * self.config.iterations
        if late and not self.guesses and guesses(diagnosis):
            self.guesses = True
            _log.warning(
                "iteration %d: the L-GM loss is still that of a guess (%.2f of log(identities)): its means have "
                "length %.2f, the embeddings %.2f. Raise loss.lgm.means_rate",
                done,
                diagnosis["lgm_chance"],
                diagnosis["lgm_means_norm"],
                diagnosis["lgm_norm"],
            )

    def save(self, done: int) -> None:
        """Write the state to resume from, and `last.safetensors`."""
        if not self.folder.writes:
            return
        scaler = self.accelerator.scaler
        self.folder.save_state(
            {
                "network": self.network.state_dict(),
                "loss": self.loss.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": self.average if self.config.ema else None,
                "iteration": done,
                "best": self.best,
                "scaler": None if scaler is None else scaler.state_dict(),
            }
        )
        self.folder.save_weights("last", self.average, done, {})

    def evaluate(self, done: int) -> None:
        """Evaluate the averaged weights; write `best.safetensors` if they are the best so far.

        Called before `save`, so that a resumed run does not repeat it.
        """
        query, gallery = self.data.query, self.data.gallery
        if not self.folder.writes or self.measure is None or not len(query):
            return
        network = Network(self.config.network)
        network.load_state_dict(self.average)
        embedder = NetworkEmbedder(network, str(self.device))
        features = [embedder.embed_files(samples.paths) for samples in (query, gallery)]
        metrics = self.measure(features[0], features[1])
        self.folder.append({"iteration": done, **{f"evaluation/{name}": value for name, value in metrics.items()}})
        if metrics["mAP"] > self.best:
            self.best = metrics["mAP"]
            self.folder.save_weights("best", self.average, done, metrics)
        self.clock = time.monotonic()


def learning_rate(config: TrainConfig, iteration: int) -> float:
    """The rate at `iteration` (from 0): constant until t0, then falling exponentially to 0.001 of it at t1.

    Hermans et al. 2017, eq. 6.
    """
    over = iteration - config.decay_from
    if over <= 0:
        return config.learning_rate
    return config.learning_rate * _FINAL_RATE ** (over / (config.iterations - config.decay_from))


def _accelerator(config: TrainConfig) -> Accelerator:
    device = usable_device(config.device)
    if config.precision == "fp16" and device.type != "cuda":
        raise ReidError("precision 'fp16' needs a CUDA device; take bf16 or fp32")
    # They would hold a later run in this process to the first one's precision and device.
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(
        mixed_precision={"fp32": "no"}.get(config.precision, config.precision),
        cpu=device.type == "cpu",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
    )


def _loss(config: TrainConfig, network: Network, classes: int) -> ReidLoss:
    groups = config.network.group_branch
    return ReidLoss(
        config.loss,
        classes=classes,
        feature=network.backbone.dimension,
        groups=None if groups is None else (groups.groups, groups.dimension),
    )


def _optimizer(network: Network, loss: ReidLoss, config: TrainConfig) -> torch.optim.Optimizer:
    means = [] if loss.lgm is None else [loss.lgm.means]
    others = [
        value
        for value in (*network.parameters(), *loss.parameters())
        if value.requires_grad and not any(value is mean for mean in means)
    ]
    groups: list[dict[str, Any]] = [{"params": others, "factor": 1.0}]
    if config.loss.lgm is not None:
        groups.append({"params": means, "factor": config.loss.lgm.means_rate})
    return torch.optim.Adam(groups, lr=config.learning_rate, weight_decay=config.weight_decay)


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
