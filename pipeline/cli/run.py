"""`uavpipe run`: the whole chain over one or many flights."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import flight_options

if TYPE_CHECKING:
    from pipeline.config import FlightConfig
    from pipeline.run import Until


@click.command()
@flight_options
@click.option(
    "--until",
    type=click.Choice(["frames", "detect", "crops", "tracks", "dataset"]),
    default="dataset",
    show_default=True,
)
@click.option("--from", "since", type=click.Choice(["frames", "dataset"]), default="frames", show_default=True)
@click.option("--dry-run", is_flag=True, help="Say what would run, and why; do nothing.")
def run(
    videos: tuple[Path, ...],
    config_path: Path | None,
    workspace: Path | None,
    settings: tuple[str, ...],
    until: "Until",
    since: str,
    dry_run: bool,
) -> None:
    """Bring all flights up to date, from the videos to the data set; what holds is skipped.

    It stops where you must say who is who, and tells how to go on. `--from dataset` goes on with what is labelled,
    and leaves the flights as they are. A flight that fails does not stop the others; then the exit code is 1.
    """
    from pipeline.cli.dataset import report_dataset
    from pipeline.config import load_config
    from pipeline.dataset.stage import bring_up_dataset

    config = load_config(config_path, settings, videos=videos, workspace=workspace)
    if dry_run:
        _say_plan(config, until)
        return
    failed = 0 if since == "dataset" else _flights(config, until)
    if until == "dataset" and not failed:
        again = _command(videos, config_path, workspace, settings)
        if since == "dataset" or _labelled(config.workspace, again):
            report_dataset(bring_up_dataset(config.workspace, config.dataset))
    if failed:
        raise click.exceptions.Exit(1)


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
    if until == "dataset":
        click.echo("then the data set, if everybody has a label")
