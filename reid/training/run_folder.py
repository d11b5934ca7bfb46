"""The folder of a training run: its configuration, its log, its checkpoints, and what resuming needs."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from reid.checkpoint import save_checkpoint
from reid.config import TrainConfig
from reid.errors import ReidError
from reid.records import DISTRACTOR, ReidData

# Settings that change how a run goes, not what comes out of it: a resumed run may have others.
_FREE = {"cache_gb", "log_every", "checkpoint_every", "evaluate_every"}


class RunFolder:
    """`run.json`, `log.jsonl`, TensorBoard events, `resume.pt` and checkpoints; each file is whole or not there.

    Args:
        path: the folder; `describe` makes it where it is not there.
        config: the run's.
        data: what it learns from.
        writes: whether this process writes; of several one does.

    Raises:
        ReidError: another run's folder.

    """

    def __init__(self, path: Path, config: TrainConfig, data: ReidData, *, writes: bool) -> None:
        self._path, self._config, self.writes = path, config, writes
        self._identity = identity(config, data)
        self._events: SummaryWriter | None = None
        self._about = self._stored()
        if self._about is not None:
            self._compare(self._about)

    @property
    def resumable(self) -> bool:
        """Whether a state was saved here."""
        return self._state.exists()

    def describe(self, initial: str | None) -> None:
        """Write down what the run is and which weights it begins with, unless that stands there."""
        if self._about is None:
            self._about = self._identity | {"initial": initial}
            if self.writes:
                self._path.mkdir(parents=True, exist_ok=True)
                temporary = self._file.with_name(f".part-{self._file.name}")
                temporary.write_text(json.dumps(self._about, indent=2) + "\n", "utf-8")
                temporary.replace(self._file)

    def state(self) -> dict[str, Any]:
        """The state that was saved last, on the CPU.

        Raises:
            ReidError: it is torn.

        """
        try:
            return dict(torch.load(self._state, map_location="cpu", weights_only=True))
        except Exception as error:  # whatever a torn file makes torch raise
            raise self.torn(error) from None

    def torn(self, error: Exception) -> ReidError:
        """What to say of a state that does not fit."""
        return ReidError(
            f"{self._state}: cannot be resumed from ({' '.join(str(error).split())[:100]}); "
            "remove it to begin again, or choose another folder"
        )

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Keep what resuming needs."""
        temporary = self._state.with_name(f".part-{self._state.name}")
        torch.save(dict(state), temporary)
        temporary.replace(self._state)

    def save_weights(
        self, name: str, weights: Mapping[str, Tensor], iteration: int, figures: Mapping[str, float]
    ) -> None:
        """Write the checkpoint `name`.safetensors, with the run's description and what was measured."""
        training = {"iteration": iteration, "metrics": dict(figures), **(self._about or {})}
        save_checkpoint(
            self._path / f"{name}.safetensors", weights, network=self._config.network, training=training
        )

    def open_log(self, iteration: int) -> None:
        """Begin to log behind `iteration`; rows past it are dropped, as the resumed run writes them again."""
        if not self.writes:
            return
        forget_after(self._log, iteration)
        self._events = SummaryWriter(
            str(self._path / "tensorboard"), purge_step=iteration + 1 if iteration else None
        )

    def append(self, row: Mapping[str, Any]) -> None:
        """A line in the log, a point of each figure in TensorBoard."""
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

    def _stored(self) -> dict[str, Any] | None:
        if not self._file.exists():
            return None
        try:
            stored = json.loads(self._file.read_text("utf-8"))
            if {"config", "data", "initial"} <= stored.keys() and isinstance(stored["config"], dict):
                return dict(stored)
        except (ValueError, AttributeError, RecursionError):
            pass
        raise ReidError(f"{self._file}: does not describe a run; choose another folder")

    def _compare(self, theirs: Mapping[str, Any]) -> None:
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


def identity(config: TrainConfig, data: ReidData) -> dict[str, Any]:
    """What makes a run that run: the whole configuration, and of the data counts and a hash.

    The hash is over who is on which file, its name and its size. Cameras depend on the protocol, and teach nothing.
    """
    train, digest = data.train, hashlib.sha256(data.train.identities.tobytes())
    for path in train.paths:
        try:
            digest.update(f"{path.name}\n{path.stat().st_size}\n".encode())
        except OSError as error:
            raise ReidError(f"{path}: cannot be read: {error.strerror}") from None
    identities = len(np.unique(train.identities[train.identities > DISTRACTOR]))
    counts = {"name": data.name, "images": len(train), "identities": identities}
    return {"config": config.model_dump(mode="json"), "data": counts | {"sha256": digest.hexdigest()}}


def forget_after(log: Path, iteration: int) -> None:
    """Drop the log's rows past `iteration`, which the resumed run writes again, and rows that are torn."""
    if log.exists():
        lines = log.read_text("utf-8", "replace").splitlines()
        log.write_text("".join(f"{line}\n" for line in lines if _is_row(line, iteration)), "utf-8")


def _is_row(line: str, iteration: int) -> bool:
    try:
        return bool(json.loads(line)["iteration"] <= iteration)
    except (ValueError, TypeError, LookupError, RecursionError):
        return False
