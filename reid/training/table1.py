"""The paper's Table 1: what a network learnt on before, the margin, and the loss, all combinations on one data set.

Each source's network is trained once a seed, by the triplet loss; all fields of its row go on from its backbone.
What is measured is each run's last checkpoint: to choose the best by its figures would be to learn from the test.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, StringConstraints, model_validator

from reid.checkpoint import load_checkpoint
from reid.config import Section, TrainConfig
from reid.datasets.load import load, parse
from reid.embedder import Embedder
from reid.errors import ReidError
from reid.evaluation.evaluate import Evaluation, Options
from reid.evaluation.protocols import PROTOCOLS, ProtocolName
from reid.records import ReidData
from reid.training.on_dataset import Bar
from reid.training.run_folder import identity
from reid.training.train import train

Loss = Literal["triplet", "proposed"]
LOSSES: tuple[Loss, ...] = ("triplet", "proposed")
FIGURES = ("mAP", "rank-1", "rank-5", "rank-10")
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w-]{0,63}$")]  # becomes a folder's


class Table1Config(Section):
    """The grid and its recipes; configs/reid/table1.yaml has the paper's."""

    target: str = Field(description="data set that is learnt in the end and measured on, as market:data/drone")
    protocol: ProtocolName = "market"
    sources: dict[_Name, str] = Field(
        description="data sets that are learnt before, by name; one that is not there is reported, not skipped"
    )
    margins: tuple[float, ...] = Field(
        (0.1, 0.2, 0.3), min_length=1, description="of the last stage's triplet loss"
    )
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1)
    source: TrainConfig = Field(TrainConfig(), description="ImageNet to a source; its margin is its own")
    from_source: TrainConfig = Field(
        description="a source's backbone to the target by the proposed loss; init and margin come from the grid, "
        "and for the triplet loss L-GM and its branch are left out"
    )
    without_source: TrainConfig = Field(description="the same for the first row, whose name is its init")

    @property
    def first(self) -> str:
        """Name of the row without a source: the paper's ImageNet, or what it starts from in truth."""
        return {"imagenet": "ImageNet", "random": "random"}.get(self.without_source.init, "weights")

    @model_validator(mode="after")
    def _is_a_grid(self) -> "Table1Config":
        if self.first in self.sources:
            raise ValueError(f"sources: '{self.first}' is in the table anyway, and needs no data")
        for name in ("from_source", "without_source"):
            if getattr(self, name).loss.lgm is None:
                raise ValueError(f"{name}.loss.lgm: the proposed loss needs it")
        return self


@dataclass(frozen=True)
class Cell:
    """A field of the table."""

    source: str
    loss: Loss
    margin: float


@dataclass(frozen=True)
class Run:
    """What a field's network reached with one seed; figures from 0 to 1."""

    cell: Cell
    seed: int
    figures: dict[str, float]


class Table1:
    """All that the table needs, read and checked before the first training.

    Args:
        config: the grid.
        output: folder; runs found there are resumed, finished ones are not done again.

    Raises:
        ReidError: the target cannot be measured so, or a data set that is there is malformed.

    """

    def __init__(self, config: Table1Config, output: Path) -> None:
        self.config, self._output = config, output
        rules = PROTOCOLS[config.protocol]
        self._target = load(config.target, rules.cameras)
        target = self._target
        self._evaluation = Evaluation(target.query, target.gallery, Options(rules.name), target.train)
        self.missing = {name: spec for name, spec in config.sources.items() if not parse(spec)[1].exists()}
        self._sources = {name: load(spec) for name, spec in config.sources.items() if name not in self.missing}

    def runs(self, bar: Bar) -> Iterator[Run]:
        """Train and measure one after the other, a whole table for each seed; `bar` shows how each goes."""
        for seed in self.config.seeds:
            for source in (self.config.first, *self._sources):
                start = self._source(source, seed, bar)
                for cell in self._row(source):
                    yield Run(cell, seed, self._measured(cell, seed, start, bar))

    def _row(self, source: str) -> list[Cell]:
        return [Cell(source, loss, margin) for loss in LOSSES for margin in self.config.margins]

    def _source(self, name: str, seed: int, bar: Bar) -> str:
        """What the row's trainings start from."""
        if name == self.config.first:
            return self.config.without_source.init
        config = self.config.source.model_copy(update={"seed": seed})
        return str(_trained(config, self._sources[name], self._output / "sources" / f"{name}-seed{seed}", bar))

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
        _write(folder / "table1.json", {"figures": figures, "made_of": made_of})
        return figures


def recipe(config: Table1Config, cell: Cell, seed: int, start: str) -> TrainConfig:
    """How the network of a field is trained, from the weights `start`."""
    base = config.without_source if cell.source == config.first else config.from_source
    content = base.model_dump()
    content |= {"seed": seed, "init": start}
    content["loss"]["triplet"]["margin"] = cell.margin
    if cell.loss == "triplet":
        content["loss"]["lgm"] = content["network"]["group_branch"] = None
    return TrainConfig.model_validate(content)


def table(config: Table1Config, runs: list[Run], missing: dict[str, str]) -> str:
    """The table as Markdown, in percent: mean ± standard deviation (of a sample) over the seeds at hand."""
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
    lines += [f"No data for {name}: there is no {spec}." for name, spec in missing.items()]
    return "\n".join(lines) + "\n"


def _mean(values: list[float]) -> str:
    shares = 100 * np.array(values)
    deviation = f" ± {shares.std(ddof=1):.1f}" if len(values) > 1 else ""
    return f"{shares.mean():.1f}{deviation}"


def _line(fields: list[str]) -> str:
    return f"| {' | '.join(fields)} |"


def _trained(config: TrainConfig, data: ReidData, folder: Path, bar: Bar) -> Path:
    """The last checkpoint of that training; one that is finished is not begun again."""
    weights = folder / "last.safetensors"
    if weights.exists():
        training = load_checkpoint(weights).training
        made_of = {"config": training.get("config"), "data": training.get("data")}
        if made_of == identity(config, data) and training.get("iteration") == config.iterations:
            return weights
    with bar(folder.name, config.iterations) as advance:
        return train(config, data, folder, advance=advance)


def stored_figures(path: Path, made_of: Mapping[str, Any]) -> dict[str, float] | None:
    """The figures of a run that was measured before; None where there are none, or not of what is `made_of`.

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
        raise ReidError(f"{path}: not what 'uavpipe reid table1' wrote; remove it to measure anew") from None


def _write(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(f".part-{path.name}")
    temporary.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    temporary.replace(path)
