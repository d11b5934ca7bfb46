"""`--json`: every command that answers a question has it, and prints nothing else on the standard output."""

import json
import tarfile
from pathlib import Path

import click
import pandas as pd
import pytest
from click.testing import CliRunner

from pipeline.cli import main
from tests.network.every_command import every_name
from tests.pipeline.run.test_status import ARCHIVE

TRUTH = "truth.txt"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A workspace of two labelled flights, and a ground truth of the boxes that its detector was sure of."""
    folder = tmp_path_factory.mktemp("home")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    sure = pd.read_parquet(folder / "runs/flight1/detections/detections.parquet").query("score >= 0.8")
    rows = (
        f"{row.frame + 1},{person},{row.x1},{row.y1},{row.x2 - row.x1},{row.y2 - row.y1},1,1,1\n"
        for person, row in enumerate(sure.itertuples(), 1)
    )
    (folder / TRUTH).write_text("".join(rows))
    return folder


@pytest.fixture(autouse=True)
def _at_home(home, monkeypatch):
    monkeypatch.chdir(home)


def run(line):
    return CliRunner().invoke(main, line.split())


def answer(line, code=0):
    shown = run(line)
    assert shown.exit_code == code, shown.output
    return json.loads(shown.stdout, parse_constant=pytest.fail)


def test_status():
    found = answer("status --json")
    assert [flight["flight"] for flight in found["flights"]] == ["flight1", "flight2"]
    assert found["labels"]["labelled"] == 8


def test_verify_has_every_finding_and_its_exit_status(home):
    crop = next(Path("runs/flight1/crops").rglob("*.jpg"))
    kept = crop.read_bytes()
    assert [result["findings"] for result in answer("verify --json")] == [[], [], []]
    crop.write_bytes(b"")
    try:
        findings = [each for result in answer("verify --json", 1) for each in result["findings"]]
        assert str(crop) in {each["path"] for each in findings}
        text = run("verify").output
        assert [each for each in findings if each["path"] not in text or each["mend"] not in text] == []
    finally:
        crop.write_bytes(kept)


def test_trace_of_an_identity():
    assert answer("trace 1 --json")["identity"] == 1


@pytest.mark.parametrize("command", ["sightings", "annotate agreement", "annotate disagreements"])
def test_it_is_short_for_the_format(command):
    assert answer(f"{command} --json") == answer(f"{command} --format json")


def test_the_log_of_labels():
    entries = answer("annotate log --json")
    assert [entry["sequence"] for entry in entries] == [*range(1, len(run("annotate log").stdout.splitlines()) + 1)]
    assert entries[0]["operation"]["op"] == "add_flight"
    assert answer("annotate log --last 1 --json") == entries[-1:]


def test_figures_that_are_not_defined_are_null():
    found = answer(f"score flight1 {TRUTH} --threshold 0.8 --threshold 1 --json")
    sure, nothing = found["detections"]
    assert (sure["recall"], sure["precision"]) == (1, 1)
    assert (nothing["recall"], nothing["precision"]) == (0, None)
    assert found["tracklets"]["persons"] == sure["persons"]


def test_of_one_annotated_target_what_needs_the_others_is_null():
    frame = pd.read_parquet("runs/flight1/detections/detections.parquet").query("score >= 0.8").frame.min()
    target = next(line for line in Path(TRUTH).read_text().splitlines() if line.startswith(f"{frame + 1},"))
    Path("target.txt").write_text("nan,nan,nan,nan\n" * frame + ",".join(target.split(",")[2:6]) + "\n")
    found = answer("score flight1 target.txt --threshold 0.8 --json")
    assert found["detections"][0]["recall"] == 1
    assert found["detections"][0]["precision"] is None
    assert found["tracklets"]["hota"] is None
    assert found["tracklets"]["purity"] == 1


def test_the_counts_of_a_data_set():
    found = answer("reid check market runs/dataset --json")
    assert {part: row["images"] for part, row in found["parts"].items()} == {"train": 27, "query": 2, "gallery": 19}


def test_the_formats_of_data_sets():
    assert [each["name"] for each in answer("reid datasets --json")] == [
        line for line in run("reid datasets").stdout.splitlines() if not line.startswith(" ")
    ]


def test_public_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for each in answer("weights list --json"):
        assert not each["here"]
        assert each["url"].endswith(f"-{each['sha256']}.pth")


def test_the_check_of_the_environment():
    lines = [line for line in run("doctor --no-timing").stdout.splitlines() if not line.startswith(" ")]
    found = answer("doctor --no-timing --json")
    assert [(each["mark"], each["what"]) for each in found] == [
        (line.split()[0].lower(), line.split(maxsplit=1)[1]) for line in lines
    ]


def test_the_configuration():
    assert answer("config a.mp4 --set detector.threshold=0.6 --json")["detector"]["threshold"] == 0.6


def _has_json(name):
    command, context = main, click.Context(main)
    for word in name.split():
        command = command.get_command(context, word)
    return any("--json" in parameter.opts for parameter in command.params)


def test_every_command_that_answers_a_question_has_it():
    # `coverage` writes GeoJSON; the others that print something write files, run stages, or serve.
    assert {name for name in every_name() if _has_json(name)} == {
        *("status", "verify", "trace", "sightings", "find", "people", "score", "config", "doctor", "weights list"),
        *("annotate log", "annotate agreement", "annotate disagreements"),
        *("reid compare", "reid check", "reid datasets"),
    }
