"""`uavpipe detections`: detections of other tools in the place of a detector's."""

from pathlib import Path

import click

from pipeline.cli.options import FIRST_FRAME, PERSON_NAMES, TASK, Given, flight_options

_NAME = "{flight}"


@click.group()
def detections() -> None:
    """Use the detections of other tools."""


@detections.command("import")
@click.argument("file", metavar="FILE")
@flight_options
@PERSON_NAMES
@FIRST_FRAME
@TASK
@click.option("--replace", is_flag=True, help="Replace what a detector has found.")
def import_(
    given: Given, file: str, persons: tuple[str, ...], first_frame: int | None, task: str | None, replace: bool
) -> None:
    """Use the persons in FILE as the detections of VIDEO; the later stages continue from them.

    FILE is COCO's results or annotations, MOTChallenge's or VisDrone's text, a table with a header (CSV), CVAT's
    XML, or YOLO's folder of texts. For several flights it has {flight} in the place of a flight's name:

        uavpipe detections import 'boxes/{flight}.csv' --config flights.yaml

    A flight that fails does not stop the others; the exit code is then 1.
    """
    from annotate.errors import AnnotateError
    from annotate.exchange.admit import Reading
    from detector.errors import DetectorError
    from pipeline.cli.stages import report_stage
    from pipeline.config.flights import require_flights
    from pipeline.engine.progress import progress_bar
    from pipeline.errors import PipelineError
    from pipeline.run.import_detections import import_detections

    config = given.load()
    flights = require_flights(config)
    if len(flights) > 1 and _NAME not in file:
        raise click.UsageError(f"FILE {file}: {len(flights)} flights; write {_NAME} where their names differ")
    reading = Reading(persons, first_frame, task)
    failed = 0
    for video in flights:
        path = Path(file.replace(_NAME, config.name_of(video)))
        try:
            result, account = import_detections(config, video, path, reading, progress_bar, replace_own=replace)
        except (PipelineError, AnnotateError, DetectorError) as error:
            if len(flights) == 1:
                raise
            click.echo(f"failed: {error}", err=True)
            failed += 1
            continue
        click.echo(f"{path}: {account}")
        report_stage(result)
    if failed:
        click.echo(f"{failed} of {len(flights)} flights failed", err=True)
        raise click.exceptions.Exit(1)
