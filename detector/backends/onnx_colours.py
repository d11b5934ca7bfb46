"""A check of colours and values: which of them an ONNX model finds most persons with.

A wrong order of the channels or range of the values is no error: the model finds fewer persons, or none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from detector.backends.onnx import open_onnx
from detector.config import DetectorConfig
from detector.errors import DetectorError
from detector.models.weights import WeightsSource

Colours = Literal["rgb", "bgr"]
Range = Literal["0-1", "0-255", "-1-1", "imagenet"]
SURE = 0.3  # score from which a person counts
_CLEARLY = 1.2  # times the scores from which another choice is better: less is chance
_ENOUGH = 20  # persons: colours differ little in what is found, so that few persons do not tell


@dataclass(frozen=True)
class Choice:
    """One choice of colours and values, and what the model finds with it.

    Attributes:
        colours: order of the channels.
        range: values of the pixels.
        is_used: whether it is the one that the model is used with.
        persons: boxes with a score from 0.3 up.
        scores: sum of their scores.

    """

    colours: Colours
    range: Range
    is_used: bool
    persons: int
    scores: float


def compare_choices(
    config: DetectorConfig,
    source: WeightsSource,
    images: Sequence[NDArray[np.uint8]],
    advance: Callable[[int], None] = lambda count: None,
) -> list[Choice]:
    """All choices, by their scores, best first.

    Args:
        config: of the detector.
        source: the model.
        images: uint8 (H, W, 3) RGB; they have to show persons.
        advance: called with numbers of images that are done, in all choices.

    Raises:
        DetectorError: as `open_onnx`, or the model takes bytes or was written by uavpipe: there is no choice.

    """
    used = open_onnx(config, source)
    if used.values is None:
        raise DetectorError(f"{source.path}: {used.what}: it has its values inside, there is nothing to choose")
    found = []
    for colours in get_args(Colours):
        for values in get_args(Range):
            onnx = config.onnx.model_copy(update={"colours": colours, "range": values})
            predictor = open_onnx(config.model_copy(update={"onnx": onnx}), source)
            scores: list[float] = []
            for image in images:
                (persons,) = predictor.predict([predictor.preprocess(image)])
                scores += persons.above(SURE).scores.tolist()
                advance(1)
            found.append(Choice(colours, values, (colours, values) == used.values, len(scores), sum(scores)))
    return sorted(found, key=lambda choice: -choice.scores)


def verdict(choices: Sequence[Choice]) -> str:
    """What `choices` tell, for people."""
    used = next(choice for choice in choices if choice.is_used)
    best = max(choices, key=lambda choice: choice.scores)
    if best.persons < _ENOUGH:
        return f"{best.persons} persons at most: too few to tell; give more images that show persons"
    if best.scores > _CLEARLY * used.scores:
        return f"finds more otherwise: set detector.onnx.colours={best.colours}, detector.onnx.range={best.range}"
    return "colours and values fit: no other choice finds clearly more"
