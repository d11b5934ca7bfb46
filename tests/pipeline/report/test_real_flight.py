"""Parts of two real flights with made-up subtitles: every figure of a person's pages from the tables, by hand."""

import os
import re
import shutil
from datetime import datetime, timedelta
from fractions import Fraction
from functools import partial
from itertools import combinations, islice
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from annotate.app.access import Access
from annotate.app.refresh import Refresh
from annotate.app.server import create_app
from annotate.log.store import LABELS, LabelStore
from annotate.operations import NewIdentity, SetNote, SetTags
from annotate.project import Project
from annotate.records import read_tracklets
from pipeline.chain.table import TRACKS
from pipeline.cli import main
from pipeline.config.models import CameraConfig, FlightConfig, ReportConfig
from pipeline.engine.progress import progress_bar
from pipeline.labelling.application import tell_sightings
from pipeline.report import write_report
from pipeline.run.flight import run_stages
from tests.pipeline.report.test_person import check_figures, section, tables

FPS, FOV_DEG = 10, 70.0
CUE = """{number}
00:00:{begin:06.3f} --> 00:00:{end:06.3f}
{time:%Y-%m-%d %H:%M:%S}.{millis:03d}
[latitude: {latitude:.6f}] [longitude: {longitude:.6f}] [rel_alt: {altitude:.3f} abs_alt: 512.0] \
[gb_yaw: {heading:.1f} gb_pitch: {pitch:.1f} gb_roll: 0.0]

"""
METRES = 111_320.0  # a degree of latitude


class Flight(NamedTuple):
    """A part of a video, and what its subtitles say: at the first frame, and the change to the next one."""

    name: str
    first: int
    frames: int
    start: datetime
    latitude: tuple[float, float]
    longitude: tuple[float, float]
    altitude: tuple[float, float]
    heading: tuple[float, float]
    pitch: float


FLIGHTS = (
    Flight(
        "group2",
        302,
        12,
        datetime(2024, 9, 17, 23, 59, 59),
        (47.05, 2e-6),
        (8.3, -3e-6),
        (14.0, 0.05),
        (90.0, 0.4),
        -35.0,
    ),
    Flight(
        "person11",
        0,
        12,
        datetime(2024, 9, 18, 0, 21, 7),
        (47.0502, -1e-6),
        (8.3003, 2e-6),
        (11.0, -0.03),
        (-170.0, -1.2),
        -30.0,
    ),
)


def cut(flight, given, video):
    """Write the frames of `flight`, and its subtitles."""
    with av.open(given) as source, av.open(video, "w") as target:
        stream = target.add_stream("libx264", rate=Fraction(FPS), options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        frames = islice(source.decode(video=0), flight.first, flight.first + flight.frames)
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, FPS), 0
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    cues = []
    for number in range(flight.frames):
        time = flight.start + timedelta(seconds=number / FPS)
        moving = {name: getattr(flight, name) for name in ("latitude", "longitude", "altitude", "heading")}
        said = {name: first + number * step for name, (first, step) in moving.items()}
        said["heading"] = (said["heading"] + 180) % 360 - 180  # as DJI counts
        spans = {"begin": number / FPS, "end": (number + 1) / FPS}
        cue = CUE.format(
            number=number + 1, time=time, millis=time.microsecond // 1000, pitch=flight.pitch, **said, **spans
        )
        cues.append(cue.replace(f"{spans['begin']:06.3f} ", f"{spans['begin']:06.3f} ".replace(".", ",")))
    video.with_suffix(".SRT").write_text("".join(cues))


@pytest.fixture(scope="module")
def flown(tmp_path_factory):
    """The workspace of both flights; the longest tracklets are labelled: Ann is in both, the others in one."""
    if "UAVPIPE_SAMPLE_DATA" not in os.environ:
        pytest.skip("UAVPIPE_SAMPLE_DATA names no folder of sample data")
    folder = tmp_path_factory.mktemp("real")
    videos = [folder / f"{flight.name}.mp4" for flight in FLIGHTS]
    for flight, video in zip(FLIGHTS, videos, strict=True):
        cut(flight, Path(os.environ["UAVPIPE_SAMPLE_DATA"], "video", f"uav123_{flight.name}.mp4"), video)
    config = FlightConfig(
        videos=videos,
        workspace=folder / "runs",
        detector={"weights": "embedded", "threshold": 0.5},
        camera=CameraConfig(fov_deg=FOV_DEG),
    )
    for video in videos:
        run_stages(config, video, TRACKS, progress_bar)
    with LabelStore(config.workspace / LABELS) as store:
        longest = []
        for flight in FLIGHTS:
            known = read_tracklets(config.workspace, flight.name)
            store.add_flight(flight.name, known)
            ordered = sorted(known, key=lambda each: -len(each.detections))[:2]
            longest.append([f"{flight.name}/{each.number}" for each in ordered])
        (ann, ben), (again, cleo) = longest
        people = {"Ann": (ann, again), "Ben": (ben,), "": (cleo,)}
        for name, members in people.items():
            store.apply(NewIdentity(tracklets=members, name=name), user="ann", id=f"new-{name}")
        store.apply(SetNote(identity=1, text="white shirt"), user="ann", id="note")
        store.apply(SetTags(identity=1, tags=("pair",)), user="ann", id="tags")
    return config.workspace


