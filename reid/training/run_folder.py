"""The folder of a training run: configuration, log, checkpoints and the state to resume from."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from reid.checkpoint import save_checkpoint
from reid.config import TrainConfig
from reid.errors import ReidError
from reid.files import atomic_file, write_json
from reid.records import DISTRACTOR, ReidData

# Settings that do not change the result: a resumed run may have others.
_FREE = {"device", "cache_gb", "log_every", "checkpoint_every", "evaluate_every", "terms"}


class RunIdentity(TypedDict):
    """The whole configuration, and name, counts and hash of the data: with other ones, it is another run."""

    config: dict[str, object]
    data: dict[str, str | int]


class RunDescription(RunIdentity):
    """`run.json`: a run's identity, the hash of its initial weights, and the terms of weights and data."""

    initial: str | None
    terms: NotRequired[str]


class RunFolder:
    """The files of a training run; each is whole or absent.

    `run.json` has the configuration, the data's fingerprint and the hash of the initial weights; `log.jsonl` and
    TensorBoard events the losses; `last.safetensors` and, by mAP, `best.safetensors` the weights; `resume.pt` the
    state to resume from.

    Args:
        path: the folder; created by `describe`.
        config: of the run.
        data: the training data.
        writes: whether this process writes; only one of several does.

    Raises:
        ReidError: the folder has another run.

    """

    def __init__(self, path: Path, config: TrainConfig, data: ReidData, *, writes: bool) -> None:
        self._path, self._config, self.writes = path, config, writes
        self._identity = identity(config, data)
        self._events: SummaryWriter | None = None
        self._about: RunDescription | None = self._stored()
        if self._about is not None:
            self._compare(self._about)

    @property
    def resumable(self) -> bool:
        """Whether there is a state to resume from."""
        return self._state.exists()

    def describe(self, initial: str | None, terms: str = "") -> None:
        """Write `run.json`, unless it is there.

        Args:
            initial: a line with the hash of the initial weights.
            terms: of initial weights and data, for the checkpoints.

        """
        if self._about is None:
            ours = self._identity
            about: RunDescription = {"config": ours["config"], "data": ours["data"], "initial": initial}
            if terms:
                about["terms"] = terms
            if self.writes:
                write_json(self._file, about)
            self._about = about

    def state(self) -> dict[str, Any]:
        """The state that was saved last, on the CPU.

        Raises:
            ReidError: it is damaged.

        """
        try:
            return dict(torch.load(self._state, map_location="cpu", weights_only=True))
        except Exception as error:  # torch raises many classes for a damaged file
            raise self.torn(error) from None

    def torn(self, error: Exception) -> ReidError:
        """The error for a state that is damaged or does not fit."""
        return ReidError(
            f"{self._state}: cannot be resumed from ({' '.join(str(error).split())[:100]}); "
            "remove it to start again, or choose another folder"
        )

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Write the state to resume from."""
        with atomic_file(self._state) as temporary:
            torch.save(dict(state), temporary)

    def save_weights(
        self, name: str, weights: Mapping[str, Tensor], iteration: int, figures: Mapping[str, float]
    ) -> None:
        """Write the checkpoint `name`.safetensors, with the run's description and its metrics."""
        training = {"iteration": iteration, "metrics": dict(figures), **(self._about or {})}
        save_checkpoint(
            self._path / f"{name}.safetensors", weights, network=self._config.network, training=training
        )

    def open_log(self, iteration: int) -> None:
        """Open the log after `iteration`; later rows are dropped, as the resumed run writes them again."""
        if not self.writes:
            return
        forget_after(self._log, iteration)
        self._events = SummaryWriter(
            str(self._path / "tensorboard"), purge_step=iteration + 1 if iteration else None
        )

    def append(self, row: Mapping[str, float]) -> None:
        """Write a line to the log, and each value to TensorBoard."""
        assert self._events is not None
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in row.items():
            if name != "iteration":
                self._events.add_scalar(name, value, row["iteration"])

    @property
    def _file(self) -> Path:
        return self._path / "run.json"

    @property
    def _state(self) -> Path:
        return self._path / "resume.pt"

    @property
    def _log(self) -> Path:
        return self._path / "log.jsonl"

    def _stored(self) -> RunDescription | None:
        if not self._file.exists():
            return None
        try:
            stored: RunDescription = json.loads(self._file.read_text("utf-8"))
            if {"config", "data", "initial"} <= stored.keys() and isinstance(stored["config"], dict):
                return stored
        except (ValueError, AttributeError, RecursionError):
            pass
        raise ReidError(f"{self._file}: is not the description of a run; choose another folder")

    def _compare(self, theirs: RunDescription) -> None:
        ours = self._identity
        differing = [
            name
            for name, value in ours["config"].items()
            if name not in _FREE and theirs["config"].get(name) != value
        ]
        differing += ["the data"] if theirs["data"] != ours["data"] else []
        if differing:
            raise ReidError(
                f"{self._path}: holds a run with other settings ({', '.join(differing)}); choose another folder"
            )


def identity(config: TrainConfig, data: ReidData) -> RunIdentity:
    """The identity of a run by `config` on `data`.

    The hash is over identities, names and sizes of the files. Cameras are left out: they depend on the protocol,
    and do not change the training.

    Raises:
        ReidError: a file cannot be read.

    """
    train, digest = data.train, hashlib.sha256(data.train.identities.tobytes())
    for path in train.paths:
        try:
            size = path.stat().st_size if isinstance(path, Path) else len(path.read_bytes())
            digest.update(f"{path.name}\n{size}\n".encode())
        except OSError as error:
            raise ReidError(f"{path}: cannot be read: {error.strerror}") from None
    identities = len(np.unique(train.identities[train.identities > DISTRACTOR]))
    counts: dict[str, str | int] = {"name": data.name, "images": len(train), "identities": identities}
    return {"config": config.model_dump(mode="json"), "data": {**counts, "sha256": digest.hexdigest()}}


def forget_after(log: Path, iteration: int) -> None:
    """Drop damaged rows of the log, and those after `iteration`, which the resumed run writes again."""
    if log.exists():
        lines = log.read_text("utf-8", "replace").splitlines()
        log.write_text("".join(f"{line}\n" for line in lines if _is_row(line, iteration)), "utf-8")


def _is_row(line: str, iteration: int) -> bool:
    try:
        return bool(json.loads(line)["iteration"] <= iteration)
    except (ValueError, TypeError, LookupError, RecursionError):
        return False
