"""What a command that fails leaves behind: nothing that was not there, but for finished work."""

import os
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.cli.leftovers import none_left
from pipeline.workspace.folders import LOCK, discard_notes, locked
from tests.pipeline.video.samples import write_video

# Each with an input that cannot be used; `deep/out` is not there, and nor is `runs`.
REFUSED = """
run broken.mp4
run cut.mp4 --workspace deep/runs
run no_pictures
run missing.mp4
run good.mp4 --set detector.thresh=1
run good.mp4 --set detector.weights=none.safetensors
run --config broken.yaml
frames broken.mp4
detect broken.mp4
crops broken.mp4 --set camera.fov_deg=70
crops good.mp4 --set detector.weights=embedded --set detector.device=cuda:99
tracks broken.mp4
overlay broken.mp4
run broken.mp4 --shard 1/2
detections import missing.txt good.mp4
label
annotate serve
annotate log
annotate embed
annotate retrain
annotate export deep/out/log.jsonl
annotate replay broken.txt --out deep/out/labels.sqlite
annotate import broken.txt
sightings --out deep/out/s.csv
find good.png --out deep/out/f.csv
clip --person 1
dataset
report
status
verify
trace 1
score good.mp4 broken.txt
anonymize good.mp4 --blur-people
forget 1 --yes
init --out deep/out/flight.yaml missing.mp4
simulate deep/out/a.txt --seconds 1
weights get nothing --out deep/out/w.safetensors
reid train --config broken.yaml --data market:no_pictures --output deep/out
reid embed no_pictures --weights broken.safetensors --out deep/out/f.npy
reid search good.png --data market:no_pictures --weights broken.safetensors --out deep/out/f.jpg
reid evaluate --weights broken.safetensors --data market:no_pictures --protocol market --out deep/out
reid compare no_pictures no_pictures
reid transfer --weights m=broken.safetensors --data d=market:no_pictures --out deep/out
reid export broken.safetensors --out deep/out/m.onnx
reid inspect broken.onnx
reid check market no_pictures
reid table1 --config broken.yaml --output deep/out
reid cut-cuhk-sysu no_pictures --out deep/out
reid extract-cuhk03 broken.mat --out deep/out
detector train --config broken.yaml --output deep/out
detector evaluate broken.json no_pictures --weights embedded --out deep/out --save deep/saved/d.json
detector calibrate embedded --data broken.json no_pictures --out deep/out/c.safetensors
detector pseudo-label broken.mp4 --weights embedded --out deep/out
detector export broken.safetensors --out deep/out/m.onnx
detector inspect broken.onnx
detector import-detectron2 broken.yaml --out deep/out/i.safetensors
detector convert-yolo no_pictures --out deep/out/y.json
detector convert-visdrone no_pictures --out deep/out/v.json
detector anchors broken.json --plot deep/out/a.png
"""


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """A folder with a sound video and picture, and broken files of all kinds."""
    monkeypatch.chdir(tmp_path)
    write_video(Path("good.mp4"), frames=4)
    Path("cut.mp4").write_bytes(Path("good.mp4").read_bytes()[:400])
    for suffix in ("mp4", "txt", "yaml", "json", "safetensors", "onnx", "mat"):
        Path(f"broken.{suffix}").write_bytes(b"nothing: [of, the kind\n")
    Path("good.png").write_bytes(b"")
    Path("no_pictures").mkdir()


def there():
    return sorted(path.as_posix() for path in Path().rglob("*"))


@pytest.mark.parametrize("line", REFUSED.strip().splitlines())
def test_a_refused_command_leaves_nothing_behind(inputs, line):
    before = there()
    ended = CliRunner().invoke(main, shlex.split(line))
    assert ended.exit_code in (1, 2), ended.output
    assert isinstance(ended.exception, SystemExit), ended.output
    assert there() == before, ended.output


def test_finished_work_stays(inputs):
    ended = CliRunner().invoke(main, ["frames", "good.mp4"])
    assert ended.exit_code == 0
    finished = there()
    weights = ["--set", "detector.weights=embedded", "--set", "detector.device=cuda:99"]
    assert CliRunner().invoke(main, ["crops", "good.mp4", *weights]).exit_code == 1
    assert set(there()) - set(finished) == {"runs/good/.failed.json"}
    assert set(finished) <= set(there())


def test_of_several_flights_the_failed_one_keeps_its_error(inputs):
    ended = CliRunner().invoke(main, ["run", "broken.mp4", "good.mp4", "--until", "frames"])
    assert ended.exit_code == 1
    assert Path("runs/broken/.failed.json").exists()
    assert Path("runs/good/frames/manifest.json").exists()


def test_a_flight_without_results_does_not_keep_its_name_from_another_video(inputs):
    Path("other").mkdir()
    write_video(Path("other/broken.mp4"), frames=4)
    videos = ["run", "broken.mp4", "good.mp4", "--until", "frames"]
    assert CliRunner().invoke(main, videos).exit_code == 1
    ended = CliRunner().invoke(main, ["frames", "other/broken.mp4"])
    assert ended.exit_code == 0, ended.output


def test_a_folder_that_was_there_stays_even_if_it_is_empty(inputs):
    Path("deep/out").mkdir(parents=True)
    ended = CliRunner().invoke(main, ["detector", "convert-yolo", "no_pictures", "--out", "deep/out/y.json"])
    assert ended.exit_code == 1
    assert Path("deep/out").is_dir()


def test_only_what_was_made_within_is_removed(tmp_path):
    with pytest.raises(ZeroDivisionError), none_left():
        (tmp_path / "a" / "b").mkdir(parents=True)
        os.makedirs(tmp_path / "c" / "d")  # noqa: PTH103
        (tmp_path / "c" / "kept").write_text("a result")
        raise ZeroDivisionError
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["c", "kept"]


def test_notes_of_a_flight_at_work_are_not_discarded(tmp_path):
    flight = tmp_path / "flight"
    with locked(flight):
        discard_notes(flight)
        assert (flight / LOCK).exists()
    discard_notes(flight)
    assert not (flight / LOCK).exists()
