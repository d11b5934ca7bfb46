"""`uavpipe trace`: where something comes from, and what came of it."""

from pathlib import Path

import click

from pipeline.cli.options import PATH


@click.command()
@click.argument("subject")
@click.option("--workspace", type=PATH, default=Path("runs"), show_default=True)
@click.option("--frame", type=click.IntRange(0), help="SUBJECT is a flight: what came of this frame (from 0).")
@click.option("--query", type=click.IntRange(0), help="SUBJECT is a metrics.json: this query of it (from 0).")
@click.option("--results", type=PATH, multiple=True, help="With --frame: folders to look for evaluations in.")
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON.")
def trace(
    subject: str, workspace: Path, frame: int | None, query: int | None, results: tuple[Path, ...], as_json: bool
) -> None:
    """Say where SUBJECT comes from: time stamp, video, hash of the weights, settings, commands.

    SUBJECT is a metrics.json, a crop (its file, or its name in the data set) or the number of an identity. With
    --frame it is a flight, and the way goes forward: who was found there, and what became of them.
    """
    import json

    from pipeline.lineage import as_text
    from pipeline.lineage import trace as find

    found = find(subject, workspace, frame=frame, query=query, results=results)
    click.echo(json.dumps(found, indent=2, default=str) if as_json else as_text(found))
