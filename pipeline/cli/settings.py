"""`uavpipe config`: the effective configuration, and its schema."""

import json
from pathlib import Path

import click

from pipeline.cli.options import flight_options


@click.command()
@flight_options
@click.option("--schema", is_flag=True, help="Print the JSON schema (for editors) instead.")
def config(
    videos: tuple[Path, ...],
    config_path: Path | None,
    workspace: Path | None,
    settings: tuple[str, ...],
    schema: bool,
) -> None:
    """Print the whole configuration, defaults included, as YAML."""
    import yaml

    from pipeline.config.models import FlightConfig, load_config

    if schema:
        click.echo(json.dumps(FlightConfig.model_json_schema(), indent=2))
        return
    loaded = load_config(config_path, settings, videos=videos, workspace=workspace)
    click.echo(yaml.safe_dump(loaded.model_dump(mode="json"), sort_keys=False), nl=False)
