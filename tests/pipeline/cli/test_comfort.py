"""Suggestions, completion, -q and -v, one way to name a flight, what a failure leaves behind."""

import contextlib
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipeline.cli import doctor, main
from pipeline.cli.options import Given, flight_folder
from pipeline.cli.stages import show_plan
from pipeline.cli.verbosity import _OnStderr
from pipeline.run.plan import Planned
from tests.network.every_command import every_name
from tests.pipeline.run.test_status import ARCHIVE

ROOT = Path(__file__).parents[3]


def run(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("stauts",), "did you mean `uavpipe status`?"),
        (("dtect", "a.mp4"), "did you mean `uavpipe detect`"),
        (("transfer",), "did you mean `uavpipe reid transfer`?"),
        (("exprot",), "did you mean `uavpipe anonymize`?"),
        (("qqqq",), "no command 'qqqq'\n"),
        (("run", "--untill", "tracks"), "--until"),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(words, meant):
    shown = run(*words)
    assert shown.exit_code == 2
    assert meant in shown.output


def test_the_help_has_each_command_once_and_on_one_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = re.findall(r"^  (\S+)  +\S.*[.?]$", run("--help").output.partition("\n\nBegin:")[2], re.MULTILINE)
    assert shown == main.list_commands(click.Context(main))
    assert len(run("--help").output.splitlines()) < 60


