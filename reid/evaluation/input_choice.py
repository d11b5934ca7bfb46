"""A check of the input of a foreign model: with which range and order of colours it knows persons again.

A wrong range or order is no error: the features say less.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from reid.datasets.load import load
from reid.embedder import Embedder, ForeignEmbedder, mean_cosine
from reid.errors import ReidError
from reid.evaluation.evaluate import Evaluation, Options
from reid.input_convention import RANGES, Colours, Range
from reid.metric import METRICS, Metric
from reid.records import Samples

_CLEARLY = 0.03  # of mAP: less is chance among few persons


@dataclass(frozen=True)
class Choice:
    """One input, and what the model does with it.

    Attributes:
        range: of the values.
        colours: order of the channels.
        is_used: whether the model is used with it.
        precision: mAP, by cosine.
        rank1: rank-1.
        cosine: mean cosine of the features of different images; near 1, they say little.

    """

    range: Range
    colours: Colours
    is_used: bool
    precision: float
    rank1: float
    cosine: float


def some_persons(data: str, persons: int) -> Evaluation:
    """The evaluation of the first `persons` persons of the data set `data` who are queries.

    Raises:
        ReidError: as `load` and `Evaluation`.

    """
    loaded = load(data)
    known = np.unique(loaded.query.identities[loaded.query.identities > 0])[:persons]
    query, gallery = (_of(samples, known) for samples in (loaded.query, loaded.gallery))
    return Evaluation(query, gallery, Options(metric="cosine"))


def choices(
    used: Embedder,
    evaluation: Evaluation,
    advance: Callable[[int], None] = lambda count: None,
) -> list[Choice]:
    """Each range and order of colours, the best mAP first.

    Args:
        used: the model, of whose input range and colours are replaced.
        evaluation: of crops with files.
        advance: called with numbers of crops that are done, in all choices.

    Raises:
        ReidError: the model takes bytes, or is a checkpoint: there is no choice.

    """
    if not isinstance(used, ForeignEmbedder) or used.convention is None:
        raise ReidError("the model has the scaling of its input inside; there is nothing to choose")
    found = []
    for values in RANGES:
        for colours in get_args(Colours):
            convention = used.convention.model_copy(update={"range": values, "colours": colours})
            is_used = convention == used.convention
            found.append(_measured(used.with_input(convention), evaluation, is_used, advance))
    return sorted(found, key=lambda choice: -choice.precision)


def verdict(found: Sequence[Choice]) -> str:
    """What `found`, the best first, says about the one that is used."""
    best, used = found[0], next(choice for choice in found if choice.is_used)
    if best.precision <= used.precision + _CLEARLY:
        return "no other input is clearly better"
    gain = best.precision - used.precision
    return f"give it --input range={best.range} --input colours={best.colours}: better by {gain:.3f} mAP"


def by_metric(used: Embedder, evaluation: Evaluation) -> dict[Metric, float]:
    """The mAP of `used` by each metric, on the crops of `evaluation`."""
    crops = evaluation.candidates.query, evaluation.candidates.gallery
    query, gallery = (used.embed_files(each.paths) for each in crops)
    return {metric: Evaluation(*crops, Options(metric=metric))(query, gallery).figures["mAP"] for metric in METRICS}


def metric_verdict(found: Mapping[Metric, float], used: Metric) -> str:
    """What the mAP `found` by each metric says about the one that is used."""
    figures = ", ".join(f"{metric} {value:.3f}" for metric, value in found.items())
    best = max(found, key=lambda metric: found[metric])
    if found[best] <= found[used] + _CLEARLY:
        return f"mAP by metric: {figures}"
    return f"mAP by metric: {figures}; keep 'metric: {best}' in MODEL.input.yaml, and evaluations use it"


def _measured(
    embedder: ForeignEmbedder, evaluation: Evaluation, is_used: bool, advance: Callable[[int], None]
) -> Choice:
    assert embedder.convention is not None
    crops = evaluation.candidates.query, evaluation.candidates.gallery
    query, gallery = (embedder.embed_files(each.paths, advance=advance) for each in crops)
    figures = evaluation(query, gallery).figures
    convention = embedder.convention
    return Choice(
        convention.range, convention.colours, is_used, figures["mAP"], figures["rank-1"], mean_cosine(query)
    )


def _of(samples: Samples, persons: NDArray[np.int64]) -> Samples:
    return samples.at(np.flatnonzero(np.isin(samples.identities, persons)))
