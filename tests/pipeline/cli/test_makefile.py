"""Names from the command line through the Makefile to uavpipe, as they were typed."""

import os
import subprocess
from pathlib import Path

import pytest

RULES = Path(__file__).parents[3] / "Makefile"
NAMES = [
    "flight01.mp4",
    "my flights/DJI 0001.MP4",
    "take #2.mp4",
    "$HOME and $(HOME).mp4",
    "50% done.mp4",
    'it\'s "here".mp4',
    "a=b:c.mp4",
    "x,y (1).mp4",
    "a;b&c|d`e`.mp4",
    "[raw]*?~{1}.mp4",
    "back\\slash.mp4",
    b"caf\xe9.mp4",
]


@pytest.fixture
def make(tmp_path):
    """Runs `make` with a uavpipe that writes its arguments down; gives the arguments of each call."""
    for name in ("pyproject.toml", "constraints.txt", ".venv/.ready"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    program = tmp_path / ".venv" / "bin" / "uavpipe"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf \'%s\\0\' "$@" "" >> called\n')
    program.chmod(0o755)

    def run(*words):
        (tmp_path / "called").unlink(missing_ok=True)
        result = subprocess.run(["make", "-f", RULES, *words], cwd=tmp_path, capture_output=True)
        called = tmp_path / "called"
        calls = called.read_bytes().split(b"\0\0")[:-1] if called.exists() else []
        return result, [call.split(b"\0") for call in calls]

    return run


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", ["run", "tracks", "overlay"])
def test_a_video_keeps_its_name(make, target, name):
    word = os.fsencode(name)
    result, calls = make(target, b"VIDEO=" + word, b"WORKSPACE=" + word + b".runs", "SET=a.b=[1,2] c.d=x")
    assert result.returncode == 0, result.stderr
    assert calls[-1] == [
        *(target.encode(), word, b"--workspace", word + b".runs"),
        *(b"--set", b"a.b=[1,2]", b"--set", b"c.d=x"),
    ]


def test_stages_of_an_awkward_name_follow_each_other(make):
    _, calls = make("crops", "VIDEO=a b.mp4")
    assert [call[:2] for call in calls] == [[b"detect", b"a b.mp4"], [b"crops", b"a b.mp4"]]


def test_other_names_are_kept_too(make):
    _, ((*_, config),) = make("dataset", "CONFIG=my $(x) flight.yaml")
    assert config == b"my $(x) flight.yaml"
    _, (call,) = make("evaluate", "DATA=my crops", "WEIGHTS=a b.onnx")
    assert call[2:6] == [b"--weights", b"a b.onnx", b"--data", b"my crops"]


def test_a_line_break_is_refused(make):
    result, calls = make("detect", "VIDEO=a\nb.mp4")
    assert result.returncode == 2
    assert b"a name with a line break" in result.stderr
    assert calls == []


def test_train_and_evaluate_leave_recipe_and_protocol_to_uavpipe(make, tmp_path):
    def called(target, *words):
        result, (call,) = make(target, *words)
        assert result.returncode == 0, result.stderr
        return b" ".join(call).decode()

    trained = "reid train --config auto --data runs/dataset --out runs/reid"
    evaluated = "reid evaluate --weights runs/reid"
    assert called("train") == f"{trained}/finetune"
    assert called("evaluate") == (
        f"{evaluated}/finetune/last.safetensors --data runs/dataset --out runs/reid/finetune/test"
    )
    (tmp_path / "runs/reid/source").mkdir(parents=True)
    (tmp_path / "runs/reid/source/last.safetensors").touch()
    assert called("train", "PROTOCOL=flight") == f"{trained}/drone --protocol flight"
    assert called("evaluate").startswith(f"{evaluated}/drone/last.safetensors ")
    assert called("train", "REID=mine/recipe.yaml").startswith("reid train --config mine/recipe.yaml --data runs")
    assert called("train", "REID=source", "DATA=data/market1501") == (
        "reid train --config source --data data/market1501 --out runs/reid/source"
    )
