"""`uavpipe config`: the effective configuration, and its schema."""

import json

import click

from pipeline.cli.options import Given, flight_options


@click.command()
@flight_options
@click.option("--schema", is_flag=True, help="Print the JSON schema (for editors) instead.")
def config(given: Given, schema: bool) -> None:
    """Print the whole configuration, defaults included, as YAML."""
    import yaml

    from pipeline.config.models import FlightConfig

    if schema:
        click.echo(json.dumps(FlightConfig.model_json_schema(), indent=2))
        return
    click.echo(yaml.safe_dump(given.load().model_dump(mode="json"), sort_keys=False), nl=False)
