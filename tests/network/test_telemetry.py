"""Libraries that report their use to their makers do not do so here."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

# What ONNX Runtime would report, and the number by which it knows this machine, are kept in the home folder.
SESSION = """
import {package}
import numpy, onnx, onnxruntime
from onnx import TensorProto, helper
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "ab"]
graph = helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "graph", ends[:1], ends[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
print(session.run(None, {{"a": numpy.ones(1, numpy.float32)}}))
"""


@pytest.mark.skipif(find_spec("onnxruntime") is None, reason="ONNX Runtime is not installed")
@pytest.mark.parametrize("package", ["detector", "reid"])
def test_onnx_runtime_keeps_no_number_of_this_machine(package, tmp_path):
    environment = os.environ | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    command = [sys.executable, "-c", SESSION.format(package=package)]
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
