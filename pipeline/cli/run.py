"""`uavpipe run`: the whole chain over one or many flights."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.chain.table import DATASET, FRAMES, LABEL, REPORT, STEPS, TRACKS, ChainStage, is_before, stage_named
from pipeline.cli.options import DRY_RUN, Given, flight_options

if TYPE_CHECKING:
    from pipeline.config.models import FlightConfig

_NAMES = click.Choice([stage.name for stage in STEPS])


@click.command()
@flight_options
@click.option(
    "--from",
    "first",
    type=_NAMES,
    default=FRAMES.name,
    show_default=True,
    help="Start at this stage and reuse earlier results.",
)
@click.option("--until", "last", type=_NAMES, default=REPORT.name, show_default=True, help="Stop after this stage.")
@click.option("--verify", is_flag=True, help="Read all crops and the data set, and repair files that were changed.")
@DRY_RUN
def run(given: Given, first: str, last: str, verify: bool, dry_run: bool) -> None:
    """Run the pipeline on all flights. Stages whose inputs and settings are unchanged are skipped.

    The run stops when labels are needed, and prints how to resume. `--from dataset` uses the labels that are there.
    `--from crops` keeps the detections even if newer detector weights are available. A flight that fails does not
    stop the others; the exit code is then 1.

    If reid.recipe is set, train a re-ID model on the data set; otherwise evaluate the bundled model.
    """
    begin, end = stage_named(first), stage_named(last)
    if is_before(end, begin):
        raise click.UsageError(f"--from {first} comes after --until {last}")
    if verify:
        given = replace(given, settings=(*given.settings, "crops.verify=true", "dataset.verify=true"))
    config = given.load()
    if dry_run:
        _show_plan(config, begin, end)
        return
    failed = _run_flights(config, begin, end) if is_before(begin, LABEL) else 0
    again = partial(_command, given, end)
    if is_before(LABEL, end):
        labelled = not failed and (is_before(LABEL, begin) or _is_labelled(config.workspace, again, begin))
        if labelled:
            _run_from_labels(config, begin if is_before(LABEL, begin) else DATASET, end)
        elif end is REPORT and not 0 < failed == len(config.flights):
            _run_from_labels(config, REPORT, end)
    if failed:
        raise click.exceptions.Exit(1)


def _run_flights(config: "FlightConfig", begin: ChainStage, end: ChainStage) -> int:
    """Bring the flights up to date; how many failed."""
    from pipeline.cli.stages import report_stage
    from pipeline.engine.progress import progress_bar
    from pipeline.run.flights import run_flights

    last = min(end, TRACKS, key=STEPS.index)
    failed = run_flights(config, progress_bar, report_stage, last, begin)
    for reason in failed.values():
        click.echo(f"failed: {reason}", err=True)
    if failed:
        click.echo(
            f"{len(failed)} of {len(config.flights)} flights failed; repair or remove them, then run again",
            err=True,
        )
    return len(failed)


def _run_from_labels(config: "FlightConfig", begin: ChainStage, end: ChainStage) -> None:
    from pipeline.cli.stages import report_stage
    from pipeline.engine.progress import progress_bar, training_bar
    from pipeline.run.from_labels import run_from_labels

    run_from_labels(config, progress_bar, training_bar, report_stage, end, begin)


def _is_labelled(workspace: Path, again: Callable[[ChainStage], str], begin: ChainStage) -> bool:
    """Whether all tracklets have a label; prints how to resume where not."""
    from pipeline.labelling.progress import labelling_progress

    done = labelling_progress(workspace)
    if done.is_complete:
        click.echo(f"{LABEL.name:10} all {done.tracklets:,} tracklets have a label")
        return True
    click.echo(f"{LABEL.name:10} {done}. Label them, then resume:")
    click.echo(f"  uavpipe label --workspace {shlex.quote(str(workspace))}")
    click.echo(f"  {again(begin)}")
    if done.labelled:
        click.echo(f"or use only the labelled ones:\n  {again(DATASET)}")
    return False


def _command(given: Given, end: ChainStage, begin: ChainStage) -> str:
    words = ["uavpipe", "run", *given.words()]
    words += ["--from", begin.name] * (begin is not STEPS[0])
    words += ["--until", end.name] * (end is not STEPS[-1])
    return shlex.join(words)


def _show_plan(config: "FlightConfig", begin: ChainStage, end: ChainStage) -> None:
    from pipeline.cli.stages import show_plan
    from pipeline.run.plan import plan_flights, plan_from_labels

    planned = [plan_flights(config, min(end, TRACKS, key=STEPS.index), begin)] if is_before(begin, LABEL) else []
    planned += [plan_from_labels(config, end, begin)] if is_before(LABEL, end) else []
    show_plan(chain.from_iterable(planned))
