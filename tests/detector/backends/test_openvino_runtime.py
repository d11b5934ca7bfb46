"""In a process of its own each: what OpenVINO does to a process's signals and whom it calls is the process's."""

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from textwrap import indent

import pytest

# Not importorskip: importing it here would report it over the network.
if find_spec("openvino") is None:
    pytest.skip("OpenVINO is not installed", allow_module_level=True)
ROOT = Path(__file__).parents[3]
DETECTOR = """
import os, signal, subprocess, threading
from pathlib import Path
import numpy as np
from detector.backends.openvino import load_openvino
from detector.backends.openvino_runtime import import_openvino
from detector.config import DetectorConfig
from detector.models.exported import FORMAT, describe_export
from detector.models.weights import resolve, source_of

openvino = import_openvino()
ops = openvino.opset13
given = ops.parameter([1, 3, -1, -1], np.float32)
boxes, scores = ops.constant(np.float32([[10, 10, 40, 80]])), ops.constant(np.float32([0.9]))
model = openvino.Model([ops.result(boxes), ops.result(scores)], [given], "m")
for output, name in zip(model.outputs, ("boxes", "scores")):
    output.get_tensor().set_names({name})
for name, text in describe_export(DetectorConfig(), resolve("embedded", None), FORMAT).items():
    model.set_rt_info(text, ["uavpipe", name])
openvino.save_model(model, "m.xml", compress_to_fp16=False)


def detector():
    config = DetectorConfig(backend="openvino", weights="m.xml")
    return load_openvino(config, source_of(config))


def detect(detector):
    (found,) = detector.predict([detector.preprocess(np.zeros((90, 160, 3), np.uint8))])
    assert len(found) == 1


def elsewhere(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def signals_are_handled():
    children = []
    before = signal.signal(signal.SIGCHLD, lambda *_: children.append(1))
    subprocess.run(["sleep", "0"], check=True)
    signal.signal(signal.SIGCHLD, before)
    assert children
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""
ENDS = {
    "while it detects": """
one, done = detector(), threading.Event()
def work():
    while not done.is_set():
        detect(one)
thread = threading.Thread(target=work)
thread.start()
signals_are_handled()
done.set()
thread.join()
""",
    "after another thread unloaded it": """
held = [detector()]
detect(held[0])
elsewhere(held.clear)
signals_are_handled()
""",
    "after two were unloaded, the older one first": """
held = [detector(), detector()]
held.pop(0)
held.pop()
signals_are_handled()
""",
    "with a handler's stack from before": """
import faulthandler
faulthandler.enable()
held = [detector()]
elsewhere(held.clear)
signals_are_handled()
""",
    "after NNCF's own cores were unloaded": """
import openvino as own, nncf
from detector.backends import openvino_export
held = []
def quantize(model, *_, **__):
    held.append(own.compile_model(model, "CPU"))
    return model
nncf.quantize = quantize
openvino_export._quantised(model, [], Path("int8.xml"))
elsewhere(held.clear)
signals_are_handled()
""",
}


def run(folder, script):
    environment = os.environ | {"HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


# Forked before any core is made, so that all is imported once.
IN_ITS_OWN_PROCESS = """
if (process := os.fork()) == 0:
{indented}
    os._exit(0)
print({end!r}, os.waitpid(process, 0)[1], flush=True)
"""


def test_signals_are_handled(tmp_path):
    ends = [IN_ITS_OWN_PROCESS.format(end=end, indented=indent(script, "    ")) for end, script in ENDS.items()]
    ended = run(tmp_path, DETECTOR + "".join(ends))
    told = [line for end in ENDS for line in ("stopped", f"{end} 0")]
    assert (ended.returncode, ended.stdout.splitlines()) == (0, told), ended.stderr


CONNECTS = """
import sys, threading
asked, asking = [], ("os.fork", "socket.getaddrinfo", "socket.connect")  # it forks a process to send
sys.addaudithook(lambda event, _: event in asking and asked.append(event))
from detector.backends.openvino_runtime import import_openvino
import_openvino("nncf")
import nncf
from nncf.telemetry import telemetry
telemetry.send_event("category", "action", "label")
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join(5)
print(asked)
"""


@pytest.mark.skipif(find_spec("nncf") is None, reason="NNCF is not installed")
def test_nothing_is_reported_over_the_network(tmp_path):
    ended = run(tmp_path, CONNECTS)
    assert (ended.returncode, ended.stdout) == (0, "[]\n"), ended.stderr
    assert not (tmp_path / "intel").exists()  # where a number is kept by which the reports know each other


def test_it_is_imported_in_one_place():
    importing = set()
    for package in ("annotate", "detector", "pipeline", "reid", "benchmarks"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                if any(name.partition(".")[0] == "openvino" for name in names):
                    importing.add(path.name)
    assert importing == {"openvino_runtime.py"}
