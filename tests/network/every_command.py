"""Every command of uavpipe, once each on a small workspace; with the libraries that report their use elsewhere.

python -m tests.network.every_command FOLDER

tests.network.count counts what this attempts. A process forked for each command saves their imports.
"""

import os
import shlex
import signal
import sys
import time
from pathlib import Path

import click
import cv2
import matplotlib.backends.backend_agg  # noqa: F401 - here, once, so that no child spends seconds on it
import numpy as np
import trackers  # noqa: F401

import reid.training.train  # noqa: F401
from pipeline.cli import main
from pipeline.labelling.from_ground_truth import label_by_ground_truth
from tests.faults.chain import start, wait

_RECIPE = """
network: {backbone: squeezenet1_1, height: 48, width: 24, global_branch: null}
init: random
sampler: {identities: 2, images: 2}
iterations: 2
decay_from: 1
"""
_DETECTOR = """
preset: small
train: [{annotations: stills/annotations.json, images: stills/images}]
iterations: 1
batch_size: 1
workers: 1
resize: {width: 128, height: 128}
"""
_FLIGHTS = """
videos: [a.mp4, b.mp4]
frames: {segment_frames: 8}
detector: {weights: embedded, device: cpu, floor: 0.02, threshold: 0.3, resize: {width: 320, height: 320}}
tracks: {begin: 0.2, high: 0.2, split_below: null}
dataset: {min_crops: 1, protocol: tracklet, gap_s: 0}
report: {clip_s: 1}
camera: {fov_deg: 65}
"""
_MADE = """
simulate a.mp4 --people 6 --seconds 2 --size 320x180 --fps 8 --altitude 12 --seed 1 --cast 3
simulate b.mp4 --people 6 --seconds 2 --size 320x180 --fps 8 --altitude 12 --seed 2 --cast 3
simulate-stills stills --count 3 --size 160x96 --workers 1
init --out draft.yaml
config --config flights.yaml
frames --config flights.yaml
detect --config flights.yaml
crops --config flights.yaml
tracks --config flights.yaml
overlay --config flights.yaml
score runs/a a.gt.txt
annotate embed --workspace runs
run --config flights.yaml --until tracks
""".strip().splitlines()
# Those that begin with `!` are refused: what they read is too large to be made here.
_LABELLED = """
label --workspace runs --port 0 --no-browser
annotate serve --workspace runs --port 0 --no-browser --no-suggest
annotate log --workspace runs
annotate agreement --workspace runs
annotate disagreements --workspace runs --format csv
annotate export log.jsonl --workspace runs
annotate replay log.jsonl --out again.sqlite
annotate import log.jsonl --workspace runs
people --workspace runs
annotate retrain --workspace runs --iterations 2
sightings --workspace runs
coverage --workspace runs --format geojson --out coverage.geojson
clip --person 1 --workspace runs
find people/query/0003_c1s1_000001_00.png --box 0,0,20,50 --html found.html --workspace runs
dataset --config flights.yaml
run --config flights.yaml
report --config flights.yaml
verify --workspace runs
status --workspace runs
trace 1 --workspace runs
anonymize runs/a --blur-people
forget 2 --workspace runs --yes
reid datasets
reid recipe
reid check market people
reid train --config recipe.yaml --data people --out reid-run
reid embed people/query --weights reid-run/last.safetensors --out features.npy --device cpu
reid search people/query/0003_c1s1_000001_00.png --data people/query --weights reid-run/last.safetensors --out f.jpg
reid evaluate --weights reid-run/last.safetensors --data people --protocol market --out measured
reid evaluate --weights reid-run/last.safetensors --data people --protocol market --flip --out flipped
reid compare measured flipped
reid transfer --weights m=reid-run/last.safetensors --data d=people --protocol d=market --out transfer
reid export reid-run/last.safetensors --out reid.onnx
reid export embedded --out reid.xml --precision fp16
reid inspect reid.onnx
reid embed people/query --weights reid.onnx --out features-onnx.npy --device cpu
! reid table1 --config recipe.yaml --out table1
! reid cut-cuhk-sysu people --out cut
! reid extract-cuhk03 recipe.yaml --out cuhk03
! detector import-detectron2 recipe.yaml --out imported.safetensors
! detector convert-visdrone people --out visdrone.json
! detector convert-yolo people --out yolo.json
detector pseudo-label a.mp4 --weights embedded --out pseudo --every 8 --set resize.width=160 --set resize.height=160
detector train --config detector.yaml --out detector-run
detector recipe small
detector anchors stills/annotations.json
detector evaluate stills/annotations.json stills/images --weights embedded
detector calibrate embedded --data stills/annotations.json stills/images --out calibrated.safetensors
detector export embedded --out small.onnx --set resize.width=160 --set resize.height=160
detections import a.gt.txt a.mp4 --workspace imported --set frames.segment_frames=8
detector inspect small.onnx
detect a.mp4 --workspace onnx --set detector.backend=onnx --set detector.weights=small.onnx
detector export embedded --out small.xml --set resize.width=160 --set resize.height=160
detector export embedded --out int8.xml --calibrate a.mp4 --frames 2 --set resize.width=160 --set resize.height=160
detect a.mp4 --workspace openvino --set detector.backend=openvino --set detector.weights=small.xml
doctor
completion bash
weights list
! weights get coco --out recipe.yaml
""".strip().splitlines()


