"""Sightings for map programs, checked by the rules of the formats' schemas, transcribed here."""

import json
import re
from dataclasses import replace
from datetime import datetime
from math import cos, hypot, radians
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.errors import PipelineError
from pipeline.sightings.formats import written
from pipeline.sightings.records import Sighting, Step

ANN = Sighting(
    tracklet="f1/0",
    flight="f1",
    identity=7,
    name="Ann <b> & Söhne \x01",
    mark="",
    first_frame=0,
    last_frame=25,
    begin_s=100.0,
    end_s=102.5,
    begin=datetime(2024, 9, 17, 14, 3),
    end=datetime(2024, 9, 17, 14, 3, 2, 500_000),
    clock="configuration",
    zone="+02:00",
    position=(47.0, 179.99999),
    drone=(47.0001, 8.0),
    radius_m=3.5,
    path=(Step(100.5, 47.0, 179.9999), Step(101.5, 47.00001, -179.9999)),
    boxes=26,
    crop="f1/crops/images/1.jpg",
    suspect=0,
)
OPEN = replace(ANN, tracklet="f1/1", identity=None, name="", mark="open", position=None, radius_m=None, path=())
NOWHERE = replace(OPEN, tracklet="f2/0", drone=None, begin=None, end=None, clock="", zone="")
ALL = [ANN, OPEN, NOWHERE]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"
# Element -> its children in the order of the schema's sequence; of gpx.xsd 1.1, without extensions.
GPX = {
    "gpx": "metadata wpt rte trk extensions",
    "wpt": "ele time magvar geoidheight name cmt desc src link sym type fix sat hdop vdop pdop",
    "trk": "name cmt desc src link number type extensions trkseg",
    "trkseg": "trkpt extensions",
    "trkpt": "ele time magvar geoidheight name cmt desc src link sym type fix sat hdop vdop pdop",
}
# The same of ogckml22.xsd; the members of a choice are in no order.
KML = {
    "kml": "NetworkLinkControl Document",
    "Document": "name visibility open description TimeSpan ExtendedData Folder",
    "Folder": "name visibility open description TimeSpan ExtendedData Placemark",
    "Placemark": "name visibility open description TimeSpan styleUrl Style Region ExtendedData MultiGeometry",
    "TimeSpan": "begin end",
    "ExtendedData": "Data",
    "Data": "displayName value",
    "MultiGeometry": ("Point", "LineString", "Polygon"),
    "Point": "extrude altitudeMode coordinates",
    "LineString": "extrude tessellate altitudeMode coordinates",
    "Polygon": "extrude tessellate altitudeMode outerBoundaryIs innerBoundaryIs",
    "outerBoundaryIs": "LinearRing",
    "LinearRing": "extrude tessellate altitudeMode coordinates",
}


def check(element, rules, namespace):
    """That `element` and all below it have only the children of the rules, in their order."""
    assert element.tag.startswith(f"{{{namespace}}}")
    tag = element.tag.removeprefix(f"{{{namespace}}}")
    names = [each.tag.removeprefix(f"{{{namespace}}}") for each in element]
    allowed = rules.get(tag, "")
    order = list(allowed) if isinstance(allowed, tuple) else allowed.split()
    places = [order.index(name) for name in names]
    assert isinstance(allowed, tuple) or places == sorted(places), (tag, names)
    for each in element:
        check(each, rules, namespace)


def test_gpx_obeys_its_schema_and_has_all_places():
    root = ElementTree.fromstring(written(ALL, "gpx"))
    gpx = "http://www.topografix.com/GPX/1/1"
    check(root, GPX, gpx)
    assert root.attrib["version"] == "1.1"
    assert root.attrib["creator"]
    space = {"g": gpx}
    points = root.findall("g:wpt", space)
    assert [each.findtext("g:type", None, space) for each in points] == ["person", "drone"]
    assert points[0].attrib == {"lat": "47.0000000", "lon": "179.9999900"}
    assert points[0].findtext("g:name", None, space) == "person 7 Ann <b> & Söhne \N{REPLACEMENT CHARACTER}, f1/0"
    assert points[0].findtext("g:time", None, space) == "2024-09-17T12:03:00.000Z"
    steps = root.findall("g:trk/g:trkseg/g:trkpt", space)
    assert [each.findtext("g:time", None, space) for each in steps] == [
        "2024-09-17T12:03:00.500Z",
        "2024-09-17T12:03:01.500Z",
    ]
    for each in root.iter():
        if "lon" in each.attrib:
            assert -180 <= float(each.attrib["lon"]) < 180  # the schema's longitudeType


