"""Clips of a person's sightings: which frames, what is drawn, when they are rendered again, and what is erased."""

import re

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import uavpipe
from annotate.operations import Mark, NewIdentity, Rename, SetMark
from annotate.project import Project
from pipeline.cli import main
from pipeline.config.models import ReportConfig
from pipeline.engine.progress import progress_bar
from pipeline.pages.palette import identity_rgb
from pipeline.report import write_report
from pipeline.sightings.names import read_names
from pipeline.workspace.manifest import write_record

FRAMES, GREY = 40, 90


@pytest.fixture
def workspace(make_workspace, walk, tmp_path):
    """A flight of 4 s in grey, with Ann in frames 15 to 19 and somebody without a name in all."""
    workspace = make_workspace({"f1": [walk(1, 15, 5), walk(2, 0, FRAMES)]})
    images = tmp_path / "f1"
    images.mkdir()
    for frame in range(FRAMES):
        cv2.imwrite(str(images / f"{frame:04d}.png"), np.full((160, 240, 3), GREY, np.uint8))
    folder = workspace / "f1"
    (folder / "frames").mkdir()
    frames = pd.DataFrame({"frame": range(FRAMES)}).assign(
        pts_s=lambda rows: rows["frame"] / 10, lost=False, corrupt=False, suspect=False, width=240, height=160
    )
    frames.to_parquet(folder / "frames/frames.parquet")
    write_record(folder / "flight.json", {"video": str(images), "sha256": "0"})
    project = Project(workspace)
    project.store.apply(NewIdentity(tracklets=("f1/0",), name="Ann"), user="ann", id="a")
    project.close()
    return workspace


def clip(workspace, *arguments):
    ran = CliRunner().invoke(main, ["clip", "--person", "1", "--workspace", str(workspace), *map(str, arguments)])
    assert ran.exit_code == 0, ran.output
    return workspace / "f1/clips/0/f1_0.mp4"


def pictures(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


def is_in(picture, colour, x, y):
    """Whether a pixel near (x, y) has nearly this colour: H.264 keeps half of the colours' pixels."""
    part = picture[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3)
    return bool((np.abs(part - colour).max(axis=1) < 60).any())


def test_a_clip_has_the_sighting_and_a_second_around_it_with_the_name_drawn(workspace):
    shown = pictures(clip(workspace))
    assert len(shown) == 25  # frames 5 to 29: a second before 15 and after 19
    before, during = shown[5], shown[12]  # frames 10 and 17: the box at x 2
    assert not is_in(before, identity_rgb(1), 22, 40)
    assert is_in(during, identity_rgb(1), 22, 40)
    assert is_in(during, identity_rgb(1), 30, 14)  # "1 Ann", above the box, is wider than it
    assert is_in(during, (255, 196, 0), 60 + 17, 40)  # the other one: t1, in amber


def test_it_is_rendered_again_when_labels_change_and_only_then(workspace):
    path = clip(workspace)
    assert not is_in(pictures(path)[12], identity_rgb(1), 66, 14)
    first = path.stat()
    clip(workspace)
    assert path.stat() == first
    content = read_names(workspace / "f1").content
    project = Project(workspace)
    project.store.apply(Rename(identity=1, name="Anna Sophie"), user="ann", id="b")
    project.close()
    assert read_names(workspace / "f1").content != content
    clip(workspace)
    assert path.stat().st_mtime_ns > first.st_mtime_ns
    assert is_in(pictures(path)[12], identity_rgb(1), 66, 14)  # the longer name
    again = path.stat()
    project = Project(workspace)
    project.store.apply(NewIdentity(tracklets=("f1/1",)), user="ann", id="c")
    project.close()
    clip(workspace)
    assert path.stat().st_mtime_ns > again.st_mtime_ns
    assert is_in(pictures(path)[12], identity_rgb(2), 60 + 17, 40)


def test_the_report_links_to_clips_that_are_up_to_date(workspace):
    def links():
        page = write_report(workspace, ReportConfig(clip_s=0), progress_bar)
        text = page.read_text()
        found = re.findall(r'<a href="([^"]*mp4)"', text)
        assert bool(found) != ("uavpipe clip --person 1 --workspace" in text)
        return [page.parent / each for each in found]

    assert links() == []
    path = clip(workspace, "--margin", 0.5)
    (copy,) = links()
    assert copy.read_bytes() == path.read_bytes()
    project = Project(workspace)
    project.store.apply(Rename(identity=1, name="Anna"), user="ann", id="b")
    project.close()
    assert links() == []


def test_what_is_labelled_as_no_person_is_not_drawn(workspace):
    assert is_in(pictures(clip(workspace))[12], (255, 196, 0), 60 + 17, 40)
    project = Project(workspace)
    project.store.apply(SetMark(tracklets=("f1/1",), mark=Mark.JUNK), user="ann", id="b")
    project.close()
    shown = pictures(clip(workspace))[12]
    assert not is_in(shown, (255, 196, 0), 60 + 17, 40)
    assert is_in(shown, identity_rgb(1), 22, 40)


def test_copies_never_replace_another_video(workspace, tmp_path):
    for _ in range(2):
        clip(workspace, "--out", tmp_path / "out")
    copy = tmp_path / "out" / "1_f1_0.mp4"
    assert len(pictures(copy)) == 25
    copy.write_bytes(b"mine")
    command = ["clip", "--person", "1", "--workspace", str(workspace), "--out", str(tmp_path / "out")]
    ran = CliRunner().invoke(main, command)
    assert (ran.exit_code, ran.stderr.count("\n"), copy.read_bytes()) == (1, 1, b"mine")


def test_in_python_a_person_has_sightings_and_clips(workspace):
    people = uavpipe.open(workspace).people
    assert {number: person.name for number, person in people.items()} == {1: "Ann"}
    assert people[1].sightings["tracklet"].tolist() == ["f1/0"]
    (path,) = people[1].clip(margin_s=0)
    assert len(pictures(path)) == 5
    with pytest.raises(KeyError):
        people[2]


def test_who_is_not_there_is_refused(workspace):
    ran = CliRunner().invoke(main, ["clip", "--person", "5", "--workspace", str(workspace)])
    assert (ran.exit_code, ran.stderr.count("\n")) == (1, 1)
    assert "there is no person 5; known: 1" in ran.stderr


def test_clips_of_a_flight_are_erased_with_a_person(workspace):
    path = clip(workspace)
    ran = CliRunner().invoke(main, ["forget", "1", "--yes", "--workspace", str(workspace)])
    assert ran.exit_code == 0, ran.output
    assert not path.exists()
    assert not (workspace / "f1" / "clips").exists()
    assert read_names(workspace / "f1").content == ""
