"""The device and precision that a configuration means on this machine.

Torch is imported only where there is a driver of NVIDIA GPUs: commands that only read tables must not wait for it.
"""

import ctypes
import sys
from importlib.util import find_spec

from detector.config import DetectorConfig

_DRIVERS = {"win32": "nvcuda.dll"}


def has_gpu() -> bool:
    """Whether torch finds a usable NVIDIA GPU."""
    if "torch" not in sys.modules:
        try:
            ctypes.CDLL(_DRIVERS.get(sys.platform, "libcuda.so.1"))
        except OSError:
            return False
        if find_spec("torch") is None:
            return False
    import torch

    return torch.cuda.is_available()


def device_of(config: DetectorConfig) -> str:
    """The device that `config` means here, as torch names it; that it is there is not checked."""
    if config.backend == "openvino":
        return "cpu"
    if config.device != "auto":
        return config.device
    return "cuda" if has_gpu() else "cpu"


def precision_of(config: DetectorConfig) -> str:
    """The precision that `config` means here: `auto` is fp16 on a GPU and fp32 on a CPU."""
    if config.precision != "auto":
        return config.precision
    return "fp16" if device_of(config).startswith("cuda") else "fp32"
