"""`uavpipe report`: what was found and how, as a page."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import PATH

if TYPE_CHECKING:
    from pipeline.config.models import FlightConfig


@click.command()
@click.option("--config", "config_path", type=PATH, help="YAML configuration; its section 'report' and workspace.")
@click.option("--workspace", type=PATH, help="Folder of the flights.  [default: runs]")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As in report.clip_s=20.")
def report(config_path: Path | None, workspace: Path | None, settings: tuple[str, ...]) -> None:
    """Write WORKSPACE/report/index.html: flights, damage, people, data set, trainings, figures, ranked lists.

    One folder that needs no network and no server. What is not there yet is named, with the command that makes it.
    """
    from pipeline.config.models import load_config

    write(load_config(config_path, settings, workspace=workspace))


def write(config: "FlightConfig") -> None:
    """Write it and say where."""
    from pipeline.engine.progress import progress_bar
    from pipeline.report import write_report

    click.echo(f"report     {write_report(config.workspace, config.report, progress_bar)}")
