"""`uavpipe.train` and `uavpipe.evaluate`: re-identification networks."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.cli.outputs import writes, writes_run
from pipeline.config.yaml import read_yaml_mapping, validate
from pipeline.dataset.protocol import protocol_of
from pipeline.engine.progress import progress_bar, training_bar
from pipeline.errors import PipelineError
from pipeline.stages.evaluation import FIGURES, QUERIES, identified, write_evaluation
from reid.config import TrainConfig
from reid.evaluation.evaluate import Options, Result
from reid.evaluation.measure import evaluate_network
from reid.evaluation.protocols import PROTOCOLS, ProtocolName
from reid.evaluation.reranking import Reranking
from reid.evaluation.summary import summary_of
from reid.metric import Metric
from reid.training.recipes import recipe_file
from reid.weights import weights_file
from uavpipe.errors import one_error

if TYPE_CHECKING:
    from reid.training.on_dataset import Trained


@one_error()
def train(
    recipe: str | os.PathLike[str] | Mapping[str, Any] | TrainConfig,
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    protocol: ProtocolName | None = None,
    **settings: Any,
) -> "Trained":
    """Train a re-ID network on a data set, as `uavpipe reid train`; an interrupted training in `output` is resumed.

    Examples:
        >>> trained = uavpipe.train("finetune", "runs/dataset", "runs/reid/mine", iterations=400)
        >>> trained.weights, trained.metrics.get("mAP")

    Args:
        recipe: a name, as "finetune", of `uavpipe reid recipe`; "auto": drone where a network of recipe source is
            beside `output`, else finetune; a YAML file; or what such a file has in it.
        data: the data set, `[FORMAT:]FOLDER`; docs/reid.md lists the formats.
        output: folder of the training.
        protocol: which gallery crops count where the network is evaluated during the training: market, single-shot,
            flight, tracklet or strict; None: the one that `uavpipe dataset` made the data set for, of other data
            market.
        settings: change settings of the recipe; a mapping changes parts of a section.

    Returns:
        `weights`, the checkpoint to use, and `metrics`, its mAP, rank-1 …, from 0 to 1.

    Raises:
        UavpipeError: recipe or data are wrong, the test set leaks, `output` has another training, or the loss is
            not finite.

    """
    from reid.training.on_dataset import train_on_dataset  # torch

    protocol = _protocol(protocol, data)
    config = _configured(recipe, settings, Path(output))
    guarded = writes_run("run.json")(train_on_dataset)
    trained: Trained = guarded(
        config=config, data=os.fspath(data), output=Path(output), protocol=protocol, bar=training_bar
    )
    return trained


@one_error()
def evaluate(
    weights: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    protocol: ProtocolName | None = None,
    metric: Literal["auto"] | Metric = "auto",
    rerank: bool = False,
    flip: bool = False,
    device: str = "auto",
    out: str | os.PathLike[str] | None = None,
    pictures: int = 60,
) -> Result:
    """Evaluate a re-ID network on a data set, as `uavpipe reid evaluate`.

    Examples:
        >>> result = uavpipe.evaluate("runs/reid/mine/last.safetensors", "runs/dataset", protocol="flight")
        >>> result.figures["mAP"], result.figures["rank-1"]

    Args:
        weights: "embedded", a checkpoint of `uavpipe.train`, an ONNX model, or OpenVINO's `.xml`.
        data: the data set, `[FORMAT:]FOLDER`.
        protocol: which gallery crops count: market, single-shot, flight, tracklet or strict; None: as `train`.
        metric: euclidean or cosine; auto: as `MODEL.input.yaml` beside the weights says, else as suits the network.
        rerank: whether k-reciprocal re-ranking is applied.
        flip: whether features are means with those of the mirror image.
        device: auto, cpu or cuda.
        out: folder for metrics.json, with the figures of chance, the tables and the ranked lists; None: no files.
        pictures: queries whose ranked lists are drawn, worst first.

    Returns:
        `figures` (mAP, mINP, rank-1 …, from 0 to 1) and `counts`; `nearest(query, count)` gives a ranked list.

    Raises:
        UavpipeError: data or weights are missing or damaged, the test set leaks, or no query has a right answer.

    """
    protocol = _protocol(protocol, data)
    options = Options(protocol, metric, reranking=Reranking() if rerank else None)
    folder = None if out is None else Path(out)
    result: Result = _evaluated(
        weights=weights_file(weights),
        data=os.fspath(data),
        options=options,
        flip=flip,
        device=device,
        out=folder,
        pictures=pictures,
    )
    return result


@writes("out", inside=(FIGURES, QUERIES))
def _evaluated(
    weights: Path, data: str, options: Options, flip: bool, device: str, out: Path | None, pictures: int
) -> Result:
    result = evaluate_network(weights, data, options, flip=flip, device=device, bar=progress_bar)
    if out is not None:
        inputs, options = {"weights": identified(weights), "data": data}, result.options
        write_evaluation(out, result, summary_of(result, options), options, inputs, flip=flip, pictures=pictures)
    return result


def _configured(
    recipe: str | os.PathLike[str] | Mapping[str, Any] | TrainConfig, changes: Mapping[str, Any], output: Path
) -> TrainConfig:
    """The settings of `recipe` with `changes`."""
    from reid.training.automatic import AUTO, automatic_recipe  # torch

    if isinstance(recipe, TrainConfig):
        content, source = recipe.model_dump(), "recipe"
    elif isinstance(recipe, Mapping):
        content, source = dict(recipe), "recipe"
    elif os.fspath(recipe) == AUTO:
        content, source = automatic_recipe(output)
    else:
        content, source = read_yaml_mapping(recipe_file(Path(recipe))), os.fspath(recipe)
    for name, value in changes.items():
        section = content.get(name)
        content[name] = {**section, **value} if isinstance(section, dict) and isinstance(value, dict) else value
    return validate(content, TrainConfig, source)


def _protocol(given: ProtocolName | None, data: str | os.PathLike[str]) -> ProtocolName:
    if given is None:
        return protocol_of(os.fspath(data))
    if given not in PROTOCOLS:
        raise PipelineError(f"protocol '{given}': expected {', '.join(PROTOCOLS)}")
    return given
