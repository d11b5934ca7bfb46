"""The paper's Table 1: all combinations of source data set, margin and loss, trained and evaluated on one target.

Each source's network is trained once for each margin and seed, by the triplet loss; the two cells of this margin
start from its backbone. The last checkpoint of each run is evaluated: choosing the best one would be selection on
the test set.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, StringConstraints, model_validator

from reid.checkpoint import load_checkpoint
from reid.config import Section, TrainConfig
from reid.datasets.load import load, parse
from reid.embedder import Embedder
from reid.errors import ReidError
from reid.evaluation.chance import chance_on
from reid.evaluation.evaluate import Evaluation, Options
from reid.evaluation.protocols import PROTOCOLS, ProtocolName
from reid.files import write_json
from reid.records import ReidData
from reid.training.on_dataset import Bar
from reid.training.run_folder import identity
from reid.training.train import train

Loss = Literal["triplet", "proposed"]
LOSSES: tuple[Loss, ...] = ("triplet", "proposed")
FIGURES = ("mAP", "rank-1", "rank-5", "rank-10")
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w-]{0,63}$")]  # also the name of a folder


class Table1Config(Section):
    """The grid and its recipes; the recipe `table1` is the paper's."""

    target: str = Field(description="data set to train and evaluate on, as market:data/drone")
    protocol: ProtocolName = "market"
    sources: dict[_Name, str] = Field(
        description="data sets to train on before, by name; a missing one is reported, and its row stays empty"
    )
    margins: tuple[float, ...] = Field(
        (0.1, 0.2, 0.3), min_length=1, description="of the triplet loss, in both stages"
    )
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1)
    source: TrainConfig = Field(
        TrainConfig(), description="from ImageNet to a source; the margin comes from the grid"
    )
    from_source: TrainConfig = Field(
        description="from a source's backbone to the target by the proposed loss; init and margin come from the "
        "grid, and for the triplet loss L-GM and its branch are left out"
    )
    without_source: TrainConfig = Field(description="the same for the first row, which is named after its init")

    @property
    def first(self) -> str:
        """Name of the row without a source: the paper's ImageNet, or the actual initial weights."""
        return {"imagenet": "ImageNet", "random": "random"}.get(self.without_source.init, "weights")

    @model_validator(mode="after")
    def _is_a_grid(self) -> "Table1Config":
        if self.first in self.sources:
            raise ValueError(
                f"sources: '{self.first}' is the name of the first row, which needs no data; take another name"
            )
        for name in ("from_source", "without_source"):
            if getattr(self, name).loss.lgm is None:
                raise ValueError(f"{name}.loss.lgm: the proposed loss needs it")
        return self


@dataclass(frozen=True)
class Cell:
    """A cell of the table."""

    source: str
    loss: Loss
    margin: float


@dataclass(frozen=True)
class Run:
    """The figures, from 0 to 1, of a cell's network with one seed."""

    cell: Cell
    seed: int
    figures: dict[str, float]


class Table1:
    """The runs of the table; data sets are read and checked before the first training.

    Args:
        config: the grid.
        output: folder; unfinished runs in it are resumed, finished ones are skipped.

    Raises:
        ReidError: the target cannot be evaluated by the protocol, or a data set is malformed.

    """

    def __init__(self, config: Table1Config, output: Path) -> None:
        self.config, self._output = config, output
        rules = PROTOCOLS[config.protocol]
        self._target = load(config.target, rules.cameras)
        target = self._target
        for start in (config.source, config.without_source):  # of the third, the grid replaces `init`
            start.check_files()
        self._evaluation = Evaluation(target.query, target.gallery, Options(rules.name), target.train)
        self.missing = {name: spec for name, spec in config.sources.items() if not parse(spec)[1].exists()}
        self._sources = {name: load(spec) for name, spec in config.sources.items() if name not in self.missing}

    @cached_property
    def chance(self) -> Mapping[str, float]:
        """The figures that random features get on the target."""
        chance = chance_on(self._target.query, self._target.gallery, self.config.protocol)
        assert chance is not None  # an `Evaluation` has a query with a right answer
        return chance.figures["random"]

    def runs(self, bar: Bar, number: int = 1, count: int = 1) -> Iterator[Run]:
        """Train and evaluate one run after the other, a whole table for each seed.

        Args:
            bar: shows the progress.
            number: of the shard, from 1: every `count`-th pair of runs that begin with the same network. Shards
                have no file in common.
            count: of shards.

        """
        starts = product(self.config.seeds, (self.config.first, *self._sources), self.config.margins)
        for seed, source, margin in islice(starts, number - 1, None, count):
            start = self._source(source, margin, seed, bar)
            for cell in (Cell(source, loss, margin) for loss in LOSSES):
                yield Run(cell, seed, self._measured(cell, seed, start, bar))

    def _source(self, name: str, margin: float, seed: int, bar: Bar) -> str:
        """The initial weights of a row's cells with `margin`."""
        if name == self.config.first:
            return self.config.without_source.init
        config = _with_margin(self.config.source, margin, seed)
        folder = self._output / "sources" / f"{name}-{margin:g}-seed{seed}"
        return str(_trained(config, self._sources[name], folder, bar))

    def _measured(self, cell: Cell, seed: int, start: str, bar: Bar) -> dict[str, float]:
        config = recipe(self.config, cell, seed, start)
        folder = self._output / f"{cell.source}-{cell.loss}-{cell.margin:g}-seed{seed}"
        candidates = self._evaluation.candidates
        measured_on = [len(candidates.query), len(candidates.gallery), self.config.protocol]
        made_of = {"training": identity(config, self._target), "measured_on": measured_on}
        stored = stored_figures(folder / "table1.json", made_of)
        if stored is not None:
            return stored
        weights = _trained(config, self._target, folder, bar)
        result = self._evaluation.of(Embedder.load(weights))
        figures = {name: float(result.figures[name]) for name in FIGURES}
        write_json(folder / "table1.json", {"figures": figures, "made_of": made_of})
        return figures


