"""`uavpipe annotate log | replay | export | import`: the labels as a file among other files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import PATH

if TYPE_CHECKING:
    from annotate.operations import Operation

_WORKSPACE = click.option(
    "--workspace", type=PATH, default=Path("runs"), show_default=True, help="Folder of the flights and labels."
)


@click.group()
def annotate() -> None:
    """Labels: look at them, keep them, exchange them with other tools."""


@annotate.command("log")
@_WORKSPACE
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the last N.")
def show_log(workspace: Path, last: int | None) -> None:
    """List who decided what, and when."""
    from annotate.store import LABELS, LabelStore

    with LabelStore(workspace / LABELS, create=False) as store:
        for entry in store.entries[-last:] if last else store.entries:
            what = f"{entry.operation.op.replace('_', ' ')} {_summary(entry.operation)}"
            click.echo(f"{entry.sequence:6}  {entry.time[:19]}  {entry.user}  {what}")


@annotate.command()
@click.argument("log", type=PATH)
@click.option("--out", type=PATH, required=True, help="The labels to make, as labels.sqlite.")
def replay(log: Path, out: Path) -> None:
    """Make the labels that follow from LOG, an exported log."""
    from annotate.textlog import replay

    click.echo(f"{out}: {replay(log, out):,} operations")


def _summary(operation: "Operation") -> str:
    if operation.op == "add_flight":
        return f"{operation.flight}: {len(operation.tracklets):,} tracklets"
    fields = operation.model_dump(mode="json", exclude={"op"})
    return ", ".join(f"{name} {_short(value)}" for name, value in fields.items() if value not in ("", []))


def _short(value: object) -> str:
    if not isinstance(value, list):
        return str(value)
    return " ".join(value[:3]) + (f" and {len(value) - 3} more" if len(value) > 3 else "")
