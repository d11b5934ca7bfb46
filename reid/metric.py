"""The metric by which the features of a network are compared where none is asked for, and the reason for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open

from reid.config import NetworkConfig
from reid.errors import ReidError

Metric = Literal["euclidean", "cosine"]
METRICS: tuple[Metric, ...] = ("euclidean", "cosine")


@dataclass(frozen=True)
class MetricChoice:
    """A metric, and why it was chosen.

    Attributes:
        name: of the metric.
        reason: for people; empty where the metric was asked for.

    """

    name: Metric
    reason: str = ""


FOREIGN = MetricChoice("cosine", "a foreign model, where nothing names another; change it by --metric")
OF_FILES = MetricChoice("euclidean", "nothing is known of features in files; change it by --metric")


def metric_of(network: NetworkConfig) -> MetricChoice:
    """The metric for the features of a network that uavpipe trained."""
    if network.neck == "batch_norm":
        return MetricChoice("cosine", "the features after a BNNeck, which cross-entropy trains, differ by angles")
    if network.normalised:
        return MetricChoice("euclidean", "the features have length 1: cosines rank alike")
    return MetricChoice("euclidean", "the triplet loss, by which the network was trained, compares by it")


def metric_of_checkpoint(path: Path) -> MetricChoice:
    """The same for the checkpoint `path`, of which only the header is read, without torch.

    Raises:
        ReidError: it is no checkpoint of uavpipe.

    """
    try:
        with safe_open(path, "numpy") as file:
            return metric_of(NetworkConfig.model_validate_json(file.metadata()["network"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        raise ReidError(f"{path}: not a checkpoint of uavpipe, or a damaged one; train again") from None
