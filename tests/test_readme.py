"""The README's `make` commands, run in their order; tests/test_wheel.py runs the others, and its Python."""

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
_LOOKED_AT = {"demo", "docs", "find", "gpu", "label", "reid", "setup", "test", "lint", "fuzz", "faults"}
_LOOKED_AT |= {"openvino"}


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
    return flights(tmp_path_factory.mktemp("home"))


def flights(folder):
    """Write two flights and the README's configuration to `folder`."""
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


def python():
    """The README's Python, and what it shows that this prints."""
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    shown = re.search(r"^```python\n.*?^```\n\n((?: {4}[^\n]*\n)+)", README, re.MULTILINE | re.DOTALL)[1]
    return code, re.sub("^ {4}", "", shown, flags=re.MULTILINE)


def forms(output):
    """The lines of an output, numbers and blanks aside, each once."""
    lines = (re.sub(r"\s+", " ", re.sub(r"[\d.]+", "0", line)).strip() for line in output.splitlines())
    return list(dict.fromkeys(line for line in lines if line != "…"))


def test_the_make_commands_run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for words in map(shlex.split, commands()):
        if words[0] == "make":
            _make(words[1:], folder)
    assert list(folder.glob("runs/flight0[12]/tracks/tracklets.parquet"))


def prepared(arguments, folder):
    """The words to run for those that the README shows: what serves or takes minutes is asked for its help."""
    if arguments == ["init"]:
        return ["init", "--out", f"{folder}/flights.yaml"]  # flight.yaml is there, and is the README's
    if arguments == ["dataset"]:
        _label_everybody_as_one(folder / "runs")
    return [*arguments, "--help"] if not arguments or arguments[0] in _LOOKED_AT else arguments


def _make(arguments, folder):
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
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, f"uavpipe {arguments}: {result.output}"


def _label_everybody_as_one(workspace):
    project = Project(workspace)
    with project.reading() as state:
        everybody = tuple(sorted(state.tracklets))
    project.store.apply(NewIdentity(tracklets=everybody), user="ann", id="everybody")
    project.close()
