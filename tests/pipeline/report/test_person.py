"""A person's section: every figure recomputed from the tables, the map by hand, and who is erased."""

import re
from dataclasses import replace
from html import unescape
from itertools import combinations
from math import cos, hypot, radians
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from annotate.log.store import LABELS, LabelStore
from annotate.operations import NewIdentity, SetNote, SetTags
from annotate.project import Project
from pipeline.cli import main
from pipeline.config.models import ReportConfig
from pipeline.engine.progress import progress_bar
from pipeline.report import write_report
from pipeline.sightings import read_sightings
from pipeline.sightings.drawing import HEIGHT, WIDTH, make_map
from pipeline.sightings.select import metres_between
from pipeline.workspace.atomic import write_json
from pipeline.workspace.manifest import write_record
from tests.pipeline.sightings.test_maps import ANN

FPS = 10


def tables(workspace, members):
    """A row for each detection of a labelled tracklet, joined from the parquet files by pandas alone."""
    found = []
    for flight in sorted({name.split("/")[0] for name in members}):
        folder = workspace / flight
        rows = pd.read_parquet(folder / "tracks/tracklets.parquet")[["tracklet", "frame", "rank"]].merge(
            pd.read_parquet(folder / "detections/detections.parquet"), on=["frame", "rank"]
        )
        rows["name"] = flight + "/" + rows["tracklet"].astype(str)
        found.append(rows.assign(flight=flight, person=rows["name"].map(members)).dropna(subset=["person"]))
    return pd.concat(found)


def section(page, number):
    """The texts of a person's section: facts by name, cells of the table, and companions."""
    part = re.search(rf'<section class="sheet" id="identity-{number}">.*?</section>', page, re.DOTALL)[0]
    facts = re.findall(r"<dd>(?:<a [^>]*>)?([^<]*)(?:</a>)?</dd><dt>([^<]*)</dt>", part)
    cells = [re.findall(r"<td>([^<]*)</td>", row) for row in re.findall(r"<tr><td>.*?</tr>", part)]
    with_whom = re.search(r'<ul class="companions">(.*?)</ul>', part, re.DOTALL)
    companions = re.findall(r"(\d+)[^<]*</a> in (\d+) frames? of ([^<]*)</li>", with_whom[1]) if with_whom else []
    cells = [[*map(unescape, row)] for row in cells]
    return (
        {name: value for value, name in facts},
        cells,
        [(*each[:2], unescape(each[2])) for each in companions],
        part,
    )


def test_every_figure_is_that_of_the_tables(reported):
    workspace, path = reported
    assert check_figures(workspace, path.read_text()) > 2


def check_figures(workspace, page):
    """Compare the sections of all persons with the tables; the number of persons."""
    with LabelStore(workspace / LABELS, write=False) as store:
        members = {name: label for name, label in store.state.labels.items() if isinstance(label, int)}
    rows = tables(workspace, members)
    numbers = sorted(rows["person"].unique())
    frames = rows.drop_duplicates(["flight", "frame", "person"])
    for number in numbers:
        own = rows[rows["person"] == number]
        facts, cells, companions, _ = section(page, int(number))
        assert facts["sightings"] == str(own["name"].nunique())
        assert facts["flights"] == str(own["flight"].nunique())
        assert facts["detections"] == f"{len(own):,}"
        seconds = 0.0  # of the union of the tracklets, counted in milliseconds
        for _, flight in own.groupby("flight"):
            spans = [
                range(round(1000 * a), round(1000 * b))
                for a, b in flight.groupby("name")["pts_s"].agg(["min", "max"]).to_numpy()
            ]
            seconds += len(set().union(*spans)) / 1000
        minutes, rest = facts["seen for"].split(":")
        assert 60 * int(minutes) + float(rest) == pytest.approx(seconds, abs=0.06)
        spans = own.groupby("name")["pts_s"].agg(["min", "max", "size"])
        assert {cell[1]: (cell[3], cell[5]) for cell in cells} == {
            name: (f"{span['min']:.1f}-{span['max']:.1f} s", f"{span['size']:.0f}")
            for name, span in spans.iterrows()
        }
        assert [int(cell[0]) for cell in cells] == list(range(1, len(spans) + 1))
        here = frames[frames["person"] == number][["flight", "frame"]]
        others = frames[frames["person"] != number].merge(here, on=["flight", "frame"])
        assert {(int(who), int(count), flights) for who, count, flights in companions} == {
            (int(who), len(part), ", ".join(sorted(part["flight"].unique())))
            for who, part in others.groupby("person")
        }
    return len(numbers)