_PATIENCE_S = 120  # in which a server must begin to serve


def names() -> set[str]:
    """The commands that are run here, without their arguments; `make demo` counts the demo's."""
    return {" ".join(_command(line.lstrip("! "))) for line in [*_MADE, *_LABELLED]}


def _command(line: str) -> list[str]:
    words, group = shlex.split(line), main
    for place, word in enumerate(words):
        group = group.get_command(click.Context(group), word)
        if not isinstance(group, click.Group):
            return words[: place + 1]
    raise ValueError(line)


def every_name(group: click.Group = main, before: tuple[str, ...] = ()) -> set[str]:
    """The names of all commands that uavpipe has."""
    found = set()
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        words = (*before, name)
        found |= every_name(command, words) if isinstance(command, click.Group) else {" ".join(words)}
    return found


def _make_people() -> None:
    """A small Market-1501 folder."""
    for part, persons, camera in (("train", (1, 2), 1), ("query", (3, 4), 1), ("test", (3, 4), 2)):
        part = part if part == "query" else f"bounding_box_{part}"
        Path("people", part).mkdir(parents=True)
        for person in persons:
            for number in (1, 2):
                picture = np.random.default_rng((person, number, camera)).integers(0, 256, (50, 20, 3), np.uint8)
                cv2.imwrite(f"people/{part}/000{person}_c{camera}s1_00000{number}_00.png", picture)


def _run(line: str) -> None:
    """Run one command in a child process; end it where it serves."""
    words = shlex.split(line.lstrip("! "))
    said = Path("said.txt")
    child = start(lambda: _uavpipe(words), said)
    if "--no-browser" in words:
        begun = time.monotonic()
        while "labelling at" not in said.read_text():
            if time.monotonic() - begun > _PATIENCE_S:
                os.kill(child, signal.SIGKILL)
                raise SystemExit(f"{line}: does not serve\n{said.read_text()}")
            time.sleep(0.1)
        time.sleep(1)
        os.kill(child, signal.SIGINT)
    ending = wait(child, said)
    stopped = "--no-browser" in words and "uavpipe: stopped" in ending.said
    if (ending.code != 0) != (line.startswith("!") or stopped):
        raise SystemExit(f"{line}: code {ending.code}\n{ending.said}")
    print(f"  {line}", flush=True)


def _uavpipe(words: list[str]) -> None:
    code = main(words, standalone_mode=False)
    if code:
        raise SystemExit(code)


def run_all(folder: Path) -> None:
    """Run them all in `folder`, which is empty."""
    os.chdir(folder)
    for name, text in (("recipe.yaml", _RECIPE), ("detector.yaml", _DETECTOR), ("flights.yaml", _FLIGHTS)):
        Path(name).write_text(text)
    _make_people()
    for line in _MADE:
        _run(line)
    label_by_ground_truth(Path("runs"), {name: Path(f"{name}.gt.txt") for name in "ab"})
    for line in _LABELLED:
        _run(line)


if __name__ == "__main__":
    run_all(Path(sys.argv[1]))
