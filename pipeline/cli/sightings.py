"""`uavpipe sightings`: who was seen when and where."""

from datetime import datetime
from pathlib import Path

import click

from pipeline.cli.options import LABELLED_WORKSPACE, OUT, ZONE, flight_option, format_option
from pipeline.cli.outputs import print_or_write, writes
from pipeline.words import counted

_TIME = click.DateTime(["%H:%M", "%H:%M:%S"])
_NEAR_M = 50.0
_UNITS = {"": 1.0, "m": 1.0, "km": 1000.0}


def _place(_: click.Context, option: click.Parameter, value: str | None) -> tuple[float, float] | str | None:
    if value is None or "," not in value:
        return value
    try:
        latitude, longitude = map(float, value.split(","))
    except ValueError:
        latitude = longitude = float("nan")
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise click.BadParameter(f"expected LAT,LON in degrees, as 47.05,8.3, not '{value}'", param=option)
    return latitude, longitude


def _metres(_: click.Context, option: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    number = value.strip().rstrip("km").strip()
    try:
        metres = float(number) * _UNITS[value.strip()[len(number) :].strip()]
    except (ValueError, KeyError):
        metres = -1.0
    if not 0 <= metres <= 1e6:
        raise click.BadParameter(f"expected a distance, as 50m or 1.5km, not '{value}'", param=option)
    return metres


@click.command()
@LABELLED_WORKSPACE
@click.option("--person", "persons", type=int, multiple=True, help="Show this person only; may be repeated.")
@flight_option("Show this flight only; may be repeated.", multiple=True)
@click.option(
    "--between", type=(_TIME, _TIME), metavar="HH:MM HH:MM", help="Show what was seen at this time of day."
)
@click.option(
    "--near",
    callback=_place,
    metavar="PLACE",
    help="Show who may have been near this place: LAT,LON, or a name of the configuration.",
)
@click.option(
    "--within",
    callback=_metres,
    metavar="DISTANCE",
    help="With --near: how near.  [default: 50m, or the radius of a place with a name]",
)
@ZONE
@click.option("--junk", is_flag=True, help="Show tracklets that are marked as junk, too.")
@format_option("table", "csv", "json", "geojson", "gpx", "kml", "cot")
@OUT
@writes("out")
def sightings(
    workspace: Path,
    persons: tuple[int, ...],
    flights: tuple[str, ...],
    between: tuple[datetime, datetime] | None,
    near: tuple[float, float] | str | None,
    within: float | None,
    zone: str | None,
    junk: bool,
    form: str,
    out: Path | None,
) -> None:
    """List who was seen, when and where: one line for each tracklet of WORKSPACE."""
    from pipeline.sightings import Selection, read_sightings
    from pipeline.sightings.formats import missing_on_map, notes, written
    from pipeline.sightings.places import place_named

    times = None if between is None else (between[0].time(), between[1].time())
    if isinstance(near, str):
        place = place_named(workspace, near)
        near, within = (place.latitude, place.longitude), place.radius_m if within is None else within
    everything = read_sightings(workspace, zone=zone)
    wanted = Selection(persons, flights, times, junk, near, _NEAR_M if within is None else within)
    found = wanted.of(everything)
    if found or form != "table" or out is not None:
        print_or_write(written(found, form), out)
    click.echo(f"{workspace}: {counted(len(found), 'sighting')}", err=True)
    unplaced = sum(each.position is None for each in everything)
    if near is not None and unplaced:
        click.echo(f"note: {unplaced} of {len(everything)} sightings have no position; see docs/find.md", err=True)
    for note in filter(None, (missing_on_map(found, form), *notes(found))):
        click.echo(f"note: {note}", err=True)
