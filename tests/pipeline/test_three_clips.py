"""Three real clips in one workspace, of other sizes and rates, one a folder of images: from pixels to figures."""

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import av
import pytest
from click.testing import CliRunner

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from pipeline.cli import main
from pipeline.workspace.tables import read_table
from tests.conftest import PATIENCE

FRAMES = {"crowd": 24, "person": 8, "street": 4}
PEOPLE = 4  # in two tracklets each: half of them are learnt from, the others found again
CONFIGURATION = """
videos: [crowd.mp4, person.mp4, street]
detector: {weights: embedded, resize: {width: 480, height: 480}}
dataset: {gap_s: 0.1, min_crops: 1}
reid: {recipe: short.yaml}
"""
RECIPE = """
init: random
network: {backbone: resnet18, height: 32, width: 16}
sampler: {identities: 2, images: 2}
iterations: 2
decay_from: 1
"""


@pytest.fixture
def flights(tmp_path, monkeypatch):
    """A folder with the beginnings of the clips, the configuration and the recipe."""
    if "UAVPIPE_SAMPLE_DATA" not in os.environ:
        pytest.skip("UAVPIPE_SAMPLE_DATA names no folder of sample data")
    clips = Path(os.environ["UAVPIPE_SAMPLE_DATA"], "video")
    cut(clips / "crowd_640x360.mp4", tmp_path / "crowd.mp4", FRAMES["crowd"])
    cut(clips / "uav123_person11.mp4", tmp_path / "person.mp4", FRAMES["person"])
    (tmp_path / "street").mkdir()
    for image in sorted(clips.glob("visdrone_vid_uav0000086/sequences/*/*.jpg"))[: FRAMES["street"]]:
        (tmp_path / "street" / image.name).symlink_to(image)
    (tmp_path / "three.yaml").write_text(CONFIGURATION)
    (tmp_path / "short.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cut(clip, path, packets):
    """The first `packets` of a video, as they are."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for _, packet in zip(range(packets), source.demux(video=0), strict=False):
            packet.stream = stream
            sink.mux(packet)


def run(*arguments):
    result = CliRunner().invoke(main, ["run", "--config", "three.yaml", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


@contextmanager
def labelling(workspace):
    """The address of `uavpipe label` in a process of its own."""
    command = [sys.executable, "-m", "pipeline", "label", "--workspace", str(workspace), "--port", "0"]
    command += ["--no-browser", "--no-suggest", "--user", "ann"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield re.search(r"http://\S+", process.stdout.readline())[0]
    finally:
        process.terminate()
        process.wait(20)


class Hand:
    """Labels by keyboard. Who is on the clips nobody knows, but the halves of a tracklet are one person."""

    def __init__(self, page):
        self.page = page
        self.halves = {}  # of a split tracklet: each half -> the other
        self.people = {}  # tracklet -> who it is

    def label(self):
        """Until nothing is left."""
        for _ in range(300):
            if not self.page.locator(".question").count():
                return
            self.decide(self.page.locator(".question p").inner_text().split(" ")[0])
        raise AssertionError("the queue does not end")

    def decide(self, tracklet):
        other = self.halves.get(tracklet)
        if "second look" in self.page.locator(".question h1").inner_text():
            self.press("j")
        elif other in self.people:
            offered = self.page.locator(".card strong").all_inner_texts()
            self.press(str(offered.index(self.people[other]) + 1))
        elif other:
            self.press("n")
            (number,) = self.said(rf"{tracklet} is new: person (\d+)")
            self.people[tracklet] = f"Person {number}"
        elif len(self.halves) < 2 * PEOPLE:
            self.split(tracklet)
        else:
            self.press("j")

    def split(self, tracklet):
        self.page.keyboard.press("v")
        cells = self.page.locator("dialog .cell")
        expect(cells.first).to_be_visible()
        if cells.count() < 2:  # one crop has no halves
            self.page.keyboard.press("Escape")
            self.press("j")
            return
        for _ in range(cells.count() // 2):
            self.page.keyboard.press("ArrowRight")
        self.press("p", answer="/api/next")  # the queue is asked anew
        (tail,) = self.said(rf"{tracklet} is split: (\S+) is new")
        self.halves |= {tracklet: tail, tail: tracklet}

    def press(self, key, answer="/api/decide"):
        with self.page.expect_response(re.compile(answer)):
            self.page.keyboard.press(key)
        expect(self.page.locator("main")).not_to_have_attribute("aria-busy", "true")

    def said(self, pattern):
        toast = self.page.locator(".toast").last
        expect(toast).to_have_text(re.compile(pattern))
        return re.search(pattern, toast.inner_text()).groups()


def test_from_three_clips_to_figures(flights, browser):
    shown = run()
    assert "no tracklet has a label yet" in shown
    assert "uavpipe label --workspace runs" in shown
    for name, frames in FRAMES.items():
        table = read_table(flights / "runs" / name / "frames" / "frames.parquet")
        assert len(table) == frames, name
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    with labelling(flights / "runs") as address:
        page.goto(address)
        expect(page.get_by_role("dialog", name="Who is labelling?")).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.locator(".question")).to_be_visible()
        Hand(page).label()
        expect(page.locator("#progress-text")).to_contain_text("(100 %)")
        page.close()
    shown = run()
    assert "protocol tracklet" in shown
    (metrics,) = (flights / "runs" / "reid").glob("short-*/test/metrics.json")
    figures = json.loads(metrics.read_text())
    assert 0 < figures["mAP"] <= 1
    assert figures["counts"]["queries"] == PEOPLE // 2
    assert (flights / "runs" / "report" / "index.html").exists()
    assert f"evaluate   up to date: mAP {figures['mAP']:.4f}" in run("--until", "evaluate")
