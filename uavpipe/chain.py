"""`uavpipe.run`: the chain over the flights of a configuration."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.chain.table import STEPS, is_before, stage_named
from pipeline.config.models import FlightConfig, load_config
from pipeline.config.yaml import validate
from pipeline.engine.progress import progress_bar, training_bar
from pipeline.errors import PipelineError
from pipeline.labelling.progress import LabellingProgress
from pipeline.run.chain import Reports, run_chain
from pipeline.workspace.stage import StageResult
from uavpipe.errors import one_error
from uavpipe.workspace import Workspace


@dataclass(frozen=True)
class Run:
    """What a run has done.

    Attributes:
        workspace: with its results.
        stages: that are up to date now, in the order of work: name, folder, counts, and whether it was skipped.
        labelling: number of tracklets and of those that have a label; None where the run needed no labels. Unless
            `is_complete`, the run stopped there: label them (`uavpipe label`), then run again.

    """

    workspace: Workspace
    stages: tuple[StageResult, ...]
    labelling: LabellingProgress | None


@one_error()
def run(
    config: str | os.PathLike[str] | Mapping[str, Any] | FlightConfig,
    *,
    first: str = "frames",
    last: str = "report",
) -> Run:
    """Run the chain on all flights of a configuration, as `uavpipe run`; what is up to date is skipped.

    Examples:
        >>> run = uavpipe.run({"video": "flight01.mp4", "workspace": "runs"}, last="tracks")
        >>> run.workspace.tracklets

    Args:
        config: path of a YAML file; or what such a file has in it, with paths relative to the working directory.
        first: name of the first stage: earlier results are reused. From "dataset" on, the labels that are there are
            used.
        last: name of the last stage.

    Raises:
        UavpipeError: the configuration; a flight failed, after the others are done; data set, training or
            evaluation failed.

    """
    names = [stage.name for stage in STEPS]
    for name in (first, last):
        if name not in names:
            raise PipelineError(f"stage '{name}': expected one of {', '.join(names)}")
    begin, end = stage_named(first), stage_named(last)
    if is_before(end, begin):
        raise PipelineError(f"first stage '{first}' comes after the last, '{last}'")
    loaded = _loaded(config)
    stages: list[StageResult] = []
    failed: dict[Path, str] = {}
    labelling: list[LabellingProgress] = []
    run_chain(
        loaded, progress_bar, training_bar, Reports(stages.append, failed.update, labelling.append), begin, end
    )
    if failed:
        raise PipelineError(f"{len(failed)} of {len(loaded.flights)} flights failed: {'; '.join(failed.values())}")
    return Run(Workspace(loaded.workspace), tuple(stages), next(iter(labelling), None))


def _loaded(config: str | os.PathLike[str] | Mapping[str, Any] | FlightConfig) -> FlightConfig:
    if isinstance(config, FlightConfig):
        return config
    if isinstance(config, Mapping):
        return validate(config, FlightConfig, "configuration")
    return load_config(Path(config))
