"""Training on a data set: one call from its format and folder to a checkpoint and its figures."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from reid.checkpoint import load_checkpoint
from reid.config import TrainConfig
from reid.datasets.load import load
from reid.evaluation.evaluate import Evaluation, Options
from reid.evaluation.protocols import PROTOCOLS, ProtocolName
from reid.metric import metric_of
from reid.training.train import train

# Opens a progress bar of a title and a total; the `with` gives the function that sets it to n and shows a text.
Bar = Callable[[str, int], AbstractContextManager[Callable[[int, str], None]]]


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes:
        weights: the checkpoint to use: the best one by mAP, or the last where nothing was measured.
        metrics: of these weights, by name (mAP, rank-1 …; from 0 to 1); empty where nothing was measured.

    """

    weights: Path
    metrics: Mapping[str, float]


@contextmanager
def _silent(title: str, total: int) -> Iterator[Callable[[int, str], None]]:
    yield lambda done, text: None


def train_on_dataset(
    config: TrainConfig, data: str, output: Path, *, protocol: ProtocolName = "market", bar: Bar = _silent
) -> Trained:
    """Train a network by `config` on the data set `data`; an unfinished run in `output` is resumed.

    Where the data set has queries, the network is measured on them during the training, and the best checkpoint is
    kept. That they can be measured is checked before the training starts.

    Example:
        >>> trained = train_on_dataset(read_recipe("finetune"), "runs/dataset", Path("runs/reid/mine"))
        >>> trained.weights, trained.metrics.get("mAP")

    Args:
        config: the recipe.
        data: a data set as `load` takes it, `[FORMAT:]PLACE`.
        output: folder of the run; see `train` for what is written.
        protocol: which gallery crops count when the network is measured.
        bar: shows how many iterations are done.

    Raises:
        ReidError: data or settings are wrong, the test set leaks or cannot be measured, `output` holds another
            run, the loss is not finite, or the run was stopped.

    """
    crops = load(data, PROTOCOLS[protocol].cameras)
    measure = None
    if len(crops.query):
        evaluation = Evaluation(crops.query, crops.gallery, Options(protocol), crops.train)
        own = metric_of(config.network, by_triplets=config.loss.triplet is not None)
        measure = lambda query, gallery: evaluation(query, gallery, own=own).figures  # noqa: E731
    with bar(config.network.backbone, config.iterations) as advance:
        weights = train(config, crops, output, measure=measure, advance=advance)
    return Trained(weights, load_checkpoint(weights).training["metrics"])