@pytest.fixture(scope="module")
def page(flown):
    return write_report(flown, ReportConfig(clip_s=0), progress_bar).read_text()


def detections(workspace):
    """A row for each detection of a labelled tracklet, with the telemetry that its subtitle says."""
    with LabelStore(workspace / LABELS, write=False) as store:
        members = {name: label for name, label in store.state.labels.items() if isinstance(label, int)}
    rows = tables(workspace, members)
    said = []
    for flight in FLIGHTS:
        steps = pd.DataFrame({"frame": range(flight.frames)}).assign(flight=flight.name, pitch=flight.pitch)
        for name in ("latitude", "longitude", "altitude", "heading"):
            first, step = getattr(flight, name)
            places = {"latitude": 6, "longitude": 6, "altitude": 3, "heading": 1}[name]  # of the subtitle
            steps[name] = (first + steps["frame"] * step).round(places)
        said.append(steps)
    return rows.merge(pd.concat(said), on=["flight", "frame"]).query("y2 <= 720 - 2")  # whose feet are seen


def on_the_ground(rows, errors=None):
    """Metres north and east of where each detection stands, by the camera's three axes: (2, n), or (2, m, n)."""
    off = dict.fromkeys(("north", "east", "altitude", "pitch", "heading", "feet"), 0.0) | (errors or {})
    p, h = (
        np.radians(-rows["pitch"].to_numpy() - off["pitch"]),
        np.radians(rows["heading"].to_numpy() + off["heading"]),
    )
    focal = 1280 / 2 / np.tan(np.radians(FOV_DEG / 2))
    x = ((rows["x1"] + rows["x2"]) / 2 - 639.5).to_numpy() / focal
    y = (rows["y2"] - 359.5).to_numpy() + off["feet"] * (rows["y2"] - rows["y1"]).to_numpy()
    p, h, x, y = np.broadcast_arrays(p, h, x, y / focal)
    sight = np.stack([np.cos(p) * np.cos(h), np.cos(p) * np.sin(h), np.sin(p)])  # north, east, down
    right = np.stack([-np.sin(h), np.cos(h), 0 * h])
    ray = sight + x * right + y * np.cross(sight, right, axis=0)
    north, east = (rows["altitude"].to_numpy() + off["altitude"]) / ray[2] * ray[:2]
    north += (rows["latitude"].to_numpy() - 47.05) * METRES + off["north"]
    east += (rows["longitude"].to_numpy() - 8.3) * METRES * np.cos(np.radians(47.05)) + off["east"]
    return np.stack([north, east])


def circles(rows):
    """The radius around each detection that holds 90 % of its drawn errors, metres."""
    rng = np.random.default_rng(0)
    deviations = {"north": 1.5, "east": 1.5, "altitude": 1.0, "pitch": 0.7, "heading": 2.0, "feet": 0.05}
    drawn = {name: deviation * rng.normal(size=(4000, 1)) for name, deviation in deviations.items()}
    off = on_the_ground(rows, drawn) - on_the_ground(rows)[:, None]
    return np.quantile(np.hypot(*off), 0.9, axis=0)


def number_of(text):
    """Latitude, longitude and radius in a place in words."""
    return tuple(map(float, re.fullmatch(r"([\d.]+), ([\d.]+) ± (\d+) m", text).groups()))


def test_figures_times_and_company_are_those_of_the_tables(flown, page):
    assert check_figures(flown, page) == 3
    rows = detections(flown)
    starts = {flight.name: flight.start for flight in FLIGHTS}
    for number, own in rows.groupby("person"):
        facts, cells, *_ = section(page, int(number))
        moments = own["flight"].map(starts) + pd.to_timedelta(own["pts_s"], unit="s")
        assert facts["first seen"] == f"{moments.min():%Y-%m-%d %H:%M:%S}"
        assert facts["last seen"] == f"{moments.max():%Y-%m-%d %H:%M:%S}"
        times = {cell[1]: cell[2] for cell in cells}
        assert times == {
            name: f"{starts[name.split('/')[0]] + timedelta(seconds=begin_s):%Y-%m-%d %H:%M:%S}"
            for name, begin_s in own.groupby("name")["pts_s"].min().items()
        }
    part = section(page, 1)[3]
    assert "21 min later" in part  # over midnight
    assert "<p>white shirt</p>" in part
    assert "<p>Tags: pair</p>" in part


