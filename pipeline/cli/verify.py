"""`uavpipe verify`: check a whole workspace, without changing it."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import LABELLED_WORKSPACE

if TYPE_CHECKING:
    from pipeline.run.verify import Verified

_SHOWN = 3  # files with the same trouble


@click.command()
@LABELLED_WORKSPACE
def verify(workspace: Path) -> None:
    """Check that a workspace is whole: every file that its stages promise is there, as it was written.

    Reads manifests, tables, images, labels, the data set and evaluations, and compares them with each other. Names
    what is damaged, and the command that makes it again; the exit code is then 1. Changes nothing.
    """
    from pipeline.engine.progress import progress_bar
    from pipeline.run.verify import verify

    damaged = False
    for result in verify(workspace, progress_bar):
        _report(result)
        damaged |= bool(result.findings)
    if damaged:
        raise click.exceptions.Exit(1)


def _report(result: "Verified") -> None:
    damage = f"{len(result.findings):,} damaged files" if result.findings else "undamaged"
    click.echo(f"{result.name:20} {damage}; whole: {', '.join(result.whole) or 'no stage'}")
    alike = Counter((each.what, each.mend) for each in result.findings)
    shown: Counter[tuple[str, str]] = Counter()
    for each in result.findings:
        kind = each.what, each.mend
        shown[kind] += 1
        if shown[kind] <= _SHOWN:
            click.echo(f"  {each.path}: {each.what}")
        if shown[kind] == alike[kind]:
            if alike[kind] > _SHOWN:
                click.echo(f"  and {alike[kind] - _SHOWN:,} more")
            click.echo(f"    mend: {each.mend}")
    for remark in result.remarks:
        click.echo(f"  note: {remark}")
