"""`uavpipe run`: the whole chain over one or many flights."""

import shlex
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import flight_options
from pipeline.cli.report import write

if TYPE_CHECKING:
    from pipeline.config.models import FlightConfig
    from pipeline.dataset.stage import DatasetResult
    from pipeline.run.flights import Step

_FLIGHTS = ("frames", "detect", "crops", "tracks")
_STEPS = (*_FLIGHTS, "dataset", "evaluate", "report")


@click.command()
@flight_options
@click.option("--from", "since", type=click.Choice(_STEPS), default="frames", help="Leave what is before as it is.")
@click.option("--until", type=click.Choice(_STEPS), default="report", show_default=True)
@click.option("--verify", is_flag=True, help="Read all crops and the data set; make again what was changed since.")
@click.option("--dry-run", is_flag=True, help="Say what would run, and why; do nothing.")
@click.pass_context
def run(
    context: click.Context,
    videos: tuple[Path, ...],
    config_path: Path | None,
    workspace: Path | None,
    settings: tuple[str, ...],
    since: "Step",
    until: "Step",
    verify: bool,
    dry_run: bool,
) -> None:
    """Bring all flights up to date, from the videos to the report; what holds is skipped.

    It stops where you must say who is who, and tells how to go on. `--from dataset` goes on with what is labelled;
    `--from crops` keeps the detections, though another detector may be at hand by now. A flight that fails does not
    stop the others; then the exit code is 1.

    With `reid.recipe` in the configuration a network learns from the data set; without, the one that comes with
    uavpipe is measured on it.
    """
    from pipeline.config.models import load_config

    if _STEPS.index(since) > _STEPS.index(until):
        raise click.UsageError(f"--from {since} comes after --until {until}")
    if verify:
        settings += ("crops.verify=true", "dataset.verify=true")
    config = load_config(config_path, settings, videos=videos, workspace=workspace)
    if dry_run:
        _say_plan(config, since, until)
        return
    failed = _flights(config, since, until) if since in _FLIGHTS else 0
    again = partial(_command, videos, config_path, workspace, settings, until)
    learns = until not in _FLIGHTS and since != "report" and not failed
    if learns and (since not in _FLIGHTS or _labelled(config.workspace, again(since), again("dataset"))):
        _from_labels(context, config, since, until)
    if until == "report" and not (failed and failed == len(config.flights)):
        write(config)
    if failed:
        raise click.exceptions.Exit(1)


def _from_labels(context: click.Context, config: "FlightConfig", since: str, until: str) -> None:
    from pipeline.cli.dataset import report_dataset
    from pipeline.dataset.stage import run_dataset
    from pipeline.run.from_labels import dataset_as_it_is

    as_it_is = since == "evaluate"
    result = dataset_as_it_is(config.workspace) if as_it_is else run_dataset(config.workspace, config.dataset)
    report_dataset(result)
    if until != "dataset":
        _evaluate(context, config, result)


def _evaluate(context: click.Context, config: "FlightConfig", dataset: "DatasetResult") -> None:
    """Learn from the data set, if there is a recipe, and measure."""
    from pipeline.cli.reid import train
    from pipeline.cli.reid.evaluate import evaluate
    from pipeline.run.from_labels import learning

    protocol, data, recipe = dataset.figures["protocol"], str(dataset.folder), config.reid.recipe
    place = learning(config, dataset.folder)
    if recipe:
        context.invoke(train, config_path=recipe, data=data, output=place.folder, protocol=protocol)
    if "query" not in dataset.figures["splits"]:
        click.echo("evaluate   nobody is seen often enough for a query: nothing can be measured")
        click.echo("           label people in two flights, or in two tracklets at least dataset.gap_s apart")
        return
    known = place.figures()
    if known:
        click.echo(
            f"evaluate   up to date: mAP {known['mAP']:.4f}, rank-1 {known['rank-1']:.4f}  → {place.measured}"
        )
    else:
        context.invoke(evaluate, weights=place.weights, data=data, protocol=protocol, out=place.measured)


def _flights(config: "FlightConfig", since: "Step", until: "Step") -> int:
    """Brings them up to date; how many failed."""
    from pipeline.cli.stages import report_stage
    from pipeline.engine.progress import progress_bar
    from pipeline.run.flights import run_flights

    failed = run_flights(config, until, progress_bar, report_stage, since)
    for reason in failed.values():
        click.echo(f"failed: {reason}", err=True)
    if failed:
        click.echo(
            f"{len(failed)} of {len(config.flights)} flights failed; mend or leave them out, then run again",
            err=True,
        )
    return len(failed)


def _labelled(workspace: Path, again: str, without_the_rest: str) -> bool:
    """Whether everybody has a label; says how to go on where not."""
    from pipeline.run.flights import labelling

    done = labelling(workspace)
    if done.tracklets and done.labelled == done.tracklets:
        click.echo(f"label      all {done.tracklets:,} tracklets have a label")
        return True
    far = (
        f"{done.labelled:,} of {done.tracklets:,} tracklets have a label"
        if done.tracklets
        else "nobody has a label yet"
    )
    click.echo(f"label      {far}. Say who is who, then go on:")
    click.echo(f"  uavpipe label --workspace {shlex.quote(str(workspace))}")
    click.echo(f"  {again}")
    if done.labelled:
        click.echo(f"or with those that have one:\n  {without_the_rest}")
    return False


def _command(
    videos: tuple[Path, ...],
    config_path: Path | None,
    workspace: Path | None,
    settings: tuple[str, ...],
    until: str,
    since: str,
) -> str:
    words = ["uavpipe", "run", *map(str, videos)]
    words += ["--config", str(config_path)] * (config_path is not None)
    words += ["--workspace", str(workspace)] * (workspace is not None)
    for setting in settings:
        words += ["--set", setting]
    words += ["--from", since] * (since != _STEPS[0])
    words += ["--until", until] * (until != _STEPS[-1])
    return shlex.join(words)


def _say_plan(config: "FlightConfig", since: "Step", until: "Step") -> None:
    from pipeline.run.flights import plan
    from pipeline.run.from_labels import plan_from_labels

    planned = [plan(config, until, since)] if since in _FLIGHTS else []
    planned += [plan_from_labels(config, until, since)] if until not in _FLIGHTS else []
    for each in chain.from_iterable(planned):
        would = "stop" if each.stage == "label" else "run"
        what = f"would {would}: {each.reason}" if each.reason else "up to date"
        click.echo(f"{each.flight or 'all flights':20} {each.stage:10} {what}")
