"""The README's commands and its Python, run in the order in which they appear."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from annotate.operations import NewIdentity
from annotate.project import Project
from pipeline.cli import main
from pipeline.simulate import simulate_flight

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
# These install, serve, or take minutes; what they would do is looked at, not done. `make demo` is a step of CI.
_LOOKED_AT = {"demo", "label", "setup", "test", "lint", "fuzz", "faults", "openvino"}


def commands():
    """Every command in the README, code blocks and text, in its order, each once."""
    blocks = r"^ {4}((?:make|uavpipe) [^#\n]*)"
    inline = r"`((?:make|(?:\.venv/bin/)?uavpipe) ?[^`]*)`"
    found = re.finditer(f"{blocks}|{inline}", README, re.MULTILINE)
    texts = ((match[1] or match[2]).replace("…", "flight01.mp4").strip() for match in found)
    return list(dict.fromkeys(texts))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two flights and the configuration that the README shows."""
    folder = tmp_path_factory.mktemp("home")
    for number in (1, 2):
        simulate_flight(
            folder / f"flight{number:02d}.mp4",
            people=6,
            seconds=1,
            seed=number,
            size=(640, 360),
            fps=8,
            altitude=12,
        )
    yaml = re.search(r"^ {4}# flight\.yaml\n((?: {4}.*\n)+)", README, re.MULTILINE)
    (folder / "flight.yaml").write_text(re.sub("^ {4}", "", yaml[1], flags=re.MULTILINE))
    return folder


def test_there_are_commands():
    assert {"make demo", "make crops VIDEO=flight01.mp4", "make run CONFIG=flight.yaml"} <= set(commands())


def test_the_python_runs(folder):
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    persons = [int(count) for count in re.findall(r"^\d\.\d\d s: (\d+) persons$", result.stdout, re.MULTILINE)]
    assert len(persons) == 8 == len(result.stdout.splitlines())
    assert max(persons) > 0


def test_the_commands_run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for command in commands():
        words = shlex.split(command)
        if words[0] == "make":
            _make(words[1:], folder)
        else:
            _uavpipe(words[1:])
    assert list(folder.glob("runs/flight0[12]/tracks/tracklets.parquet"))
    assert (folder / "runs" / "dataset" / "dataset.parquet").exists()


def _make(arguments, folder):
    if arguments == ["dataset"]:
        _label_everybody_as_one(folder / "runs")
    dry = ["-n"] if not arguments or arguments[0] in _LOOKED_AT else []
    ready = Path(sys.prefix) / ".ready"
    result = subprocess.run(
        ["make", "-f", ROOT / "Makefile", f"VENV={sys.prefix}", "-o", ready, *dry, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, f"make {arguments}: {result.stdout}{result.stderr}"
    for line in result.stdout.splitlines() if dry else []:
        if "bin/uavpipe " in line:
            _uavpipe([*shlex.split(line.partition("bin/uavpipe ")[2]), "--help"])


def _uavpipe(arguments):
    result = CliRunner().invoke(main, arguments or ["--help"])
    assert result.exit_code == 0, f"uavpipe {arguments}: {result.output}"


def _label_everybody_as_one(workspace):
    project = Project(workspace)
    with project.reading() as state:
        everybody = tuple(sorted(state.tracklets))
    project.store.apply(NewIdentity(tracklets=everybody), user="ann", id="everybody")
    project.close()
