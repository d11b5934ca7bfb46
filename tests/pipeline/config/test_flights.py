"""The names of flights: which can be, who gives them, and files of a recorder that are no flight."""

import os
from pathlib import Path

import pytest

from pipeline.chain.table import FRAMES
from pipeline.config.flights import require_flights
from pipeline.config.models import load_config
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.run.flight import run_stages
from tests.pipeline.video.samples import write_video


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dataset.mp4", "a flight cannot be named 'dataset' in a workspace; rename it, or name the flight"),
        ("report.MP4", "cannot be named 'report'"),
        ("reid", "cannot be named 'reid'"),
        ("labels.sqlite.mp4", "cannot be named 'labels.sqlite'"),
        ("a\nb.mp4", "a line break or another control character"),
        ("x" * 201 + ".mp4", "more than 200 bytes"),
        (os.fsdecode(b"caf\xe9.mp4"), "its path is not UTF-8; rename it"),
        (os.fsdecode(b"caf\xe9/a.mp4"), "its path is not UTF-8; rename it"),
    ],
)
def test_a_name_that_cannot_be_a_flights_is_refused_at_the_start(name, message):
    with pytest.raises(PipelineError, match=message):
        require_flights(load_config(videos=[Path(name)]))


@pytest.mark.parametrize("name", ["my flights/DJI 0001.MP4", "a$b#c%'d\".mp4", "Flug über Zürich.mov", "x" * 200])
def test_other_names_are_flights(name):
    assert require_flights(load_config(videos=[Path(name)])) == (Path(name),)


def test_a_workspace_that_is_not_utf8_is_refused():
    with pytest.raises(PipelineError, match="not UTF-8; choose another --workspace"):
        require_flights(load_config(videos=[Path("a.mp4")], workspace=Path(os.fsdecode(b"caf\xe9"))))


def test_two_cards_with_the_same_file_names(tmp_path):
    for card in ("card1", "card2"):
        (tmp_path / card).mkdir()
        write_video(tmp_path / card / "DJI_0001.MP4", 4 if card == "card1" else 6, (32, 32))
    content = "videos: [card1/DJI_0001.MP4, card2/DJI_0001.MP4]\nworkspace: runs\n"
    (tmp_path / "two.yaml").write_text(content)
    with pytest.raises(PipelineError, match=r"shares the name 'DJI_0001' .*videos: \[\{path: …, name: …\}\]"):
        require_flights(load_config(tmp_path / "two.yaml"))
    second = "{path: card2/DJI_0001.MP4, name: second card}"
    (tmp_path / "two.yaml").write_text(content.replace("card2/DJI_0001.MP4", second))
    config = load_config(tmp_path / "two.yaml")
    results = [run_stages(config, video, FRAMES, progress_bar)[0] for video in require_flights(config)]
    assert [(each.folder.parent.name, each.counts["frames"]) for each in results] == [
        ("DJI_0001", 4),
        ("second card", 6),
    ]


@pytest.mark.parametrize("name", ["", "a/b", "..", "dataset"])
def test_a_given_name_is_checked_too(name):
    config = load_config(settings=[f"videos=[{{path: a.mp4, name: '{name}'}}]"])
    with pytest.raises(PipelineError, match="cannot be named"):
        require_flights(config)


@pytest.mark.parametrize(
    ("videos", "message"),
    [
        ("[3]", "videos.0: expected a path, or"),
        ("a.mp4", "videos: expected a list"),
        ("[{path: a, nam: b}]", r"nam: unknown key; did you mean 'name'"),
    ],
)
def test_a_wrong_entry_is_named(videos, message):
    with pytest.raises(PipelineError, match=message):
        load_config(settings=[f"videos={videos}"])


def test_what_a_recorder_writes_beside_a_video_is_passed_over(caplog):
    names = ["DJI_0001.LRF", "DJI_0001.MP4", "DJI_0001.SRT", "DJI_0001.THM", "._DJI_0001.MP4"]
    assert require_flights(load_config(videos=[Path("DCIM", name) for name in names])) == (
        Path("DCIM/DJI_0001.MP4"),
    )
    assert caplog.messages[0] == "DCIM/DJI_0001.LRF: passed over, it is a proxy of low resolution of DJI_0001.MP4"
    assert len(caplog.messages) == 4
    assert require_flights(load_config(videos=[Path("DCIM/DJI_0002.LRF")])) == (Path("DCIM/DJI_0002.LRF"),)