def test_kml_obeys_its_schema_and_its_circle_has_the_radius():
    root = ElementTree.fromstring(written(ALL, "kml"))
    kml = "http://www.opengis.net/kml/2.2"
    check(root, KML, kml)
    space = {"k": kml}
    assert [each.findtext("k:name", None, space) for each in root.findall(".//k:Folder", space)] == [
        "person 7 Ann <b> & Söhne \N{REPLACEMENT CHARACTER}",
        "open",
    ]
    assert [each.text for each in root.findall(".//k:TimeSpan/*", space)][:2] == [
        "2024-09-17T12:03:00.000Z",
        "2024-09-17T12:03:02.500Z",
    ]
    ring = root.findtext(".//k:LinearRing/k:coordinates", None, space).split()
    assert ring[0] == ring[-1]
    assert len(ring) >= 4  # the standard's least
    for text in ring:
        longitude, latitude = map(float, text.split(","))
        east = (longitude - 179.99999 + 180) % 360 - 180
        metres = hypot((latitude - 47) * 111_320, east * 111_320 * cos(radians(47)))
        assert metres == pytest.approx(3.5, abs=0.03)
    data = {each.attrib["name"]: each[0].text for each in root.find(".//k:ExtendedData", space)}
    assert (data["position"], data["tracklet"], data["boxes"]) == ("person", "f1/0", "26")


def test_an_event_is_where_and_when_the_person_was_seen():
    lines = written(ALL, "cot").splitlines()
    assert len(lines) == 1  # of the others only the drone's place is known, or none
    event = ElementTree.fromstring(lines[0])
    assert event.tag == "event"
    assert {"version", "uid", "type", "time", "start", "stale", "how"} == set(event.attrib)
    assert event.attrib["version"] == "2.0"
    assert re.fullmatch(r"[a-z](-[A-Za-z]+)+", event.attrib["type"])
    times = [event.attrib[name] for name in ("start", "time", "stale")]
    assert all(re.fullmatch(TIME, each) for each in times)
    assert times == ["2024-09-17T12:03:00.000Z", "2024-09-17T12:03:02.500Z", "2024-09-17T12:08:02.500Z"]
    point = event.find("point").attrib
    assert (point["ce"], point["lat"], point["lon"]) == ("3.5", "47.0000000", "179.9999900")
    assert point["hae"] == point["le"] == "9999999.0"
    assert event.find("detail/contact").attrib["callsign"].startswith("person 7 Ann <b>")


@pytest.mark.parametrize("form", ["gpx", "kml", "cot"])
def test_local_time_of_an_unknown_zone_is_not_called_utc(form):
    local = replace(ANN, clock="subtitles", zone="unknown")
    with pytest.raises(
        PipelineError, match=f"--format {form} needs times in UTC, and those by subtitles are local"
    ):
        written([local], form)
    assert "2024-09-17T12:03:00.000Z" in written([replace(local, zone="Europe/Berlin")], form)


def test_a_file_is_written_and_no_other_one_is_written_over(make_workspace, walk, tmp_path):
    workspace = make_workspace({"f1": [walk(1, 0, 10)]})

    def run(*arguments):
        return CliRunner().invoke(main, ["sightings", "--workspace", str(workspace), *map(str, arguments)])

    for form in ("table", "csv", "json", "geojson", "gpx", "kml", "cot"):
        suffix = {"table": "txt", "cot": "xml"}.get(form, form)
        for _ in range(2):  # the second time over its own
            ran = run("--format", form, "--out", tmp_path / f"a.{suffix}")
            assert (ran.exit_code, ran.stdout) == (0, ""), ran.output
    assert json.loads((tmp_path / "a.json").read_text())[0]["tracklet"] == "f1/0"
    (tmp_path / "notes.csv").write_text("mine")
    ran = run("--format", "csv", "--out", tmp_path / "notes.csv")
    assert ran.exit_code == 1
    assert (tmp_path / "notes.csv").read_text() == "mine"
