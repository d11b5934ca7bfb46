"""The files that a configuration names, checked when a run begins: what comes last may need one hours later."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from detector.config import NAMED_WEIGHTS
from detector.errors import DetectorError
from detector.models.weights import source_of
from pipeline.chain.table import DATASET, DETECT, LABEL, REPORT, TRAIN, ChainStage, is_before
from pipeline.config.models import FlightConfig
from pipeline.config.yaml import read_yaml_mapping, validate
from pipeline.errors import PipelineError
from pipeline.groundtruth.read import find_truth
from pipeline.run.from_labels import training_of
from pipeline.telemetry import find_telemetry
from pipeline.telemetry.terrain import check_terrain
from pipeline.workspace.manifest import StageFolder
from reid.config import TrainConfig
from reid.errors import ReidError
from reid.training.recipes import recipe_file


def check_named_files(config: FlightConfig, first: ChainStage, last: ChainStage) -> None:
    """Check all files that the stages `first` to `last` would need and that `config` names; nothing is run.

    Videos are not among them: a flight whose video is missing does not stop the others.

    Raises:
        PipelineError: some do not exist, or a recipe or the weights are not what they must be; one line, with the
            key of each.

    """
    problems = list(_problems(config, first, last))
    if problems:
        raise PipelineError("; ".join(problems))


def _problems(config: FlightConfig, first: ChainStage, last: ChainStage) -> Iterator[str]:
    for key, check in _checks(config, first, last):
        try:
            check()
        except (PipelineError, DetectorError, ReidError) as error:
            yield f"{key}: {error}"


def _checks(
    config: FlightConfig, first: ChainStage, last: ChainStage
) -> Iterator[tuple[str, Callable[[], object]]]:
    if is_before(first, LABEL):
        yield "telemetry", lambda: find_telemetry(config.telemetry, Path())
        if isinstance(config.terrain, Path):
            yield "terrain", partial(check_terrain, config.terrain)
        # Named weights are chosen, and perhaps downloaded, by the stage that needs them.
        if not is_before(last, DETECT) and config.detector.weights not in NAMED_WEIGHTS:
            yield "detector.weights", lambda: source_of(config.detector)
    if config.reid.recipe is not None and not is_before(last, TRAIN) and not is_before(TRAIN, first):
        yield "reid.recipe", lambda: _check_recipe(config)
    if last is REPORT:
        yield "report.truth", lambda: find_truth(config.report.truth, Path())


def _check_recipe(config: FlightConfig) -> None:
    assert config.reid.recipe is not None
    recipe, dataset = recipe_file(config.reid.recipe), StageFolder(config.workspace / DATASET.folder)
    training = validate(read_yaml_mapping(recipe), TrainConfig, str(recipe))
    if dataset.manifest() is None or not training_of(config, dataset.path).folder.exists():
        training.check_files()  # one that was begun needs its initial weights no more