@pytest.fixture
def flown(make_workspace, walk):
    """Two flights with clocks and telemetry, 20 minutes apart; Ann is in both, Ben with her in the first."""
    workspace = make_workspace({"f1": [walk(1, 0, 30), walk(2, 10, 5)], "f2": [walk(1, 5, 10)]})
    for flight, start in (("f1", "2024-09-17T14:03:00+02:00"), ("f2", "2024-09-17T14:23:04+02:00")):
        folder = workspace / flight
        write_record(folder / "flight.json", {"video": f"/gone/{flight}.mp4", "sha256": "0"})
        write_json(folder / "camera.json", {"fov_deg": 90.0})
        write_json(folder / "clock.json", {"start": start, "offset_s": 0.0})
        frames = pd.DataFrame({"frame": range(41)}).assign(
            pts_s=lambda rows: rows["frame"] / FPS,
            lost=False,
            corrupt=False,
            suspect=False,
            damage="",
            key=True,
            altitude_m=20.0,
            latitude=lambda rows: 47 + rows["frame"] * 1e-6,
            longitude=8.0,
            heading_deg=0.0,
            pitch_deg=-60.0,
            width=241.0,
            height=161.0,
        )
        (folder / "frames").mkdir()
        frames.to_parquet(folder / "frames/frames.parquet")
        write_record(
            folder / "frames/manifest.json",
            {"stage": "frames", "fingerprint": "0", "inputs": {}, "section": {}, "counts": {}, "files": {}},
        )
    project = Project(workspace)
    project.store.apply(NewIdentity(tracklets=("f1/0", "f2/0"), name="Ann"), user="ann", id="a")
    project.store.apply(NewIdentity(tracklets=("f1/1",), name="Ben"), user="ann", id="b")
    project.close()
    return workspace


def test_time_line_and_map_are_those_of_the_flights(flown):
    page = write_report(flown, ReportConfig(clip_s=0), progress_bar).read_text()
    facts, cells, companions, part = section(page, 1)
    assert (facts["first seen"], facts["last seen"]) == ("2024-09-17 14:03:00", "2024-09-17 14:23:05")
    assert [cell[2] for cell in cells] == ["2024-09-17 14:03:00", "2024-09-17 14:23:04"]
    assert companions == [("2", "5", "f1")]
    assert "20 min later" in part
    bars = re.findall(r'style="left:([\d.]+)%;width:([\d.]+)%', part)
    assert [(float(left), float(width)) for left, width in bars] == [(0.0, 72.5), (12.5, 22.5)]  # of 4 s
    assert re.findall(r'class="ticks"><span>([^<]*)</span><span>([^<]*)<', part) == [
        ("2024-09-17 14:03:00", "14:03:04"),
        ("2024-09-17 14:23:04", "14:23:08"),
    ]
    drawing = ElementTree.fromstring(re.search(r"<svg.*?</svg>", part, re.DOTALL)[0])
    assert len(drawing.findall("polyline")) == 2 + 2 * (len(cells) > 0)  # two drones; both paths: 3 s and 2 s
    assert [each.text for each in drawing.iter("text")] == ["1", "2", "N", drawing.findall(".//text")[-1].text]


