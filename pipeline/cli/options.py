"""Options that several commands share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pipeline.config.models import FlightConfig

PATH = click.Path(path_type=Path)
LABELLED_WORKSPACE = click.option(
    "--workspace", type=PATH, default=Path("runs"), show_default=True, help="Folder of the flights and labels."
)

DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would run, and why; do nothing.")
PERSONS = click.option(
    "--person",
    "persons",
    type=int,
    multiple=True,
    default=(0,),
    show_default=True,
    help="Treat this class number as person; may be repeated.",
)

PERSON_NAMES = click.option(
    "--person",
    "persons",
    multiple=True,
    metavar="NAME",
    help="Treat this class, by name or number, as person; may be repeated.  [default: by the names]",
)
FIRST_FRAME = click.option(
    "--first-frame",
    type=click.IntRange(0),
    metavar="N",
    help="Take N as the number of the first frame in the file.  [default: as the format counts]",
)
TASK = click.option(
    "--task", metavar="NAME", help="Read this task or video of the file.  [default: the one called as the flight]"
)


def settings_option(example: str) -> Callable[..., Any]:
    """`--set` of a command; `example` is for its help."""
    return click.option(
        "--set", "settings", multiple=True, metavar="KEY=VALUE", help=f"Change settings: {example}."
    )


@dataclass(frozen=True)
class Given:
    """Which flights a command was given, with which settings."""

    videos: tuple[Path, ...]
    config_path: Path | None
    workspace: Path | None
    settings: tuple[str, ...]

    def load(self, *more: str) -> "FlightConfig":
        """The configuration, with `more` settings laid over it; see `load_config`."""
        from pipeline.config.models import load_config

        return load_config(self.config_path, (*self.settings, *more), videos=self.videos, workspace=self.workspace)

    def words(self) -> list[str]:
        """The words that give the same again."""
        words = [*map(str, self.videos)]
        words += ["--config", str(self.config_path)] * (self.config_path is not None)
        words += ["--workspace", str(self.workspace)] * (self.workspace is not None)
        return words + [word for setting in self.settings for word in ("--set", setting)]


def flight_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`VIDEO… --config --workspace --set`: the command gets them as one argument, `given`."""

    @wraps(command)
    def with_given(
        videos: tuple[Path, ...],
        config_path: Path | None,
        workspace: Path | None,
        settings: tuple[str, ...],
        **others: Any,
    ) -> Any:
        return command(given=Given(videos, config_path, workspace, settings), **others)

    decorated: Callable[..., Any] = with_given
    for decorate in (
        settings_option("detector.threshold=0.6"),
        click.option("--workspace", type=PATH, help="Write all results here.  [default: runs]"),
        click.option("--config", "config_path", type=PATH, help="Read this YAML configuration."),
        click.argument("videos", nargs=-1, type=PATH, metavar="[VIDEO]..."),
    ):
        decorated = decorate(decorated)
    return decorated
