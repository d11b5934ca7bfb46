"""The folder of a training run: its configuration, its log, its checkpoints, and what resuming needs."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from detector.config import TrainConfig
from detector.errors import DetectorError
from detector.files import atomic_file
from detector.models.checkpoint import save_checkpoint
from detector.models.presets import Architecture

# Settings without effect on the result of a run: a resumed run may have others.
_FREE = {"device", "workers", "cache_gb", "log_every", "checkpoint_every", "evaluate_every", "validation", "terms"}


class RunFolder:
    """`config.json`, `log.jsonl`, TensorBoard events, `resume.pt` and checkpoints; each file is whole or not there.

    Args:
        path: the folder; made if it does not exist.
        config: of the run.
        writes: whether this process writes; of several processes one does.
        terms: of initial weights and data, for the checkpoints.

    Raises:
        DetectorError: the folder of another run.

    """

    def __init__(self, path: Path, config: TrainConfig, *, writes: bool, terms: str = "") -> None:
        self._path, self._config, self.writes, self._terms = path, config, writes, terms
        self._state, self._log = path / "resume.pt", path / "log.jsonl"
        self._events: SummaryWriter | None = None
        file = path / "config.json"
        if file.exists():
            if differing := differing_settings(file, config):
                raise DetectorError(
                    f"{path}: contains a run with other settings ({', '.join(differing)}); choose another folder"
                )
        elif writes:
            with atomic_file(file) as temporary:
                temporary.write_text(config.model_dump_json(indent=2) + "\n", "utf-8")

    @property
    def resumable(self) -> bool:
        """Whether there is a state to resume from."""
        return self._state.exists()

    def state(self) -> dict[str, Any]:
        """The state that was saved last, on the CPU.

        Raises:
            DetectorError: it is damaged.

        """
        try:
            return dict(torch.load(self._state, map_location="cpu", weights_only=True))
        except Exception as error:  # torch raises many classes for a damaged file
            raise self.torn(error) from None

    def torn(self, error: Exception) -> DetectorError:
        """The error for a state that is damaged or does not fit."""
        return DetectorError(
            f"{self._state}: cannot be resumed from ({' '.join(str(error).split())[:100]}); "
            "remove it to start again, or choose another folder"
        )

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Write the state to resume from."""
        with atomic_file(self._state) as temporary:
            torch.save(dict(state), temporary)

    def save_weights(
        self,
        name: str,
        weights: Mapping[str, Tensor],
        iteration: int,
        figures: Mapping[str, float],
        architecture: Architecture,
    ) -> None:
        """Write the checkpoint `name`.safetensors, with the run's configuration and what was measured."""
        settings = self._config.model_dump(mode="json")
        training = {"iteration": iteration, "metrics": dict(figures), "config": settings}
        training |= {"terms": self._terms} if self._terms else {}
        save_checkpoint(self._path / f"{name}.safetensors", weights, architecture=architecture, training=training)

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


def differing_settings(path: Path, config: TrainConfig) -> list[str]:
    """The settings of `config` with which the run that wrote `path` would have had another result.

    Raises:
        DetectorError: `path` describes no run.

    """
    ours = config.model_dump(mode="json")
    try:
        theirs = dict(json.loads(path.read_text("utf-8")))
        with suppress(ValueError):  # of settings that are gone; those that are new have their defaults
            theirs = TrainConfig.model_validate(theirs).model_dump(mode="json")
    except (OSError, ValueError, TypeError, RecursionError):
        raise DetectorError(f"{path}: does not describe a run; remove it, or choose another folder") from None
    return sorted(name for name in ours if name not in _FREE and theirs.get(name) != ours[name])


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
