"""Options that several commands of `uavpipe reid` share."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import click

from pipeline.cli.options import WEIGHTS

PROTOCOL_NAMES = ("market", "single-shot", "flight", "tracklet", "strict")
protocol_option = click.option(
    "--protocol",
    type=click.Choice(PROTOCOL_NAMES),
    help="Rank by this protocol: it says which gallery crops count.  [default: the one that `uavpipe dataset` made "
    "the data set for; of other data, market]",
)
data_option = partial(
    click.option,
    "--data",
    metavar="[FORMAT:]PLACE",
    help="Use this data set, as market1501:data/market1501 (see 'uavpipe reid datasets'), or this folder with the "
    "layout of Market-1501.",
)
weights_option = partial(
    click.option,
    "--weights",
    type=WEIGHTS,
    help="Use this network: embedded, a checkpoint of 'uavpipe reid train', an ONNX model, or OpenVINO's .xml.",
)
input_option = click.option(
    "--input",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Say what a foreign model takes: range=imagenet, 0-255, 0-1 or -1-1; colours=rgb or bgr; mean=[…]; "
    "std=[…]; height; width; metric=euclidean or cosine.  [default: as MODEL.input.yaml says]",
)
flip_option = click.option(
    "--flip", is_flag=True, help="Average the features with those of the mirror image (not in the paper)."
)
device_option = click.option("--device", default="auto", show_default=True, help="Compute on auto, cpu or cuda.")


def given_input(settings: Sequence[str]) -> dict[str, Any] | None:
    """The settings of `input_option`."""
    from pipeline.config.yaml import apply_settings

    return apply_settings({}, settings) if settings else None
