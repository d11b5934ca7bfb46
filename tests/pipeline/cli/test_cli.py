import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner

from pipeline.cli import main
from reid.checkpoint import save_checkpoint
from reid.config import NetworkConfig


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_help_imports_nothing_heavy():
    heavy = ("torch", "cv2", "numpy", "pandas", "av", "pydantic")
    code = "import sys; sys.argv[1:] = ['--help']\nfrom pipeline.cli import main\n"
    code += f"try: main()\nexcept SystemExit: print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "Detect the persons in every frame" in shown
    assert shown.splitlines()[-1] == "[]"


def test_every_command_has_a_help_text():
    names = re.findall(r"^  ([a-z]\S*)  ", run("--help").output, re.MULTILINE)
    assert {"frames", "detect", "crops", "overlay", "simulate", "doctor"} <= set(names)
    for name in names:
        shown = run(name, "--help")
        assert shown.exit_code == 0, shown.output
        assert "Usage:" in shown.output


def test_a_former_name_is_an_alias():
    context = click.Context(main)
    assert main.get_command(context, "export") is main.get_command(context, "anonymize")
    assert "\n  export " not in run("--help").output


def test_the_schema_describes_every_section():
    schema = json.loads(run("config", "--schema").output)
    sections = {"engine", "frames", "detector", "crops", "tracks", "overlay", "dataset", "reid", "report"}
    assert sections | {"video", "videos", "workspace", "telemetry", "camera", "places", "terrain"} == set(
        schema["properties"]
    )


def test_the_configuration_is_printed_with_its_defaults():
    shown = run("config", "a.mp4", "--set", "detector.threshold=0.6").output
    assert "threshold: 0.6" in shown
    assert "floor: 0.05" in shown


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("detect",), "no video: name one"),
        (("detect", "gone.mp4"), "gone.mp4: no such video file"),
        (("detect", "a.mp4", "--set", "detector.treshold=1"), "did you mean 'threshold'?"),
        (("detect", "a.mp4", "--config", "gone.yaml"), "gone.yaml: no such configuration file"),
        (("score", "gone", "gt.txt"), "gone: no such flight in runs; give its name, folder or video"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    shown = run(*arguments)
    assert shown.exit_code == 1
    assert expected in shown.output
    assert len(shown.output.splitlines()) == 1
    assert isinstance(shown.exception, SystemExit)


def test_a_workspace_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "flight.mp4").write_bytes(b"not empty")
    (tmp_path / "runs").write_text("a file where the workspace should be")
    shown = run("detect", tmp_path / "flight.mp4", "--workspace", tmp_path / "runs")
    assert shown.exit_code == 1
    assert "choose another --workspace" in shown.output
    assert len(shown.output.splitlines()) == 1


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOTEMPTY, errno.EBUSY])
def test_a_file_that_another_program_removes_or_holds_is_one_line(tmp_path, monkeypatch, number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number), "runs/a/part-00000000.parquet")

    monkeypatch.setattr("pipeline.run.flight.open_flight", fail)
    (tmp_path / "flight.mp4").write_bytes(b"not empty")
    shown = run("frames", tmp_path / "flight.mp4", "--workspace", tmp_path / "runs")
    assert shown.exit_code == 1
    assert shown.output == (
        f"uavpipe: runs/a/part-00000000.parquet: {os.strerror(number)}; finished work is kept: run again\n"
    )


def test_doctor_names_what_is_there(monkeypatch):
    monkeypatch.delenv("UAVPIPE_OFFLINE", raising=False)  # yet nobody is asked for weights
    shown = run("doctor")
    assert shown.exit_code == 0, shown.output
    for word in (
        "torch",
        "opencv",
        "PyAV",
        "detectron2",
        "weights",
        "terms of the detector's weights",
        "embedder weights",
        "cores",
        "a minute of",
    ):
        assert word in shown.output


def test_doctor_repeats_the_terms_of_both_networks(tmp_path, monkeypatch):
    network = NetworkConfig(backbone="squeezenet1_1", global_branch=None)
    for training, shown in (({"terms": "made of cats"}, True), ({"terms": ["no", "line"]}, False), ({}, False)):
        save_checkpoint(tmp_path / "a.safetensors", {"a": torch.zeros(1)}, network=network, training=training)
        monkeypatch.setattr("reid.weights.EMBEDDED", tmp_path / "a.safetensors")
        printed = run("doctor", "--no-timing").output
        assert "terms of the detector's weights: trained in part on images of VisDrone" in printed
        assert ("terms of the embedder's weights: made of cats" in printed) == shown
        assert printed.count("terms of") == 1 + shown


def test_make_alone_explains_itself():
    root = Path(__file__).parents[3]
    shown = subprocess.run(["make", "--no-print-directory"], cwd=root, capture_output=True, text=True, check=True)
    for target in ("detect", "crops", "overlay", "demo", "test", "doctor"):
        assert f"make {target}" in shown.stdout


@pytest.mark.parametrize("stage", ["detections", "crops", "tracks"])
def test_make_works_again_with_newer_weights(stage, tmp_path):
    rules = Path(__file__).parents[3] / "Makefile"
    made = [f"runs/flight/{name}/manifest.json" for name in ("detections", "crops", "tracks")]
    older = ["pyproject.toml", "constraints.txt", ".venv/.ready", "flight.mp4", *made]
    target = {"detections": "detect"}.get(stage, stage)

    def would_run():
        command = ["make", "-n", "-f", rules, target, "VIDEO=flight.mp4"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    for age, name in enumerate([*older, "weights/mine.safetensors"]):
        if name.startswith("weights"):
            assert "uavpipe" not in would_run()
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (1e9 + age,) * 2)
    assert f"uavpipe {target} " in would_run()


def test_make_evaluates_the_network_that_make_trained(tmp_path):
    (tmp_path / "weights").mkdir()
    for name in ("weights/detector.safetensors", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    command = ["make", "-n", "-f", Path(__file__).parents[3] / "Makefile", "evaluate"]
    for given, taken in (([], "runs/reid/finetune/last.safetensors"), (["WEIGHTS=a.onnx"], "a.onnx")):
        shown = subprocess.run([*command, *given], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert f"--weights {taken} --data runs/dataset" in shown
