"""Some rounds of the harness of faults, and some calls that fail; `make faults` does more."""

import subprocess
import sys

import pytest


@pytest.mark.timeout(600)
def test_what_goes_wrong_is_made_good_by_running_again():
    command = [sys.executable, "-m", "tests.faults.harness", "--rounds", "3", "--seed", "1"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "n"), [("write", 9), ("fsync", 3), ("rename", 5), ("allocation", 40)])
def test_one_call_that_fails_is_made_good_by_running_again(kind, n):
    command = [sys.executable, "-m", "tests.faults.every", "--kinds", kind, "--first", str(n), "--step", "1000000"]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.stdout.startswith("skipped"):
        pytest.skip(ended.stdout)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{kind} {n} of " in ended.stdout
