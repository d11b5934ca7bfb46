"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

PATH = click.Path(path_type=Path)
LABELLED_WORKSPACE = click.option(
    "--workspace", type=PATH, default=Path("runs"), show_default=True, help="Folder of the flights and labels."
)

PERSONS = click.option(
    "--person",
    "persons",
    type=int,
    multiple=True,
    default=(0,),
    show_default=True,
    help="Treat this class number as person; may be repeated.",
)


def settings_option(example: str) -> Callable[..., Any]:
    """`--set` of a command; `example` is for its help."""
    return click.option(
        "--set", "settings", multiple=True, metavar="KEY=VALUE", help=f"Change settings: {example}."
    )


def flight_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`VIDEO… --config --workspace --set`: which flights, with which settings."""
    for decorate in (
        settings_option("detector.threshold=0.6"),
        click.option("--workspace", type=PATH, help="Write all results here.  [default: runs]"),
        click.option("--config", "config_path", type=PATH, help="Read this YAML configuration."),
        click.argument("videos", nargs=-1, type=PATH, metavar="[VIDEO]..."),
    ):
        command = decorate(command)
    return command