def recipe(config: Table1Config, cell: Cell, seed: int, start: str) -> TrainConfig:
    """The recipe of a cell, from the weights `start`."""
    base = config.without_source if cell.source == config.first else config.from_source
    content = _with_margin(base, cell.margin, seed).model_dump() | {"init": start}
    if cell.loss == "triplet":
        content["loss"]["lgm"] = content["network"]["group_branch"] = None
    return TrainConfig.model_validate(content)


def _with_margin(recipe: TrainConfig, margin: float, seed: int) -> TrainConfig:
    content = recipe.model_dump() | {"seed": seed}
    content["loss"]["triplet"]["margin"] = margin
    return TrainConfig.model_validate(content)


def table(config: Table1Config, runs: list[Run], missing: dict[str, str], chance: Mapping[str, float]) -> str:
    """The table as Markdown, in percent: mean ± standard deviation (of a sample) over the finished seeds.

    Args:
        config: the grid.
        runs: the finished ones.
        missing: sources without data, by name.
        chance: the figures that random features get on the target, from 0 to 1.

    """
    lines = []
    for figure in FIGURES:
        titles = [figure, *(f"{loss}, {margin:g}" for loss in LOSSES for margin in config.margins)]
        lines += [_line(titles), _line(["---"] + ["--:"] * (len(titles) - 1))]
        for source in (config.first, *config.sources):
            cells = [Cell(source, loss, margin) for loss in LOSSES for margin in config.margins]
            nothing = "no data" if source in missing else "open"
            values = [[run.figures[figure] for run in runs if run.cell == cell] for cell in cells]
            lines.append(_line([source, *(_mean(one) if one else nothing for one in values)]))
        lines.append("")
    seeds = len({run.seed for run in runs})
    lines.append(
        f"On {config.target}, protocol {config.protocol}; {len(runs)} runs, {seeds} of {len(config.seeds)} seeds. "
        f"The sources' networks started from {config.source.init}."
    )
    by_chance = ", ".join(f"{figure} {100 * chance[figure]:.1f}" for figure in FIGURES)
    lines.append(f"Random features get there: {by_chance}.")
    lines += [f"No data for {name}: there is no {spec}." for name, spec in missing.items()]
    return "\n".join(lines) + "\n"


def _mean(values: list[float]) -> str:
    shares = 100 * np.array(values)
    deviation = f" ± {shares.std(ddof=1):.1f}" if len(values) > 1 else ""
    return f"{shares.mean():.1f}{deviation}"


def _line(fields: list[str]) -> str:
    return f"| {' | '.join(fields)} |"


def _trained(config: TrainConfig, data: ReidData, folder: Path, bar: Bar) -> Path:
    """The last checkpoint of the training; a finished one is not repeated."""
    weights = folder / "last.safetensors"
    if weights.exists():
        training = load_checkpoint(weights).training
        made_of = {"config": training.get("config"), "data": training.get("data")}
        if made_of == identity(config, data) and training.get("iteration") == config.iterations:
            return weights
    with bar(folder.name, config.iterations) as advance:
        return train(config, data, folder, advance=advance)


def stored_figures(path: Path, made_of: Mapping[str, object]) -> dict[str, float] | None:
    """The figures of a finished run; None where there are none, or they are not of `made_of`.

    Raises:
        ReidError: the file is damaged.

    """
    if not path.exists():
        return None
    try:
        stored = json.loads(path.read_text("utf-8"))
        figures = {name: float(stored["figures"][name]) for name in FIGURES}
        return figures if stored["made_of"] == made_of else None
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        raise ReidError(f"{path}: was not written by 'uavpipe reid table1'; remove it to evaluate again") from None
