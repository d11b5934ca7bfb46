"""`uavpipe find`: searches a workspace for a person."""

from pathlib import Path

import click

from pipeline.cli.options import LABELLED_WORKSPACE, OUT, PATH, ZONE, embedder_option, format_option
from pipeline.cli.outputs import print_or_write, writes


def _box(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[float, float, float, float] | None:
    if value is None:
        return None
    try:
        x1, y1, x2, y2 = map(float, value.split(","))
    except ValueError:
        raise click.BadParameter(f"expected X1,Y1,X2,Y2 in pixels, not '{value}'") from None
    return x1, y1, x2, y2


@click.command()
@click.argument("photos", nargs=-1, type=PATH, metavar="[PHOTO]...")
@LABELLED_WORKSPACE
@click.option("--person", type=int, help="Search for this labelled person instead of a photo.")
@click.option("--box", callback=_box, metavar="X1,Y1,X2,Y2", help="Search for the person in this part of PHOTO.")
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="Show this number of persons.")
@click.option(
    "--error",
    type=click.FloatRange(0.005, 0.5),
    default=0.05,
    show_default=True,
    help="Accept a wrong answer in this share of the searches for somebody who is not there.",
)
@click.option("--all", "unlikely", is_flag=True, help="Show answers below the threshold, too.")
@embedder_option("that of the suggestions, else embedded")
@click.option("--device", default="auto", show_default=True, help="Run the networks on auto, cpu or cuda.")
@ZONE
@format_option("table", "csv", "json", "geojson", "gpx", "kml", "cot")
@OUT
@click.option("--html", "page", type=PATH, metavar="FILE", help="Write a page with crops and maps, too.")
@click.option("--audit/--no-audit", default=True, show_default=True, help="Record the search in searches.jsonl.")
@writes("out")
@writes("page")
def find(
    photos: tuple[Path, ...],
    workspace: Path,
    person: int | None,
    box: tuple[float, float, float, float] | None,
    top: int,
    error: float,
    unlikely: bool,
    weights: Path | None,
    device: str,
    zone: str | None,
    form: str,
    out: Path | None,
    page: Path | None,
    audit: bool,
) -> None:
    """Search WORKSPACE for the person in PHOTO, and show when and where they were seen.

    PHOTO is a picture of one person, cut out or not, or a crop of the workspace; several show the same person.
    """
    from pipeline.engine.progress import progress_bar
    from pipeline.find.find import Wanted
    from pipeline.find.find import find as search
    from pipeline.find.formats import written
    from pipeline.find.page import as_page
    from pipeline.sightings.formats import missing_on_map, notes

    wanted = Wanted(photos, person, box)
    found = search(
        workspace,
        wanted,
        progress_bar,
        weights=weights,
        top=top,
        error=error,
        device=device,
        audit=audit,
        zone=zone,
    )
    shown = list(found.answers) if unlikely else found.likely
    if shown or form != "table" or out is not None:
        print_or_write(written(found, shown, form), out)
    if page is not None:
        print_or_write(as_page(workspace, wanted, found, shown, page), page)
    if not found.likely:
        hint = "" if unlikely else "; --all shows the most similar"
        click.echo(f"{found.nobody}{hint}", err=form != "table")
    if found.calibration is None:
        click.echo("note: no calibration of this network: similarities only, no threshold", err=True)
    else:
        origin = found.calibration.origin
        click.echo(f"note: 'right' is how often such an answer is right, by {origin}; it is no proof", err=True)
    seen = [found.sightings[each.tracklet] for answer in shown for each in answer.found]
    for note in filter(None, (missing_on_map(seen, form), *notes(seen))):
        click.echo(f"note: {note}", err=True)