def test_places_and_circles_are_those_of_the_subtitles(flown, page):
    rows = detections(flown)
    north, east = on_the_ground(rows)
    rows = rows.assign(
        at_north=47.05 + north / METRES,
        at_east=8.3 + east / METRES / np.cos(np.radians(47.05)),
        radius=circles(rows),
    )
    expected = rows.groupby("name")[["at_north", "at_east", "radius"]].median()
    said = {cell[1]: number_of(cell[4]) for number in (1, 2, 3) for cell in section(page, number)[1]}
    assert set(said) == set(expected.index)
    for name, (latitude, longitude, radius) in said.items():
        assert (latitude, longitude) == pytest.approx(expected.loc[name, ["at_north", "at_east"]], abs=2e-6)
        assert radius == pytest.approx(expected.loc[name, "radius"], rel=0.06, abs=0.5)  # whole metres


def test_map_and_time_line_are_drawn_to_scale(flown, page):
    rows = detections(flown)
    for number in (1, 2, 3):
        _, cells, _, part = section(page, number)
        drawn = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="11"[^>]*/><text[^>]*>(\d+)</text>', part)
        places = {name: np.array([float(x), float(y)]) for x, y, name in drawn}
        assert set(places) == {cell[0] for cell in cells}
        pixels = float(re.search(r"V0 H([\d.]+) V-6", part)[1])
        metres = float(re.search(r">([\d.]+) m</text></g>\s*</svg>", part)[1])
        for one, other in combinations(cells, 2):
            here, there = number_of(one[4]), number_of(other[4])
            east = (there[1] - here[1]) * METRES * np.cos(np.radians(47.05))
            north = (there[0] - here[0]) * METRES
            moved = (places[other[0]] - places[one[0]]) * metres / pixels
            assert moved == pytest.approx([east, -north], abs=0.3)
        bars = re.findall(r'style="left:([\d.]+)%;width:([\d.]+)%', part)
        lengths = {flight.name: (flight.frames - 1) / FPS for flight in FLIGHTS}
        own = rows[rows["person"] == number].groupby("name")["pts_s"].agg(["min", "max"])
        for (left, width), cell in zip(bars, cells, strict=True):
            begin, end = own.loc[cell[1]]
            whole = lengths[cell[1].split("/")[0]]
            assert float(left) == pytest.approx(100 * begin / whole, abs=0.01)
            assert float(width) == pytest.approx(100 * (end - begin) / whole, abs=0.01)


def test_the_app_has_the_figures_of_the_report(flown, page):
    rows = detections(flown)
    project = Project(flown, write=False)
    app = create_app(
        project,
        Access(token=None),
        None,
        Refresh((), project.read_features),
        "ann",
        sightings=partial(tell_sightings, flown),
    )
    try:
        client = TestClient(app, base_url="http://127.0.0.1")
        for number, own in rows.groupby("person"):
            card = client.get(f"/api/identities/{number:.0f}").json()
            _, cells, companions, _ = section(page, int(number))
            assert card["detections"] == len(own)
            assert card["flights"] == sorted(own["flight"].unique())
            counts = {each["tracklet"]: each["detections"] for each in card["members"]}
            assert counts == own["name"].value_counts().to_dict()
            beside = [
                (str(each["identity"]), str(each["frames"]), ", ".join(each["in"])) for each in card["companions"]
            ]
            assert beside == companions
            said = client.get(f"/api/identities/{number:.0f}/sightings").json()
            assert "".join(said["maps"]).count("<title>") == len(cells)
            assert said["sightings"] == {
                cell[1]: {"time": cell[2], "video": cell[3], "place": cell[4]} for cell in cells
            }
    finally:
        project.close()


def test_the_search_says_when_and_where(flown, tmp_path):
    crops = pd.read_parquet(flown / "person11/crops/crops.parquet")
    crop = flown / "person11/crops" / crops["crop"].iloc[0]
    photo = shutil.copy(crop, tmp_path / "photo.jpg")  # a crop of the workspace would not find its own tracklet
    ran = CliRunner().invoke(main, ["find", str(photo), "--all", "--no-audit", "--workspace", str(flown)])
    assert ran.exit_code == 0, ran.output
    assert "2024-09-18 00:21:0" in ran.stdout
