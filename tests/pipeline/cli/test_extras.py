"""Every command where only the core is installed: it works, or says in one line which extra it needs."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pipeline.cli.extras import EXTRA_OF
from tests.network.every_command import every_name

ROOT = Path(__file__).parents[3]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]

# Takes the packages of all extras away, as where they are not installed.
CORE = f"""
from importlib.machinery import PathFinder

find = PathFinder.find_spec

def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in {sorted(EXTRA_OF)} else find(name, path, target)

PathFinder.find_spec = find_spec
"""
# In this order. Their detections are another tool's: here, the simulator's ground truth.
WORK = """
simulate a.mp4 --people 6 --seconds 1 --size 320x180 --fps 8 --altitude 12 --seed 1 --cast 3
simulate b.mp4 --people 6 --seconds 1 --size 320x180 --fps 8 --altitude 12 --seed 2 --cast 3
simulate-stills stills --count 1 --size 160x96 --workers 1
init --out draft.yaml
config
frames a.mp4
detections import a.gt.txt a.mp4 --set crops.min_height=4
detections import b.gt.txt b.mp4 --set crops.min_height=4
crops a.mp4 b.mp4 --set crops.min_height=4
tracks a.mp4 b.mp4 --set crops.min_height=4
detect a.mp4
overlay a
score runs/a a.gt.txt
label
annotate serve
annotate log
annotate export log.jsonl
annotate replay log.jsonl --out again.sqlite
annotate import log.jsonl
annotate agreement
annotate disagreements
sightings
clip --person 1
dataset --set dataset.min_crops=1 --set dataset.protocol=tracklet --set dataset.gap_s=0
run a.mp4 b.mp4 --until dataset --set dataset.min_crops=1 --set dataset.protocol=tracklet --set dataset.gap_s=0
report
status
verify
trace 1
anonymize a --blur-people
forget 2 --yes
reid datasets
reid recipe
detector recipe
detector anchors stills/annotations.json
weights list
doctor
completion bash
"""
# extra: what needs it
NEED = {
    "detect": """
crops a.mp4 --workspace new
run a.mp4 --workspace new
annotate embed
find --person 1
people
reid embed stills --weights reid.safetensors --out features.npy
reid search a.jpg --data stills --weights reid.safetensors --out found.jpg
reid evaluate --weights reid.safetensors --data stills --out measured
reid transfer --weights m=reid.safetensors --data d=stills --out transfer
reid export reid.safetensors --out reid.onnx
reid inspect reid.onnx
detector pseudo-label a.mp4 --weights embedded --out pseudo
detector evaluate stills/annotations.json stills/images --weights embedded
detector calibrate embedded --data stills/annotations.json stills/images --out calibrated.safetensors
detector export embedded --out small.onnx
detector inspect small.onnx
detector import-detectron2 draft.yaml --out imported.safetensors
""",
    "train": """
demo
annotate retrain
reid train --config source --data stills --output reid-run
reid table1 --config table1 --output table1
detector train --config small --output detector-run
""",
    "cuhk03": "reid extract-cuhk03 a.mp4 --out cuhk03",
    "terrain": "run a.mp4 --workspace new --set terrain=a.mp4",
    "ray": "run a.mp4 --workspace new --ray",
}
# They read what is not made here: too large, written by others, of a known camera; their imports are the core's.
ELSEWHERE = {
    "coverage": "coverage",
    "weights get": "weights get coco --out draft.yaml",
    "reid compare": "reid compare stills stills",
    "reid check": "reid check market stills",
    "reid cut-cuhk-sysu": "reid cut-cuhk-sysu stills --out cut",
    "detector convert-yolo": "detector convert-yolo stills --out yolo.json",
    "detector convert-visdrone": "detector convert-visdrone stills --out visdrone.json",
}
RUN = """
import json, os, shlex, signal, sys, threading, time
from pathlib import Path
from click.testing import CliRunner
from pipeline.cli import main

def stop_when_it_serves():
    while b"labelling at" not in getattr(sys.stdout.buffer, "getvalue", bytes)():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)

def run(line):
    if line in ("label", "annotate serve"):
        if not Path("runs/labels.sqlite").exists():
            from pipeline.labelling.from_ground_truth import label_by_ground_truth
            label_by_ground_truth(Path("runs"), {name: Path(f"{name}.gt.txt") for name in "ab"})
        line += " --no-browser --port 0"
        threading.Thread(target=stop_when_it_serves, daemon=True).start()
    before = {str(path) for path in Path().rglob("*")}
    ended = CliRunner().invoke(main, shlex.split(line))
    left = sorted({str(path) for path in Path().rglob("*")} - before)
    return ended.exit_code, ended.output, left, repr(ended.exception)

print(json.dumps({line: run(line) for line in json.loads(sys.argv[1])}))
"""


def lines(text):
    return text.strip().splitlines()


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """line -> exit status, output, what is left behind, and the error."""
    folder = tmp_path_factory.mktemp("core")
    (folder / "sitecustomize.py").write_text(CORE)
    every = [*lines(WORK), *(line for text in NEED.values() for line in lines(text)), *ELSEWHERE.values()]
    result = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(every)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("line", lines(WORK))
def test_it_works_without_any_extra(ended, line):
    code, output, _, error = ended[line]
    serves = line in ("label", "annotate serve")
    assert code == (130 if serves else 0), output + error
    assert "labelling at http://127.0.0.1:" in output or not serves


@pytest.mark.parametrize(("extra", "line"), [(extra, line) for extra in NEED for line in lines(NEED[extra])])
def test_it_says_in_one_line_what_to_install_and_leaves_nothing(ended, extra, line):
    code, output, left, _ = ended[line]
    assert code == 1
    assert output.splitlines()[-1].startswith("uavpipe: ")
    assert output.endswith(f"pip install 'uavpipe[{extra}]'\n")
    assert left == []


@pytest.mark.parametrize("line", ELSEWHERE.values())
def test_it_refuses_its_input_and_not_the_installation(ended, line):
    code, output, left, error = ended[line]
    assert (code, left) == (1, []), output + error
    assert "pip install" not in output


def test_every_command_is_tried():
    tried = {line for text in (WORK, *NEED.values()) for line in lines(text)}
    names = {name for name in every_name() if any(f"{line} ".startswith(f"{name} ") for line in tried)}
    assert names | set(ELSEWHERE) == every_name()


def test_the_extras_are_those_of_the_project():
    named = {extra: {entry.partition(">")[0] for entry in EXTRAS[extra]} for extra in set(EXTRA_OF.values())}
    for package, extra in EXTRA_OF.items():
        assert package in named[extra]
    own = {name for names in named.values() for name in names if not name.startswith("uavpipe[")}
    assert own == set(EXTRA_OF)


def test_all_has_every_extra_of_a_user():
    (entry,) = EXTRAS["all"]
    within = set(entry.removeprefix("uavpipe[").removesuffix("]").split(","))
    assert within | {"detect"} == set(EXTRA_OF.values())
    assert "uavpipe[detect]" in EXTRAS["train"]
