"""`uavpipe run`: the whole chain over one or many flights."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import flight_options
from pipeline.cli.report import write

if TYPE_CHECKING:
    from pipeline.config import FlightConfig
    from pipeline.dataset.stage import DatasetResult
    from pipeline.run import Until

_FROM_LABELS = ("dataset", "evaluate", "report")


@click.command()
@flight_options
@click.option(
    "--until",
    type=click.Choice(["frames", "detect", "crops", "tracks", "dataset", "evaluate", "report"]),
    default="report",
    show_default=True,
)
@click.option("--from", "since", type=click.Choice(["frames", "dataset"]), default="frames", show_default=True)
@click.option("--dry-run", is_flag=True, help="Say what would run, and why; do nothing.")
@click.pass_context
def run(
    context: click.Context,
    videos: tuple[Path, ...],
    config_path: Path | None,
    workspace: Path | None,
    settings: tuple[str, ...],
    until: "Until",
    since: str,
    dry_run: bool,
) -> None:
    """Bring all flights up to date, from the videos to the report; what holds is skipped.

    It stops where you must say who is who, and tells how to go on. `--from dataset` goes on with what is labelled,
    and leaves the flights as they are. A flight that fails does not stop the others; then the exit code is 1.

    With `reid.recipe` in the configuration a network learns from the data set; without, the one that comes with
    uavpipe is measured on it.
    """
    from pipeline.config import load_config

    config = load_config(config_path, settings, videos=videos, workspace=workspace)
    if dry_run:
        _say_plan(config, until)
        return
    failed = _flights(config, until) if since == "frames" else 0
    again = _command(videos, config_path, workspace, settings)
    if until in _FROM_LABELS and not failed and (since == "dataset" or _labelled(config.workspace, again)):
        _from_labels(context, config, until)
    if until == "report" and not (failed and failed == len(config.flights)):
        write(config)
    if failed:
        raise click.exceptions.Exit(1)


def _from_labels(context: click.Context, config: "FlightConfig", until: "Until") -> None:
    from pipeline.cli.dataset import report_dataset
    from pipeline.dataset.stage import bring_up_dataset

    result = bring_up_dataset(config.workspace, config.dataset)
    report_dataset(result)
    if until != "dataset":
        _evaluate(context, config, result)


def _evaluate(context: click.Context, config: "FlightConfig", dataset: "DatasetResult") -> None:
    """Learn from the data set, if there is a recipe, and measure; a folder for each recipe and data set."""
    from pipeline.cli.reid import train
    from pipeline.cli.reid_evaluate import evaluate
    from pipeline.measured import identified
    from pipeline.workspace import StageFolder, read_json
    from reid.weights import EMBEDDED

    protocol, data = dataset.figures["protocol"], str(dataset.folder)
    recipe = config.reid.recipe
    content = (StageFolder(dataset.folder).manifest() or {})["fingerprint"][:8]
    folder = config.workspace / "reid" / f"{recipe.stem if recipe else 'embedded'}-{content}"
    if recipe:
        context.invoke(train, config_path=recipe, data=data, output=folder, protocol=protocol)
    if "query" not in dataset.figures["splits"]:
        click.echo("evaluate   nobody is seen often enough for a query: nothing can be measured")
        return
    weights = folder / "best.safetensors" if recipe else EMBEDDED
    out = folder / "test"
    known = read_json(out / "metrics.json")
    if known and known["inputs"]["weights"]["sha256"] == identified(weights)["sha256"]:
        click.echo(f"evaluate   up to date: mAP {known['mAP']:.4f}, rank-1 {known['rank-1']:.4f}  → {out}")
    else:
        context.invoke(evaluate, weights=weights, data=data, protocol=protocol, out=out)


def _flights(config: "FlightConfig", until: "Until") -> int:
    """Brings them up to date; how many failed."""
    from pipeline.cli.stages import report_stage
    from pipeline.progress import progress_bar
    from pipeline.run import bring_up_flights

    failed = bring_up_flights(config, until, progress_bar, report_stage)
    for reason in failed.values():
        click.echo(f"failed: {reason}", err=True)
    if failed:
        click.echo(
            f"{len(failed)} of {len(config.flights)} flights failed; mend or leave them out, then run again",
            err=True,
        )
    return len(failed)


def _labelled(workspace: Path, again: str) -> bool:
    """Whether everybody has a label; says how to go on where not."""
    from pipeline.run import labelling

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
        click.echo(f"or with those that have one:\n  {again} --from dataset")
    return False


def _command(
    videos: tuple[Path, ...], config_path: Path | None, workspace: Path | None, settings: tuple[str, ...]
) -> str:
    words = ["uavpipe", "run", *map(str, videos)]
    words += ["--config", str(config_path)] * (config_path is not None)
    words += ["--workspace", str(workspace)] * (workspace is not None)
    for setting in settings:
        words += ["--set", setting]
    return shlex.join(words)


def _say_plan(config: "FlightConfig", until: "Until") -> None:
    from pipeline.run import plan

    for each in plan(config, until):
        what = f"would run: {each.reason}" if each.reason else "up to date"
        click.echo(f"{each.flight:20} {each.stage:10} {what}")
    if until in _FROM_LABELS:
        click.echo("then the data set, if everybody has a label")
