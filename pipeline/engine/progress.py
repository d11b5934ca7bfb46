"""Progress bars for people at a terminal; silence for logs and pipes."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from pipeline.errors import during


class Progress(Protocol):
    """Opens a bar of `total` frames, None: not known; the `with` gives the function to advance it by n."""

    def __call__(self, title: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """Open the bar."""


class TrainingProgress(Protocol):
    """Opens a bar of `total` iterations; the `with` gives the function that sets it to n and shows a text."""

    def __call__(self, title: str, total: int) -> AbstractContextManager[Callable[[int, str], None]]:
        """Open the bar."""


log = logging.getLogger("uavpipe")
_shown: list[tuple[Bar, TaskID, str]] = []  # the bars that are open, and their titles


def announce(what: str, *, always: bool = False) -> None:
    """Say what begins now and takes long: in the bar that is open, or on a line of its own.

    Args:
        what: begins, as "loading the model …".
        always: also where it goes to a file, which `-v` otherwise has to ask for.

    """
    console = Console(stderr=True)
    if _is_quiet() and not always:
        return
    if _shown and console.is_terminal:
        bar, task, title = _shown[-1]
        bar.update(task, description=f"{title}: {what}")
    elif console.is_terminal or always:
        console.print(f"uavpipe: {what}", highlight=False, markup=False, soft_wrap=True)
    else:
        log.info("%s", what)


def _is_quiet() -> bool:
    return log.level >= logging.ERROR


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} frames/s" if task.speed else "– frames/s")


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar of `total` frames with rate and time left; the `with` gives the function that advances it by n."""
    with during(title), _bar(_Rate()) as bar:
        task = bar.add_task(title, total=total)

        def advance(count: int) -> None:
            if count and bar.tasks[0].description != title:  # what was announced is over
                bar.update(task, description=title)
            bar.advance(task, count)

        _shown.append((bar, task, title))
        try:
            yield advance
        finally:
            _shown.pop()


@contextmanager
def training_bar(title: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A bar of `total` iterations; the `with` gives the function that sets it to n and shows a text."""
    with during(title), _bar(TextColumn("{task.fields[text]}")) as bar:
        task = bar.add_task(title, total=total, text="iterations")
        yield lambda done, text: bar.update(task, completed=done, text=text)


@contextmanager
def download_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar of `total` bytes; the `with` gives the function that advances it by n."""
    with during(title), _bar(TransferSpeedColumn(), DownloadColumn()) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)


def _bar(column: ProgressColumn, done: ProgressColumn | None = None) -> Bar:
    """A bar with `column`, on a terminal; elsewhere one that shows nothing."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        done or MofNCompleteColumn(),
        column,
        TimeRemainingColumn(),
    )
    return Bar(*columns, console=console, disable=not console.is_terminal or _is_quiet())
