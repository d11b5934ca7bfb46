"""`uavpipe coverage`: which ground was looked at, and how probably a person there would have been detected."""

from pathlib import Path

import click

from pipeline.cli.options import LABELLED_WORKSPACE, OUT, PATH, flight_option, format_option
from pipeline.cli.outputs import print_or_write, writes


@click.command()
@LABELLED_WORKSPACE
@flight_option("Show this flight only; may be repeated.", multiple=True)
@click.option(
    "--cell",
    "cell_m",
    type=click.FloatRange(0.25, 100),
    default=2.0,
    show_default=True,
    help="Set the side of a cell of the ground, m.",
)
@click.option(
    "--recall",
    type=PATH,
    metavar="FILE",
    help="Read the detector's recall by height from this file.  [default: bundled]",
)
@format_option("table", "geojson", "svg")
@OUT
@writes("out")
def coverage(
    workspace: Path, flights: tuple[str, ...], cell_m: float, recall: Path | None, form: str, out: Path | None
) -> None:
    """Show which ground the flights of WORKSPACE saw, and how probably a person there would have been detected."""
    from pipeline.coverage.formats import written
    from pipeline.coverage.ground import read_coverage
    from pipeline.coverage.recall import BUNDLED, read_recall

    found = read_coverage(workspace, read_recall(recall or BUNDLED), flights, cell_m)
    print_or_write(written(found, form), out)
    for name in found.without:
        click.echo(f"note: {name}: no telemetry or no angle of view; what it saw is not known", err=True)
    click.echo(f"note: on flat, open ground; recall by {found.recall.origin}", err=True)
