"""The options `-q` and `-v`, which every command has: before its name, after it, or after a command of a group."""

import logging
import sys
from typing import Any, TextIO

import click

_LEVELS = {"quiet": logging.ERROR, "verbose": logging.INFO}

log = logging.getLogger("uavpipe")


def _set_level(context: click.Context, option: click.Parameter, given: bool) -> None:
    if given and not context.resilient_parsing:
        log.setLevel(_LEVELS[str(option.name)])


def _options() -> list[click.Option]:
    shared: dict[str, Any] = {"is_flag": True, "expose_value": False, "callback": _set_level, "is_eager": True}
    return [
        click.Option(["-q", "--quiet"], help="Print neither progress nor warnings.", **shared),
        click.Option(["-v", "--verbose"], help="Print each step as it begins.", **shared),
    ]


def with_verbosity(command: click.Command) -> click.Command:
    """`command`, and those of the group that it may be, with `-q` and `-v`."""
    if not any("--quiet" in parameter.opts for parameter in command.params):
        command.params.extend(_options())
        for inner in command.commands.values() if isinstance(command, click.Group) else ():
            with_verbosity(inner)
    return command


def announce_start() -> None:
    """Say at once that a command begins: the libraries that it needs take seconds to load."""
    from pipeline.engine.progress import announce

    announce("loading the libraries …")


def reset_verbosity() -> None:
    """Forget the options of an earlier command of this process."""
    log.setLevel(logging.NOTSET)


class _OnStderr(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stderr` is at the time: an open progress bar takes it over, and stays below the lines."""

    def emit(self, record: logging.LogRecord) -> None:
        self.setStream(sys.stderr)
        super().emit(record)


def begin_logging() -> None:
    """Print warnings, and what `-v` adds, each on one line."""
    logging.basicConfig(level=logging.WARNING, format="uavpipe: %(message)s", handlers=[_OnStderr()])
