"""Options that several commands share."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pipeline.config.models import FlightConfig
    from pipeline.run.shards import Shard

PATH = click.Path(path_type=Path)


class _Weights(click.Path):
    """Weights of a re-ID network: the command gets the file that a path, or the name `embedded`, means."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        from reid.weights import weights_file

        return weights_file(os.fsdecode(super().convert(value, param, ctx)))


WEIGHTS = _Weights()


def embedder_option(default: str) -> Callable[..., Any]:
    """`--weights` of a command that embeds a workspace; `default` is for its help."""
    return click.option(
        "--weights",
        type=WEIGHTS,
        help="Embed with this network: embedded, a checkpoint of 'uavpipe reid train', an ONNX model, or "
        f"OpenVINO's .xml.  [default: {default}]",
    )


LABELLED_WORKSPACE = click.option(
    "--workspace",
    type=PATH,
    default=Path("runs"),
    show_default=True,
    is_eager=True,  # a flight may be named by its name there
    help="Folder of the flights and labels.",
)

ZONE = click.option(
    "--zone",
    metavar="NAME",
    help="Give times in this zone, as Europe/Berlin; local times are taken as of it.  [default: as recorded]",
)
OUT = click.option("--out", type=PATH, metavar="FILE", help="Write to this file.  [default: print]")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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


def format_option(*names: str) -> Callable[..., Any]:
    """`--format` of a command, as `form`; the first of `names` is the default. One of JSON has `--json`, too."""
    form = click.option(
        "--format",
        "form",
        type=click.Choice(names),
        default=names[0],
        show_default=True,
        help="Write in this format.",
    )
    return (lambda command: form(_json_as_format(command))) if "json" in names else form


def _json_as_format(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def with_format(*, form: str, as_json: bool, **others: Any) -> Any:
        return command(form="json" if as_json else form, **others)

    return click.option("--json", "as_json", is_flag=True, help="Write JSON, as --format json does.")(with_format)


def output_option(text: str, *, required: bool = True) -> Callable[..., Any]:
    """`--out`, once called `--output`, of a command that writes a folder or a video; `text` is for its help."""
    return click.option("--out", "--output", "output", type=PATH, required=required, help=text)


def settings_option(example: str) -> Callable[..., Any]:
    """`--set` of a command; `example` is for its help."""
    return click.option(
        "--set", "settings", multiple=True, metavar="KEY=VALUE", help=f"Change settings: {example}."
    )


def flight_folder(flight: Path, workspace: Path) -> Path:
    """The folder of a flight that is named by it, by the flight's name in `workspace`, or by its video.

    Where there is none of these, `flight` itself: the command says what is missing there.
    """
    from pipeline.run.contents import is_flight
    from pipeline.workspace.folders import flight_name

    places = (flight, workspace / flight, workspace / flight_name(flight))
    return next(filter(is_flight, places), flight)


def flight_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """`FLIGHT --workspace`: the command gets the flight's folder as `flight`; it is refused where there is none."""

    @wraps(command)
    def with_folder(flight: Path, workspace: Path, **others: Any) -> Any:
        from pipeline.errors import PipelineError
        from pipeline.run.contents import is_flight

        folder = flight_folder(flight, workspace)
        if not is_flight(folder):
            raise PipelineError(
                f"{flight}: no such flight in {workspace}; give its name, folder or video, and the --workspace"
            )
        return command(flight=folder, **others)

    decorated: Callable[..., Any] = with_folder
    for decorate in (LABELLED_WORKSPACE, click.argument("flight", type=PATH)):
        decorated = decorate(decorated)
    return decorated


def _flight_names(context: click.Context, _: click.Parameter, given: Any) -> Any:
    """The names of flights that are named as for `flight_folder`."""
    workspace = context.params["workspace"]
    if isinstance(given, tuple):
        return tuple(flight_folder(Path(each), workspace).name for each in given)
    return given and flight_folder(Path(given), workspace).name


def flight_option(text: str, *, multiple: bool = False) -> Callable[..., Any]:
    """`--flight`: the command, which has a `--workspace`, gets the flight's name; `text` is for its help."""
    names = ("--flight", "flights") if multiple else ("--flight",)
    return click.option(*names, multiple=multiple, metavar="FLIGHT", callback=_flight_names, help=text)


@dataclass(frozen=True)
class Given:
    """Which flights a command was given, with which settings."""

    videos: tuple[Path, ...]
    config_path: Path | None
    workspace: Path | None
    settings: tuple[str, ...]
    start: str | None = None

    def load(self, *more: str) -> "FlightConfig":
        """The configuration, with `more` settings laid over it; see `load_config`."""
        from pipeline.config.models import load_config

        videos: list[Path | Mapping[str, Any]] = [
            _video_of(video, self.workspace or Path("runs")) for video in self.videos
        ]
        if self.start is not None:
            if len(videos) != 1:
                raise click.UsageError(
                    "--start is of one VIDEO; of several: videos: [{path: …, start: …}] in a file"
                )
            videos = [{"path": videos[0], "start": self.start}]
        return load_config(self.config_path, (*self.settings, *more), videos=videos, workspace=self.workspace)

    def words(self) -> list[str]:
        """The words that give the same again."""
        words = [*map(str, self.videos)]
        words += ["--config", str(self.config_path)] * (self.config_path is not None)
        words += ["--workspace", str(self.workspace)] * (self.workspace is not None)
        words += ["--start", str(self.start)] * (self.start is not None)
        return words + [word for setting in self.settings for word in ("--set", setting)]


def _video_of(video: Path, workspace: Path) -> Path:
    """`video`, or where there is no such file the video of the flight of that name, or in that folder."""
    from pipeline.workspace.folders import CARD, flight_name, parts_of, read_card

    if video.exists() and not (video / CARD).exists():
        return video
    folder = flight_folder(video, workspace)
    card = read_card(folder)
    parts = parts_of(card) if card else ()
    return parts[0] if len(parts) == 1 and flight_name(parts[0]) == folder.name else video


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


def _read_shard(_: click.Context, option: click.Parameter, text: str | None) -> "Shard | None":
    from pipeline.run.shards import Shard

    try:
        return None if text is None else Shard.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param=option) from None


def shard_option(what: str) -> Callable[[Any], Any]:
    """`--shard I/N`, with `what` it does as its help."""
    return click.option("--shard", callback=_read_shard, metavar="I/N", help=what)