@pytest.mark.parametrize("command", ["status", "verify", "coverage", "report", "sightings", "people"])
def test_a_workspace_without_flights_is_said_to_have_none(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    shown = run(command)
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert re.match(r"uavpipe: runs: no flights? ", shown.output)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_has_columns_whatever_the_names_of_the_flights(capsys):
    planned = [Planned("a", "frames", "not done yet"), Planned("DJI_20240917143000_0002", "frames", "")]
    show_plan(planned)
    first, second = capsys.readouterr().out.splitlines()
    assert first.index("frames") == second.index("frames")


def test_a_warning_goes_to_what_is_the_standard_error_by_then(capsys):
    """As an open progress bar replaces it: the line is above the bar, not behind it."""
    handler, record = _OnStderr(), logging.LogRecord("uavpipe", logging.WARNING, "", 0, "a warning", None, None)
    for kept in (io.StringIO(), io.StringIO()):
        with contextlib.redirect_stderr(kept):
            handler.emit(record)
        assert kept.getvalue() == "a warning\n"


@pytest.mark.parametrize(
    ("flags", "said"), [("avx2 amx_tile", "as this one"), ("avx2 fma", "this one has none"), (None, "none")]
)
def test_the_gain_of_openvino_is_that_of_this_cpu(tmp_path, monkeypatch, flags, said):
    monkeypatch.setattr(doctor, "_CPUINFO", tmp_path / "cpuinfo")
    if flags:
        (tmp_path / "cpuinfo").write_text(f"processor: 0\nflags: {flags}\n")
    assert said in doctor._openvino_gain()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_one_that_it_can_read(shell, tmp_path):
    shown = run("completion", shell)
    assert shown.exit_code == 0
    assert "_UAVPIPE_COMPLETE" in shown.output
    if program := shutil.which(shell):
        (tmp_path / "script").write_text(shown.output)
        subprocess.run([program, "-n", tmp_path / "script"], check=True)


def test_bash_completes_commands_and_options(tmp_path):
    (tmp_path / "uavpipe").write_text(f'#!/bin/sh\nexec {sys.executable} -m pipeline "$@"\n')
    (tmp_path / "uavpipe").chmod(0o755)
    script = run("completion", "bash").output
    ask = "COMP_WORDS=(uavpipe {0}); COMP_CWORD={1}; COMPREPLY=(); _uavpipe_completion uavpipe\n"
    ask += 'echo "${{COMPREPLY[@]}}"'
    lines = [script, ask.format("sta", 1), ask.format("reid tra", 2), ask.format("run --unt", 2)]
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    shown = subprocess.run(
        ["bash", "-c", "\n".join(lines)], env=environment, capture_output=True, text=True, check=True
    )
    assert shown.stdout.splitlines() == ["status", "train transfer", "--until"]


def leaves(command=main, name="uavpipe"):
    if not isinstance(command, click.Group):
        yield name, command
        return
    for each in command.list_commands(click.Context(command)):
        yield from leaves(command.get_command(click.Context(command), each), f"{name} {each}")


def test_every_command_has_both_options_once():
    for name, command in leaves():
        options = [option for parameter in command.params for option in parameter.opts]
        assert {"-q", "-v", "--quiet", "--verbose"} <= set(options), name
        assert len(options) == len(set(options)), name


def test_quiet_and_verbose_hold_before_and_after_the_command(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    (tmp_path / "a.lrf").write_bytes(b"a proxy")
    monkeypatch.chdir(tmp_path)

    def said(*words):
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "pipeline", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True).stderr.splitlines()

    error = said("frames", "a.mp4", "-q")
    assert len(error) == 1
    warned = said("frames", "a.mp4", "a.lrf")
    assert [line for line in warned if line not in error] == [
        "uavpipe: a.lrf: passed over, it is a proxy of low resolution of a.mp4"
    ]
    assert said("-q", "frames", "a.mp4", "a.lrf") == error
    loud = said("-v", "frames", "a.mp4")
    assert loud == ["uavpipe: loading the libraries …", "uavpipe: a: reading the video …", *error]


def _options():
    for name in sorted(every_name()):
        command, context = main, click.Context(main)
        for word in name.split():
            command = command.get_command(context, word)
        for option in command.params:
            if isinstance(option, click.Option):
                yield name, option


def test_every_option_says_what_it_does():
    unsaid = {
        (name, option.opts[0]) for name, option in _options() if not re.match(r"[A-Z].+[.\]]$", option.help or "")
    }
    assert unsaid == set()


def test_what_is_written_has_one_name():
    assert {name for name, option in _options() if "--output" in option.opts and option.opts[0] != "--out"} == set()
    assert {name for name, option in _options() if option.opts[0] == "--output"} == set()


def test_the_former_name_of_what_is_written_is_taken():
    shown = run("reid", "train", "--config", "finetune", "--data", "gone", "--output", "out")
    assert shown.output.startswith("uavpipe: gone: ")


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return Path("runs")


@pytest.mark.parametrize("named", ["flight1", "runs/flight1", "flight1.mp4"])
def test_a_flight_has_one_way_to_be_named(workspace, named):
    assert flight_folder(Path(named), workspace) == workspace / "flight1"
    shown = run("sightings", "--flight", named, "--format", "csv")
    assert shown.exit_code == 0, shown.output
    assert "flight1" in shown.stdout
    assert "flight2" not in shown.stdout
    traced = run("trace", named, "--frame", 0, "--json")
    assert json.loads(traced.stdout)["flight"]["video"].endswith("flight1.mp4"), traced.output
    missing = run("score", named, "gone.txt")
    assert "gone.txt" in missing.output
    (config,) = (Given((Path(named),), None, None, ()).load(),)
    assert config.flights == (
        (Path("flight1.mp4"),) if named.endswith("mp4") else (Path("/tmp/flights/flight1.mp4"),)
    )


@pytest.mark.parametrize("command", [("score", "flight3", "gt.txt"), ("anonymize", "flight3", "--blur-people")])
def test_an_unknown_flight_is_named_as_it_was_given(workspace, command):
    assert "uavpipe: flight3: no such flight in runs; " in run(*command).output


def test_an_unknown_flight_keeps_its_name_in_the_error(workspace):
    assert flight_folder(Path("flight3"), workspace) == Path("flight3")
    assert "flight3.mp4: no such video file" in run("detect", "flight3.mp4").output
