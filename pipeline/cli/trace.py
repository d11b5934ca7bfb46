"""`uavpipe trace`: provenance of a result, and results of a frame."""

from pathlib import Path

import click

from pipeline.cli.options import JSON, PATH, flight_folder
from pipeline.cli.outputs import print_json


@click.command()
@click.argument("subject")
@click.option("--workspace", type=PATH, default=Path("runs"), show_default=True, help="Folder of the flights.")
@click.option("--frame", type=click.IntRange(0), help="Show the results of this frame (from 0) of flight SUBJECT.")
@click.option("--query", type=click.IntRange(0), help="Trace this query (from 0) of SUBJECT, a metrics.json.")
@click.option("--results", type=PATH, multiple=True, help="With --frame: search these folders for evaluations.")
@JSON
def trace(
    subject: str, workspace: Path, frame: int | None, query: int | None, results: tuple[Path, ...], as_json: bool
) -> None:
    """Show the provenance of SUBJECT: time stamp, video, hash of the weights, settings, commands.

    SUBJECT is a metrics.json, a crop (its file, or its name in the data set) or the number of an identity. With
    --frame it is a flight, and the trace goes forward: the detections of that frame, their labels and their crops.
    """
    from pipeline.lineage import as_text
    from pipeline.lineage import trace as find

    if frame is not None:
        subject = flight_folder(Path(subject), workspace).name
    found = find(subject, workspace, frame=frame, query=query, results=results)
    if as_json:
        print_json(found)
    else:
        click.echo(as_text(found))
