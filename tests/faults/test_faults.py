"""Some rounds of the harness of faults; `make faults ROUNDS=100` goes on."""

import subprocess
import sys

import pytest


@pytest.mark.timeout(600)
def test_what_goes_wrong_is_made_good_by_running_again():
    command = [sys.executable, "-m", "tests.faults.harness", "--rounds", "3", "--seed", "1"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
