"""Files that somebody else made: pipes and devices are refused at once, by all packages and commands."""

import os

import numpy as np
import pytest
from click.testing import CliRunner

import annotate.files
import detector.files
import pipeline.files
import reid.files
from annotate.log.store import LABELS
from pipeline.cli import main
from pipeline.files import is_inside
from pipeline.workspace.jpeg import write_jpeg
from reid.weights import EMBEDDED

PACKAGES = [annotate.files, detector.files, pipeline.files, reid.files]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("package", PACKAGES)
def test_pipes_devices_and_huge_files_are_refused(package, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match="not a regular file"):
            package.open_regular(tmp_path / name)
        with pytest.raises(OSError, match="not a regular file"):
            package.read_regular(tmp_path / name)
    (tmp_path / "file").write_bytes(b"12345")
    assert package.read_regular(tmp_path / "file") == b"12345"
    monkeypatch.setattr(package, "LARGEST", 4)
    with pytest.raises(OSError, match="too large: 5 bytes"):
        package.read_regular(tmp_path / "file")


def test_a_link_out_of_a_folder_is_not_inside(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link").symlink_to(tmp_path)
    assert is_inside(tmp_path / "a" / "x", tmp_path / "a")
    assert not is_inside(tmp_path / "a" / "link" / "x", tmp_path / "a")
    assert not is_inside(tmp_path / "a" / ".." / "x", tmp_path / "a")


def pipe(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    return path


def market(folder):
    pipe(folder / "query" / "0001_c1s1_000001_00.jpg")
    return folder


def xml(folder):
    return f"detector={{backend: openvino, weights: {pipe(folder / 'w.xml')}}}"


def labels(folder):
    return ["--features", *features(folder), "--labels", *[pipe(folder / "labels.csv")] * 2]


def matrices(folder):
    (folder / "f.csv").write_text("identity\n1\n")
    return [pipe(folder / "f.npy")] * 2


COMMANDS = {
    "video": lambda at: ["run", pipe(at / "v.mp4")],
    "subtitles": lambda at: ["frames", video(at), "--set", f"telemetry={pipe(at / 'v.SRT')}"],
    "settings": lambda at: ["run", "--config", pipe(at / "c.yaml")],
    "weights": lambda at: ["detect", video(at), "--set", f"detector.weights={pipe(at / 'w.safetensors')}"],
    "exported weights": lambda at: ["detect", video(at), "--set", xml(at)],
    "market": lambda at: ["annotate", "import", market(at / "m"), "--workspace", at / "runs"],
    "data": lambda at: ["reid", "evaluate", "--weights", EMBEDDED, "--data", market(at / "m"), "--out", at / "o"],
    "labels": lambda at: ["reid", "evaluate", *labels(at), "--out", at / "o"],
    "features": lambda at: ["reid", "evaluate", "--features", *matrices(at), "--out", at / "o"],
    "csv": lambda at: ["reid", "check", "csv", pipe(at / "x.csv")],
    "log": lambda at: ["annotate", "replay", pipe(at / "log.jsonl"), "--out", at / LABELS],
}


def video(folder):
    (folder / "v").mkdir()
    for number in range(2):
        picture = np.random.default_rng(number).integers(0, 255, (90, 120, 3)).astype(np.uint8)
        write_jpeg(folder / "v" / f"{number}.jpg", picture, 90)
    return folder / "v"


def features(folder):
    for name in ("q.npy", "g.npy"):
        np.save(folder / name, np.ones((2, 4), np.float32))
    return folder / "q.npy", folder / "g.npy"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", COMMANDS)
def test_a_pipe_hangs_no_command(what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, list(map(str, COMMANDS[what](tmp_path))))
    assert result.exit_code in (1, 2), result.output
    assert isinstance(result.exception, SystemExit), result.exception
    last = result.output.splitlines()[-1]
    assert last.startswith(("uavpipe: ", "Error: ", "failed: ", "1 of 1")), result.output
