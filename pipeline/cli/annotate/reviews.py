"""`uavpipe annotate agreement | disagreements`: how far labellers agree."""

from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import LABELLED_WORKSPACE, OUT, format_option
from pipeline.cli.outputs import print_or_write, writes

_FORMAT = format_option("table", "csv", "json")


@click.command()
@LABELLED_WORKSPACE
@_FORMAT
@OUT
@writes("out")
def agreement(workspace: Path, form: str, out: Path | None) -> None:
    """List for each labeller how many labels reviews and second looks agreed with."""
    from dataclasses import asdict

    from annotate.log.store import LABELS, LabelStore
    from annotate.review import agreement

    with LabelStore(workspace / LABELS, create=False, write=False) as store, store.reading() as state:
        rows = [asdict(each) for each in agreement(store, state)]
    print_or_write(_written(rows, form), out)


@click.command()
@LABELLED_WORKSPACE
@_FORMAT
@OUT
@writes("out")
def disagreements(workspace: Path, form: str, out: Path | None) -> None:
    """List the labels that a review questioned, or that a second look called otherwise."""
    from annotate.log.store import LABELS, LabelStore
    from annotate.review import disagreements

    with LabelStore(workspace / LABELS, create=False, write=False) as store, store.reading() as state:
        rows = [each.record() for each in disagreements(store, state)]
    print_or_write(_written(rows, form), out)
    if not rows:
        click.echo("nobody disagreed with a label", err=True)


def _written(rows: list[dict[str, Any]], form: str) -> str:
    from pipeline.sightings.formats import as_csv, as_json, as_table

    if form == "json":
        return as_json(rows)
    if form == "csv":
        return as_csv(rows)
    return as_table([{name: " ".join(str(value).split()) or "-" for name, value in row.items()} for row in rows])
