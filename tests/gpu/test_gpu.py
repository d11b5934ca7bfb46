"""Runs `checks.py` in a process of its own, on this machine's GPU or, without one, on a pretended GPU."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

HERE = Path(__file__).parent
CHECKS = [
    node.name
    for node in ast.parse((HERE / "checks.py").read_text("utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
]

# The first test waits for all checks: 40 s of CPU, minutes on a busy machine.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """The complaints of each check, by its name."""
    folder = tmp_path_factory.mktemp("gpu")
    environment = dict(os.environ)
    if not torch.cuda.is_available():
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None or sys.platform != "linux":
            pytest.skip("a pretended GPU needs Linux and a C compiler (cc), a real one is not here")
        library = folder / "no_accelerator.so"
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, HERE / "no_accelerator.c"], check=True)
        environment["LD_PRELOAD"] = str(library)
    report = folder / "report.xml"
    options = ["-q", "-p", "no:randomly", f"--junit-xml={report}"]
    command = [sys.executable, "-m", "pytest", *options, HERE / "checks.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=HERE.parents[1])
    assert report.exists(), done.stdout + done.stderr
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        complaints = found.setdefault(case.get("name").split("[")[0], [])
        complaints += [part.text for part in case if part.tag in ("failure", "error")]
    return found


@pytest.mark.parametrize("name", CHECKS)
def test_on_a_gpu(outcomes, name):
    assert name in outcomes
    assert not outcomes[name], "\n".join(outcomes[name])
