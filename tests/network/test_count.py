"""What counts the attempts to reach other machines counts those of native programs; every command is counted."""

import subprocess
import sys

import pytest

from tests.network import every_command
from tests.network.count import ROOT, cut_off


def count(*command):
    return subprocess.run(
        [sys.executable, "-m", "tests.network.count", *map(str, command)], cwd=ROOT, capture_output=True, text=True
    )


def test_every_command_is_among_those_that_are_run():
    assert every_command.names() == every_command.every_name() - {"demo"}


def test_attempts_of_native_programs_are_counted():
    if cut_off() is None:
        pytest.skip("the kernel does not permit `unshare --net`")
    ended = count("bash", "-c", "echo > /dev/udp/192.0.2.1/9; echo > /dev/tcp/192.0.2.1/9")
    assert ended.returncode == 1
    assert "2 attempts to reach another machine" in ended.stdout


def test_a_commands_end_is_its_own():
    ended = count(sys.executable, "-c", "raise SystemExit(3)")
    assert ended.returncode == 3
    assert ended.stdout.startswith("0 connections left this machine (of ")
