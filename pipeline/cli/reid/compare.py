"""`uavpipe reid compare`: evaluations side by side, with intervals of their differences."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import PATH, format_option

if TYPE_CHECKING:
    from reid.evaluation.comparison import Compared, Measured
    from reid.evaluation.intervals import Interval

_COLUMNS = (
    "figure",
    "evaluation",
    "value",
    "from",
    "to",
    "difference",
    "difference_from",
    "difference_to",
    "clear",
)
# How a network is used, in words, and what earlier versions did that did not write it.
_USE = {
    "metric": ("ranked by different metrics", "euclidean"),
    "flip": ("means with the mirror image for one only", False),
    "input": ("foreign models with different inputs", ""),
}


@click.command()
@click.argument("evaluations", metavar="A B…", type=PATH, nargs=-1, required=True)
@format_option("table", "csv", "json")
def compare(evaluations: tuple[Path, ...], form: str) -> None:
    """Compare evaluations A, B…: folders of 'uavpipe reid evaluate', or their metrics.json.

    Prints the figures side by side, their 95 % intervals, and the differences to A with paired intervals: each draw
    takes the same persons for both. Refuses evaluations of different data, by different protocols, in different
    forms of average precision, or re-ranked against not. The metric, the use of the mirror image and a foreign
    model's input may differ; a note names them.
    """
    if len(evaluations) < 2:
        raise click.UsageError("expected two or more evaluations")

    from reid.evaluation.comparison import compare as compared

    read = [_read(place, evaluations) for place in evaluations]
    rows = [*compared(read)]
    if form == "json":
        click.echo(json.dumps([_content(row) for row in rows], indent=2))
    else:
        click.echo("\n".join(_csv(rows) if form == "csv" else _table(rows)))
    for note in _notes(read):
        click.echo(f"note: {note}", err=True)


def _notes(read: "Sequence[Measured]") -> Iterator[str]:
    """What differs of how the networks were used, which may explain differences of the figures."""
    for setting, (words, former) in _USE.items():
        values = {each.name: each.settings.get(setting) or former for each in read}
        if len({str(value) for value in values.values() if value != ""}) > 1:
            named = ", ".join(f"{name} {value}" for name, value in values.items())
            yield f"{words}: {named}"


def _read(place: Path, others: Sequence[Path]) -> "Measured":
    from pipeline.errors import PipelineError
    from pipeline.stages.evaluation import FIGURES, measured, read_evaluation

    folder = place.parent if place.name == FIGURES else place
    stored = read_evaluation(folder)
    if stored is None:
        raise PipelineError(
            f"{place}: no evaluation; expected {FIGURES} and its tables, of 'uavpipe reid evaluate'"
        )
    names = [(each.parent if each.name == FIGURES else each).resolve().name for each in others]
    name = folder.resolve().name
    return measured(stored, str(folder) if names.count(name) > 1 else name)


def _content(row: "Compared") -> dict[str, Any]:
    values = (row.figure, row.evaluation, row.value, *_ends(row.interval), row.difference, *_ends(row.paired))
    return dict(zip(_COLUMNS, (*values, None if row.paired is None else row.is_clear), strict=True))


def _ends(interval: "Interval | None") -> tuple[float | None, float | None]:
    return interval or (None, None)


def _csv(rows: "Iterable[Compared]") -> Iterator[str]:
    import csv
    from io import StringIO

    text = StringIO()
    table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(map(_content, rows))
    yield text.getvalue().rstrip("\n")


def _table(rows: "Sequence[Compared]") -> Iterator[str]:
    wide = max(len(row.evaluation) for row in rows)
    figure = ""
    yield f"{'':14}{'':{wide}}  {'figure':>7}  {'95 %':17}  {'difference':10}  95 %, paired"
    for row in rows:
        shown = "" if row.figure == figure else row.figure
        figure = row.figure
        line = f"{shown:14}{row.evaluation:{wide}}  {row.value:7.4f}  {_interval(row.interval, '.4f'):17}"
        if row.difference is not None:
            clear = "" if row.is_clear or row.paired is None else "  not clear"
            line += f"  {row.difference:+10.4f}  {_interval(row.paired, '+.4f')}{clear}"
        yield line.rstrip()


def _interval(interval: "Interval | None", form: str) -> str:
    return "–" if interval is None else f"{interval[0]:{form}} to {interval[1]:{form}}"
