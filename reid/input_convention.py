"""The use of a foreign model: range and order of the colours, size, metric; given, kept beside it, or assumed."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from reid.config import Section
from reid.crops import IMAGENET_MEAN, IMAGENET_STD
from reid.errors import ReidError
from reid.files import read_regular
from reid.metric import Metric, MetricChoice
from reid.weights import input_file

Range = Literal["imagenet", "0-255", "0-1", "-1-1"]
Colours = Literal["rgb", "bgr"]
RANGES: tuple[Range, ...] = ("imagenet", "0-255", "0-1", "-1-1")
_THREE = tuple[float, float, float]
_log = logging.getLogger(__name__)


class InputConvention(Section):
    """The input of a model that takes floats, and the metric of its features."""

    range: Range = Field(
        "imagenet", description="of the values; imagenet: 0 to 1, minus ImageNet's mean, divided by its deviation"
    )
    mean: _THREE | None = Field(
        None, description="subtracted, in units of `range`, in the model's order of colours"
    )
    std: _THREE | None = Field(None, description="then divided by")
    colours: Colours = Field("rgb", description="order of the channels")
    height: int | None = Field(None, ge=16, le=4096, description="px, where the model leaves it open")
    width: int | None = Field(None, ge=8, le=4096, description="px, where the model leaves it open")
    metric: Metric | None = Field(
        None, description="by which features are compared best, as the model's card says or as was measured"
    )

    def values(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 (n, 3, height, width) of `crops`, uint8 (n, height, width, 3) RGB."""
        images = crops.astype(np.float32).transpose(0, 3, 1, 2)
        if self.range != "0-255":
            images /= 255
        if self.range == "imagenet":
            images -= np.array(IMAGENET_MEAN, np.float32)[:, None, None]
            images /= np.array(IMAGENET_STD, np.float32)[:, None, None]
        elif self.range == "-1-1":
            images = images * 2 - 1
        if self.colours == "bgr":
            images = images[:, ::-1]
        if self.mean is not None:
            images = images - np.array(self.mean, np.float32)[:, None, None]
        if self.std is not None:
            images = images / np.array(self.std, np.float32)[:, None, None]
        return np.ascontiguousarray(images, np.float32)

    @property
    def words(self) -> str:
        """The convention, for people."""
        ranges = {
            "imagenet": "minus ImageNet's mean, divided by its deviation",
            "0-255": "0 to 255",
            "0-1": "0 to 1",
            "-1-1": "-1 to 1",
        }
        own = "".join(
            f", {name} {list(x)}" for name, x in (("mean", self.mean), ("std", self.std)) if x is not None
        )
        return f"{self.colours.upper()}, {ranges[self.range]}{own}"


def convention_of(weights: Path, given: Mapping[str, Any] | None, default: InputConvention) -> InputConvention:
    """The input of the model in `weights`: `given`, else as the file beside it says, else `default` with a warning.

    Raises:
        ReidError: a setting is unknown or has another type; names it.

    """
    file = input_file(weights)
    if given:
        return _checked({**_read(file), **given}, "--input")
    if file.is_file():
        return _checked(_read(file), str(file))
    _log.warning(
        "%s: assumed input: %s; if its model card says another, give it with --input, or in %s "
        "(uavpipe reid inspect compares)",
        *(weights.name, default.words, file.name),
    )
    return default


def metric_for(weights: Path, given: Mapping[str, Any] | None, own: MetricChoice) -> MetricChoice:
    """The metric that `stated_metric` finds; else `own`, that of the model itself.

    Raises:
        ReidError: as `convention_of`.

    """
    stated = stated_metric(weights, given)
    if stated is None:
        return own
    return MetricChoice(stated, f"as {'--input' if 'metric' in (given or {}) else input_file(weights).name} says")


def stated_metric(weights: Path, given: Mapping[str, Any] | None) -> Metric | None:
    """The metric that is `given` for the model in `weights`, or that the file beside it names; None: neither.

    Raises:
        ReidError: as `convention_of`.

    """
    file = input_file(weights)
    return _checked({**_read(file), **(given or {})}, "--input" if given else str(file)).metric


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = yaml.safe_load(read_regular(file).decode("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ReidError(f"{file}: cannot be read as YAML: {' '.join(str(error).split())[:120]}") from None
    if not isinstance(content, dict):
        raise ReidError(f"{file}: expected settings such as 'range: 0-255'")
    return content


def _checked(content: Mapping[str, Any], source: str) -> InputConvention:
    try:
        return InputConvention.model_validate(dict(content))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise ReidError(
            f"{source}: {field}: {first['msg']}; known settings are {', '.join(InputConvention.model_fields)}"
        ) from None
