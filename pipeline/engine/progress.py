"""Progress bars for people at a terminal; silence for logs and pipes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from pipeline.errors import during


class Progress(Protocol):
    """Opens a bar of `total` frames; the `with` gives the function to advance it by n."""

    def __call__(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Open the bar."""


class TrainingProgress(Protocol):
    """Opens a bar of `total` iterations; the `with` gives the function that sets it to n and shows a text."""

    def __call__(self, title: str, total: int) -> AbstractContextManager[Callable[[int, str], None]]:
        """Open the bar."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} frames/s" if task.speed else "– frames/s")


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar of `total` frames with rate and time left; the `with` gives the function that advances it by n."""
    with during(title), _bar(_Rate()) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def training_bar(title: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A bar of `total` iterations; the `with` gives the function that sets it to n and shows a text."""
    with during(title), _bar(TextColumn("{task.fields[text]}")) as bar:
        task = bar.add_task(title, total=total, text="")
        yield lambda done, text: bar.update(task, completed=done, text=text)


def _bar(column: ProgressColumn) -> Bar:
    """A bar with `column`, on a terminal; elsewhere one that shows nothing."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), column, TimeRemainingColumn()
    return Bar(*columns, console=console, disable=not console.is_terminal)
