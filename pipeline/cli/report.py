"""`uavpipe report`: writes the report on a workspace."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import PATH

if TYPE_CHECKING:
    from pipeline.config.models import FlightConfig


@click.command()
@click.option("--config", "config_path", type=PATH, help="Read this YAML configuration.")
@click.option("--workspace", type=PATH, help="Report on this folder of flights.  [default: runs]")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a value: report.clip_s=20.")
def report(config_path: Path | None, workspace: Path | None, settings: tuple[str, ...]) -> None:
    """Write WORKSPACE/report/index.html: flights, damage, people, data set, trainings, figures, ranked lists.

    The folder needs no network and no server. The page names missing results, with the command that makes them.
    """
    from pipeline.config.models import load_config

    write(load_config(config_path, settings, workspace=workspace))


def write(config: "FlightConfig") -> None:
    """Write the report of `config` and print its path."""
    from pipeline.engine.progress import progress_bar
    from pipeline.report import write_report

    click.echo(f"report     {write_report(config.workspace, config.report, progress_bar)}")
