"""`uavpipe verify`: check a whole workspace, without changing it."""

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import JSON, LABELLED_WORKSPACE
from pipeline.cli.outputs import print_json

if TYPE_CHECKING:
    from pipeline.run.verify import Verified

_SHOWN = 3  # images with the same trouble


@click.command()
@LABELLED_WORKSPACE
@JSON
def verify(workspace: Path, as_json: bool) -> None:
    """Check that a workspace is whole: every file that its stages promise is there, as it was written.

    Reads manifests, tables, images, labels, the data set and evaluations, and compares them with each other. Names
    what is damaged, and the command that makes it again; the exit code is then 1. Changes nothing.
    """
    from pipeline.engine.progress import progress_bar
    from pipeline.run.verify import verify

    results = []
    for result in verify(workspace, progress_bar):
        results.append(result)
        if not as_json:
            _report(result)
    if as_json:
        print_json(results)
    if any(result.findings for result in results):
        raise click.exceptions.Exit(1)


def _report(result: "Verified") -> None:
    damage = f"{len(result.findings):,} damaged" if result.findings else "undamaged"
    click.echo(f"{result.name:20} {damage}; whole: {', '.join(result.whole) or 'nothing yet'}")
    for mend, alike in groupby(result.findings, key=lambda each: each.mend):
        found = list(alike)
        images = [each for each in found if each.path.suffix == ".jpg"]
        for each in [*(each for each in found if each.path.suffix != ".jpg"), *images[:_SHOWN]]:
            click.echo(f"  {each.path}: {each.what}")
        if len(images) > _SHOWN:
            click.echo(f"  and {len(images) - _SHOWN:,} more images")
        click.echo(f"    mend: {mend}")
    for remark in result.remarks:
        click.echo(f"  note: {remark}")
