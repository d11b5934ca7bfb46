import subprocess
import sys

import pytest

from detector.config import DetectorConfig
from detector.precision import device_of, has_gpu, precision_of


@pytest.mark.parametrize(
    ("gpu", "settings", "device", "precision"),
    [
        (False, {}, "cpu", "fp32"),
        (True, {}, "cuda", "fp16"),
        (True, {"device": "cpu"}, "cpu", "fp32"),
        (True, {"precision": "bf16"}, "cuda", "bf16"),
        (False, {"device": "cuda:1"}, "cuda:1", "fp16"),
        (True, {"backend": "openvino"}, "cpu", "fp32"),
    ],
)
def test_what_auto_means(monkeypatch, gpu, settings, device, precision):
    monkeypatch.setattr("detector.precision.has_gpu", lambda: gpu)
    config = DetectorConfig(**settings)
    assert (device_of(config), precision_of(config)) == (device, precision)


def test_without_a_driver_torch_is_not_imported():
    code = (
        "import ctypes, sys\n"
        "def none(name): raise OSError\n"
        "ctypes.CDLL = none\n"
        "from detector.precision import has_gpu\n"
        "sys.exit(has_gpu() or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_torch_decides_where_there_is_a_driver(monkeypatch):
    import torch

    for answer in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda answer=answer: answer)
        assert has_gpu() is answer
