"""`uavpipe config`: the effective configuration, and its schema."""

import click

from pipeline.cli.options import JSON, Given, flight_options
from pipeline.cli.outputs import print_json


@click.command()
@flight_options
@click.option("--schema", is_flag=True, help="Print the JSON schema (for editors) instead.")
@JSON
def config(given: Given, schema: bool, as_json: bool) -> None:
    """Print the whole configuration, defaults included, as YAML."""
    import yaml

    from pipeline.config.models import FlightConfig

    if schema:
        print_json(FlightConfig.model_json_schema())
        return
    content = given.load().model_dump(mode="json")
    if as_json:
        print_json(content)
    else:
        click.echo(yaml.safe_dump(content, sort_keys=False), nl=False)