def test_the_map_is_true_to_scale_and_north_is_up():
    metre = 1 / 111_320
    far = replace(
        ANN, position=(47 + 30 * metre, 8 + 40 * metre / cos(radians(47))), radius_m=5.0, path=(), drone=None
    )
    near = replace(ANN, position=(47.0, 8.0), radius_m=5.0, path=(), drone=None)
    found = make_map([near, far], {"f1": [(47.0, 8.0)]})
    one, other = found.traces
    pixels = hypot(other.place[0] - one.place[0], other.place[1] - one.place[1])
    scale = found.bar / float(found.bar_text.removesuffix(" m"))  # pixels a metre
    assert pixels / scale == pytest.approx(50, abs=0.1)
    assert one.radius / scale == pytest.approx(5, abs=0.1)
    assert other.place[0] > one.place[0]  # east is right
    assert other.place[1] < one.place[1]  # north is up
    for trace in found.traces:
        assert trace.radius <= trace.place[0] <= WIDTH - trace.radius
        assert trace.radius <= trace.place[1] <= HEIGHT - trace.radius
    assert found.bar <= 160
    assert found.flights == {}  # a single point is no path
    assert make_map([replace(ANN, position=None)], {}) is None


def test_across_the_180th_degree_the_map_is_small():
    found = make_map([ANN, replace(ANN, position=(47.0, -179.99999))], {})
    assert float(found.bar_text.removesuffix(" m")) <= 10


def test_an_erased_person_is_nowhere_in_the_report(flown):
    ran = CliRunner().invoke(main, ["forget", "2", "--yes", "--workspace", str(flown)])
    assert ran.exit_code == 0, ran.output
    page = write_report(flown, ReportConfig(clip_s=0), progress_bar).read_text()
    assert "Ann" in page
    assert "Ben" not in page
    assert "identity-2" not in page
    assert section(page, 1)[2] == []


def test_notes_and_tags_are_in_the_section_as_text(flown):
    with LabelStore(flown / LABELS) as store:
        store.apply(SetTags(identity=1, tags=("<i>child",)), user="ann", id="tags")
        store.apply(SetNote(identity=1, text="limps\n<b>alone"), user="ann", id="note")
    page = write_report(flown, ReportConfig(clip_s=0), progress_bar).read_text()
    part = section(page, 1)[3]
    assert "<p>Tags: &lt;i&gt;child</p>" in part
    assert "<p>limps</p>" in part
    assert "<p>&lt;b&gt;alone</p>" in part


def test_without_a_clock_the_video_s_time_is_shown(flown):
    (flown / "f2" / "clock.json").unlink()
    page = write_report(flown, ReportConfig(clip_s=0), progress_bar).read_text()
    _, cells, _, part = section(page, 1)
    assert [cell[2] for cell in cells] == ["2024-09-17 14:03:00", "-"]
    assert "later" not in part
    assert re.findall(r"<figcaption><a [^>]*>([^<]*)<", part) == ["f1", "f2"]


def test_without_positions_people_are_in_the_flight_s_plane_about_as_far_apart_as_they_were(reported):
    workspace, path = reported
    drawn = re.findall(r'<svg viewBox="0 0 640.*?</svg>.*?<figcaption.*?</figcaption>', path.read_text(), re.DOTALL)
    assert drawn
    for figure in drawn:
        assert "in the flight's own plane: no telemetry" in unescape(figure)
        assert ">N</text>" not in figure
        assert re.search(r">about \d+ m</text>", figure)
    errors = []
    for flight in sorted(each.name for each in workspace.iterdir() if (each / "tracks").is_dir()):
        truth = pd.read_csv(workspace.parent / f"{flight}.positions.csv")
        errors += list(relative_errors(workspace, flight, truth))
    assert len(errors) > 10
    assert np.median(errors) < 0.5


def relative_errors(workspace, flight, truth):
    """Of the distance of two labelled sightings in the plane, against the simulator's positions."""
    there = truth.groupby("identity")[["latitude", "longitude"]].median()
    found = [each for each in read_sightings(workspace) if each.flight == flight and each.plane and each.identity]
    assert all(each.plane.piece == 1 for each in found)
    for one, other in combinations(found, 2):
        if one.identity in there.index and other.identity in there.index:
            metres = metres_between(*(tuple(there.loc[each.identity]) for each in (one, other)))
            if metres >= 3:
                near = hypot(one.plane.x_m - other.plane.x_m, one.plane.y_m - other.plane.y_m)
                yield abs(near / metres - 1)
