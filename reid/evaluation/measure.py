"""Evaluation of a network, or of features in files, on a data set: one call from paths to figures."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reid.datasets.load import load
from reid.evaluation.evaluate import Evaluation, Options, Result
from reid.evaluation.features import read_features
from reid.evaluation.protocols import PROTOCOLS, ProtocolName
from reid.labels import read_labels
from reid.records import Samples

# Opens a progress bar of a title and a total; the `with` gives the function that advances it by n.
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class LabelTables:
    """Tables of labels (CSV, a row for each crop or feature) in place of a data set.

    Attributes:
        query: identities of the queries.
        gallery: identities of the gallery.
        images: folders of the query's and the gallery's paths; None: only features are known.
        train: identities that the network was trained on, to check for leaks; None: unknown.

    """

    query: Path
    gallery: Path
    images: tuple[Path, Path] | None = None
    train: Path | None = None


@contextmanager
def _silent(title: str, total: int) -> Iterator[Callable[[int], None]]:
    yield lambda count: None


def evaluate_network(
    weights: Path,
    data: str | LabelTables,
    options: Options,
    *,
    flip: bool = False,
    device: str = "auto",
    given: Mapping[str, Any] | None = None,
    bar: Bar = _silent,
) -> Result:
    """Evaluate the network in `weights` on `data`.

    Example:
        >>> result = evaluate_network(Path("last.safetensors"), "market1501:data/market1501", Options("market"))
        >>> result.figures["mAP"], result.figures["rank-1"]

    Args:
        weights: a checkpoint of `uavpipe reid train`, an ONNX model, or OpenVINO's `.xml`.
        data: a data set as `load` takes it, `[FORMAT:]PLACE`; or tables with the folders of their images.
        options: protocol and metric; `options.device` is replaced by the device that embeds.
        flip: average the features of image and mirror image.
        device: `auto`, `cpu` or `cuda`; embeds and ranks.
        given: what a foreign model takes: settings of `InputConvention`.
        bar: shows how many of the crops are embedded.

    Raises:
        ReidError: data or weights are missing or damaged, the test set leaks, or no query has a right answer.

    """
    from reid.embedder import Embedder  # torch takes half a gigabyte, which features in files do not need

    query, gallery, train = _samples(data, options.protocol)
    embedder = Embedder.load(weights, device, given)
    evaluation = Evaluation(query, gallery, replace(options, device=embedder.device), train)
    with bar(weights.name, len(query) + len(gallery)) as advance:
        return evaluation.of(embedder, flip=flip, advance=advance)


def evaluate_features(query: Path, gallery: Path, labels: LabelTables, options: Options) -> Result:
    """Evaluate the features in two `.npy` files, whose rows are those of `labels`.

    Args:
        query: float32 (n, d).
        gallery: float32 (m, d).
        labels: whose features they are.
        options: protocol, metric, and the device that ranks.

    Raises:
        ReidError: a file is missing or damaged, counts differ, the test set leaks, or no query has a right answer.

    """
    own, others, train = _samples(labels, options.protocol)
    evaluation = Evaluation(own, others, options, train)
    return evaluation(read_features(query), read_features(gallery), (str(query), str(gallery)))


def evaluation_on(data: str, protocol: ProtocolName) -> Evaluation:
    """The evaluation of any features of the data set `data` by `protocol`, checked for leaks.

    Raises:
        ReidError: the data set is missing or malformed, leaks, or no query has a right answer.

    """
    query, gallery, train = _samples(data, protocol)
    return Evaluation(query, gallery, Options(protocol), train)


def _samples(data: str | LabelTables, protocol: ProtocolName) -> tuple[Samples, Samples, Samples | None]:
    """Query, gallery and, where known, what was trained on."""
    cameras = PROTOCOLS[protocol].cameras
    if isinstance(data, str):
        loaded = load(data, cameras)
        return loaded.query, loaded.gallery, loaded.train
    known = [data.train] if data.train else []
    folders = [*(data.images or (None, None)), *(None for _ in known)]
    query, gallery, *train = read_labels([data.query, data.gallery, *known], cameras, folders)
    return query, gallery, train[0] if train else None
