"""The chain from the labels on: data set, training, evaluation, report."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.chain.table import DATASET, EVALUATE, REPORT, TRAIN, ChainStage, is_before
from pipeline.config.models import FlightConfig
from pipeline.config.yaml import read_yaml_mapping, validate
from pipeline.dataset.stage import finished_dataset, run_dataset
from pipeline.engine.progress import Progress, TrainingProgress
from pipeline.errors import PipelineError
from pipeline.report import write_report
from pipeline.stages.evaluation import evaluation_stage, identified, write_evaluation
from pipeline.workspace.manifest import StageFolder, fingerprint
from pipeline.workspace.stage import Stage, StageResult
from reid.config import TrainConfig
from reid.evaluation.evaluate import Options
from reid.evaluation.protocols import ProtocolName
from reid.metric import metric_of_checkpoint
from reid.training.recipes import recipe_file
from reid.weights import EMBEDDED

_PICTURES = 60  # queries whose ranked lists are drawn, worst first


@dataclass(frozen=True)
class Training:
    """A training on the data set of a workspace, and the evaluation of its network.

    Attributes:
        recipe: of the training; None: the network that comes with uavpipe is evaluated as it is.
        folder: of the training: one for each content of the recipe and of the data set.

    """

    recipe: Path | None
    folder: Path

    @property
    def weights(self) -> Path:
        """Those to evaluate. Not the training's best: that was chosen by the figures that are to be measured."""
        return self.folder / "last.safetensors" if self.recipe else EMBEDDED

    def options(self, protocol: ProtocolName) -> Options:
        """How the network, which is trained, is evaluated."""
        return Options(protocol, metric_of_checkpoint(self.weights).name)

    def evaluation(self, protocol: ProtocolName) -> Stage | None:
        """The evaluation of the network; None while it is not trained."""
        if not self.weights.is_file():
            return None
        inputs = {"weights": identified(self.weights)}
        return evaluation_stage(self.folder / "test", inputs, self.options(protocol))


def training_of(config: FlightConfig, dataset: Path) -> Training:
    """The training that `config` wants on the finished data set in `dataset`.

    Raises:
        PipelineError: the recipe cannot be read.

    """
    recipe = recipe_file(config.reid.recipe) if config.reid.recipe else None
    content = {
        DATASET.name: (StageFolder(dataset).manifest() or {})["fingerprint"],
        "recipe": read_yaml_mapping(recipe) if recipe else None,
    }
    name = f"{recipe.stem if recipe else 'embedded'}-{fingerprint(content)[:8]}"
    return Training(recipe, config.workspace / TRAIN.folder / name)


def run_from_labels(
    config: FlightConfig,
    progress: Progress,
    training_progress: TrainingProgress,
    report: Callable[[StageResult], None],
    last: ChainStage = REPORT,
    first: ChainStage = DATASET,
) -> None:
    """Make the data set of what is labelled, train and evaluate on it, and write the report.

    Args:
        config: the configuration.
        progress: shows how far the evaluation and the report are.
        training_progress: shows how far the training is.
        report: is given each stage.
        last: the last stage.
        first: the stages before it are taken as they were finished.

    Raises:
        PipelineError, AnnotateError, ReidError: as the stages; see `run_dataset`, `train`, `write_report`.

    """
    if not is_before(EVALUATE, first):
        made = is_before(DATASET, first)
        dataset = finished_dataset(config.workspace) if made else run_dataset(config.workspace, config.dataset)
        report(dataset)
        if not is_before(last, TRAIN):
            training = training_of(config, dataset.folder)
            if training.recipe and not is_before(TRAIN, first):
                report(_train(training, dataset, training_progress))
            if not is_before(last, EVALUATE) and "query" in dataset.counts["splits"]:
                report(_evaluate(training, dataset, progress))
    if last is REPORT:
        page = write_report(config.workspace, config.report, progress)
        report(StageResult(REPORT.name, page.parent, {}, skipped=False))


def _train(training: Training, dataset: StageResult, progress: TrainingProgress) -> StageResult:
    """Train, or resume a training that was stopped."""
    from reid.checkpoint import load_checkpoint  # torch takes seconds, which a run without a recipe does not need
    from reid.training.on_dataset import train_on_dataset

    assert training.recipe is not None
    config = validate(read_yaml_mapping(training.recipe), TrainConfig, str(training.recipe))
    result = StageResult(TRAIN.name, training.folder, {"iterations": config.iterations}, skipped=True)
    weights = training.weights
    if weights.is_file() and load_checkpoint(weights).training["iteration"] >= config.iterations:
        return result
    protocol = dataset.counts["protocol"]
    train_on_dataset(config, str(dataset.folder), training.folder, protocol=protocol, bar=progress)
    return replace(result, skipped=False)


def _evaluate(training: Training, dataset: StageResult, progress: Progress) -> StageResult:
    from reid.evaluation.measure import evaluate_network
    from reid.evaluation.summary import summary_of

    protocol = dataset.counts["protocol"]
    stage = training.evaluation(protocol)
    if stage is None:
        raise PipelineError(f"{training.folder}: this stage is incomplete, so --from cannot skip it")
    if stage.is_current():
        return stage.result(skipped=True)
    options = training.options(protocol)
    result = evaluate_network(training.weights, str(dataset.folder), options, bar=progress)
    inputs = {"weights": identified(training.weights), "data": str(dataset.folder)}
    write_evaluation(stage.folder.path, result, summary_of(result, options), options, inputs, pictures=_PICTURES)
    return stage.result(skipped=False)
