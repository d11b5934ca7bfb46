"""`uavpipe status`: what of a workspace is finished, and what to do next."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import JSON, LABELLED_WORKSPACE
from pipeline.cli.outputs import print_json
from pipeline.words import counted

if TYPE_CHECKING:
    from pipeline.run.status import FlightState, StageState, WorkspaceState


@click.command()
@LABELLED_WORKSPACE
@JSON
def status(workspace: Path, as_json: bool) -> None:
    """Show what of a workspace is finished, at work, stale or failed, and what to do next. Changes nothing.

    A stage is stale if its video, its inputs or its files are no longer those that it was finished with. What
    another configuration would change, `uavpipe run --dry-run` shows; damage within files, `uavpipe verify`.
    """
    from pipeline.run.status import state_of

    state = state_of(workspace)
    if as_json:
        print_json(state)
    else:
        _show(state)


def _show(state: "WorkspaceState") -> None:
    width = max(len(flight.flight) for flight in state.flights) + 2
    names = [stage.stage for stage in state.flights[0].stages]
    click.echo(" " * width + "".join(f"{name:12}" for name in names).rstrip())
    for flight in state.flights:
        click.echo(f"{flight.flight:{width}}" + "".join(f"{each.state:12}" for each in flight.stages).rstrip())
        for line in _remarks(flight):
            click.echo(f"  {line}")
    click.echo(f"\n{'label':12}{_labels(state)}")
    if state.labels.tracklets:
        click.echo(f"{'people':12}{_people(state)}")
    for stage in state.stages:
        click.echo(f"{stage.stage:12}{_described(stage)}")
    if state.running:
        click.echo(f"at work: {state.running}")
    click.echo("\nnext")
    for line in state.next:
        click.echo(f"    {line}" if line.startswith("uavpipe ") else f"  {line}")


def _remarks(flight: "FlightState") -> list[str]:
    """What the row of a flight has no place for."""
    remarks = {"at work": flight.running, "failed": flight.failed}
    lines = [f"{what}: {text}" for what, text in remarks.items() if text]
    explained = (each for each in flight.stages if each.detail and each.state in ("stale", "unfinished"))
    return [*lines, *(f"{each.stage} {_described(each)}" for each in explained)]


def _described(stage: "StageState") -> str:
    return f"{stage.state}: {stage.detail}" if stage.detail else stage.state


def _people(state: "WorkspaceState") -> str:
    if state.people is None:
        return f"not counted since the last change: uavpipe people --workspace {shlex.quote(str(state.workspace))}"
    return state.people.text


def _labels(state: "WorkspaceState") -> str:
    labels = state.labels
    found = f"{labels.labelled:,} of {counted(labels.tracklets, 'tracklet has', 'tracklets have')} a label"
    return f"{found}; {labels.problem}" if labels.problem else found
