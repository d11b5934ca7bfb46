"""The metric by which the features of a network are compared where none is asked for, and the reason for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reid.config import NetworkConfig
from reid.header import read_header

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


def metric_of(network: NetworkConfig, *, by_triplets: bool = True) -> MetricChoice:
    """The metric for the features of a network that uavpipe trained; `by_triplets`: also by the triplet loss."""
    if network.neck == "batch_norm":
        return MetricChoice("cosine", "the features after a BNNeck, which cross-entropy trains, differ by angles")
    if network.normalised:
        return MetricChoice("euclidean", "the features have length 1: cosines rank alike")
    if not by_triplets:
        return MetricChoice("cosine", "the network was trained without the triplet loss, which compares by lengths")
    return MetricChoice("euclidean", "the triplet loss, by which the network was trained, compares by it")


def metric_of_checkpoint(path: Path) -> MetricChoice:
    """The same for the checkpoint `path`, of which only the header is read.

    Raises:
        ReidError: as `read_header`.

    """
    header = read_header(path)
    config = header.training.get("config")
    loss = config.get("loss") if isinstance(config, dict) else None
    without = isinstance(loss, dict) and loss.get("triplet", {}) is None
    return metric_of(header.network, by_triplets=not without)
