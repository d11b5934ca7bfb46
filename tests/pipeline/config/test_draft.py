import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.config.models import FlightConfig, load_config
from pipeline.video import recording
from tests.pipeline.video.samples import write_video


def init(*arguments):
    result = CliRunner().invoke(main, ["init", *map(str, arguments)])
    return result.exit_code, result.output


def named(folder):
    """The flights that the configuration in `folder` has: names and files relative to the folder."""
    config = load_config(folder / "flight.yaml")
    return {
        config.name_of(video): [part.relative_to(folder).as_posix() for part in config.parts_of(video)]
        for video in config.flights
    }


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"video")


def test_what_is_written_is_what_a_run_takes(tmp_path):
    write_video(tmp_path / "b: 2.mp4", frames=4)
    write_video(tmp_path / "a10.MP4", frames=4)
    write_video(tmp_path / "a9.mp4", frames=4)
    touch(tmp_path, "notes.txt", "._a9.mp4", "a9.srt", "below/c.mp4")
    code, said = init(tmp_path)
    assert code == 0, said
    assert "3 flights" in said
    assert named(tmp_path) == {"a9": ["a9.mp4"], "a10": ["a10.MP4"], "b: 2": ["b: 2.mp4"]}
    for command in re.findall(r"^  uavpipe (run .* --dry-run)$", said, re.MULTILINE):
        shown = CliRunner().invoke(main, [*command.replace("'", "").split(), "--set", "detector.weights=embedded"])
        assert shown.exit_code == 0, shown.output
        assert "would run: not done yet" in shown.output


def test_without_the_comment_signs_the_settings_are_the_defaults(tmp_path):
    touch(tmp_path, "a.mp4")
    init(tmp_path)
    head, _, settings = (tmp_path / "flight.yaml").read_text().partition("shows all of them.\n")
    uncommented = re.sub("^# ", "", settings, flags=re.MULTILINE)
    content = yaml.safe_load(uncommented)
    assert content["detector"]["threshold"] == 0.8
    assert content["crops"]["stride"] == 1
    assert FlightConfig.model_validate(yaml.safe_load(head) | content) == FlightConfig.model_validate(
        yaml.safe_load(head)
    )
    keys = [line for line in uncommented.splitlines() if re.match(r" +\w+: ", line)]
    assert len(keys) == sum(map(len, content.values()))
    for line, before in zip(uncommented.splitlines()[1:], uncommented.splitlines(), strict=False):
        assert line not in keys or before.strip().startswith("# "), "a setting without a description"
    assert max(map(len, settings.splitlines())) <= 116


def test_a_file_that_is_there_is_kept(tmp_path):
    touch(tmp_path, "a.mp4")
    (tmp_path / "flight.yaml").write_text("mine")
    code, said = init(tmp_path)
    assert code == 1
    assert (
        said == f"uavpipe: {tmp_path}/flight.yaml: exists, and is kept; name another file by --out, or remove it\n"
    )
    assert (tmp_path / "flight.yaml").read_text() == "mine"
    assert init(tmp_path, "--out", tmp_path / "other.yaml")[0] == 0
    assert (tmp_path / "other.yaml").exists()


def test_videos_below_get_names_that_differ(tmp_path):
    touch(tmp_path, "card1/DJI_0001.MP4", "card2/DJI_0001.MP4", "card2/DJI_0002.MP4", ".trash/x.mp4")
    touch(tmp_path, "runs/x/overlay/overlay.mp4", "runs/report/clip.mp4", "runs/x/flight.json")
    code, said = init(tmp_path)
    assert code == 0, said
    assert named(tmp_path) == {
        "card1-DJI_0001": ["card1/DJI_0001.MP4"],
        "card2-DJI_0001": ["card2/DJI_0001.MP4"],
        "DJI_0002": ["card2/DJI_0002.MP4"],
    }


def test_files_that_continue_each_other_are_one_flight(tmp_path, monkeypatch):
    names = ["DJI_0001.mp4", "DJI_0002.mp4", "DJI_0003.mp4", "DJI_0004.mp4"]
    touch(tmp_path, *names)
    # Three minutes each; the first three without a pause.
    begins = dict(zip(names, (0, 180, 360, 900), strict=True))
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    monkeypatch.setattr(recording, "_FULL", 1)
    monkeypatch.setattr(
        recording.Recording,
        "of",
        lambda path: recording.Recording(noon + timedelta(seconds=begins[Path(path).name]), 180.0),
    )
    assert init(tmp_path)[0] == 0
    assert named(tmp_path) == {"DJI_0001": names[:3], "DJI_0004": names[3:]}


def test_a_folder_of_images_is_a_flight(tmp_path):
    folder = tmp_path / "flight7"
    folder.mkdir()
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), np.zeros((20, 30, 3), np.uint8))
    assert init(folder)[0] == 0
    assert named(folder) == {"flight7": ["."]}


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ((), "no video in this folder; expected one of 3gp, avi"),
        (("dataset.mp4",), "a flight cannot be named 'dataset' in a workspace; rename it"),
    ],
)
def test_what_cannot_be_a_flight_is_one_line(tmp_path, files, complaint):
    touch(tmp_path, *files)
    code, said = init(tmp_path)
    assert (code, len(said.splitlines())) == (1, 1)
    assert complaint in said
    assert not (tmp_path / "flight.yaml").exists()


def test_paths_of_the_file_are_relative_to_it(tmp_path):
    touch(tmp_path, "videos/a.mp4")
    code, said = init(tmp_path / "videos", "--out", tmp_path / "flight.yaml")
    assert code == 2
    assert "expected a file in" in said
