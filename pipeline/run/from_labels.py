"""From the labels on: the data set, where a network that learns from it lies, and what of it there is to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from annotate.log.store import LABELS
from pipeline.config.models import FlightConfig
from pipeline.config.yaml import read_yaml_mapping
from pipeline.dataset.labelled import state_of_inputs
from pipeline.dataset.stage import NAME as DATASET
from pipeline.dataset.stage import DatasetResult, settings_of
from pipeline.errors import PipelineError
from pipeline.run.flights import Planned, labelling, reason_to_run
from pipeline.stages.evaluation import FIGURES, identified, is_intact
from pipeline.workspace.atomic import read_json
from pipeline.workspace.manifest import StageFolder, fingerprint, stage_fingerprint
from reid.weights import EMBEDDED


@dataclass(frozen=True)
class Learning:
    """Where a training on a data set leaves what.

    Attributes:
        folder: of the training: one for each content of the recipe and of the data set.
        weights: that are measured: the training's, or those that come with uavpipe.
        measured: folder of the figures.

    """

    folder: Path
    weights: Path
    measured: Path

    def figures(self) -> dict[str, float] | None:
        """What was measured with these very weights; None where that is still to be done, or was damaged since."""
        known = read_json(self.measured / FIGURES)
        if known is None or not self.weights.is_file() or not is_intact(self.measured):
            return None
        try:
            same = known["inputs"]["weights"]["sha256"] == identified(self.weights)["sha256"]
            return {name: float(known[name]) for name in ("mAP", "rank-1")} if same else None
        except (LookupError, TypeError, ValueError, OverflowError):  # damaged: to be done
            return None


def learning(config: FlightConfig, dataset: Path) -> Learning:
    """Where the network of `config` lies that learns from the finished data set in `dataset`.

    Raises:
        PipelineError: the recipe cannot be read.

    """
    recipe = config.reid.recipe
    content = {
        "dataset": (StageFolder(dataset).manifest() or {})["fingerprint"],
        "recipe": read_yaml_mapping(recipe) if recipe else None,
    }
    folder = config.workspace / "reid" / f"{recipe.stem if recipe else 'embedded'}-{fingerprint(content)[:8]}"
    # Not the training's best: that was chosen by the figures that are to be measured.
    return Learning(folder, folder / "last.safetensors" if recipe else EMBEDDED, folder / "test")


def dataset_as_it_is(workspace: Path) -> DatasetResult:
    """The data set of `workspace`, whatever the labels and the configuration say by now.

    Raises:
        PipelineError: there is none.

    """
    folder = StageFolder(workspace / DATASET)
    figures = read_json(folder.path / "statistics.json")
    if folder.manifest() is None or figures is None:
        raise PipelineError(f"{folder.path}: not finished; `--from` cannot leave it out")
    return DatasetResult(folder.path, figures, skipped=True)


def plan_from_labels(config: FlightConfig, until: str, since: str) -> Iterator[Planned]:
    """What comes after the flights, and why; nothing is done.

    Raises:
        AnnotateError: the labels are damaged.

    """
    workspace, folder = config.workspace, StageFolder(config.workspace / DATASET)
    done = labelling(workspace)
    waits = since in ("frames", "detect", "crops", "tracks") and not 0 < done.tracklets == done.labelled
    if waits:
        far = f"{done.labelled:,} of {done.tracklets:,} tracklets have a label"
        yield Planned("", "label", far if done.tracklets else "nobody has a label yet")
    stale = ""
    if since not in ("evaluate", "report") and not waits:
        if not (workspace / LABELS).is_file():
            yield Planned("", "label", "nobody has a label yet")
            return
        inputs, section = state_of_inputs(workspace), settings_of(config.dataset)
        holds = folder.is_current(stage_fingerprint(DATASET, inputs, section))
        stale = "" if holds else reason_to_run(folder, inputs, section)
        yield Planned("", DATASET, stale)
    if until != "dataset" and since != "report" and not waits:
        measured = not stale and folder.manifest() is not None and learning(config, folder.path).figures()
        yield Planned("", "evaluate", "" if measured else "another data set" if stale else "not done yet")
    if until == "report":
        yield Planned("", "report", "written anew each time")
