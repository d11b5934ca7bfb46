"""The device that torch computes on: its arithmetic, its name, its errors."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch

from detector.errors import DetectorError


def usable_device(name: str) -> torch.device:
    """The device `name`: cpu, cuda, cuda:1 …; `auto` is a GPU where there is one.

    fp32 on a GPU is fp32 from here on, in the whole process: by default, torch's convolutions would round to TF32.
    A GPU with a number becomes the thread's default.

    Raises:
        DetectorError: there is no such device here.

    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdecimal()):
        raise DetectorError(f"device '{name}': expected auto, cpu or cuda")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise DetectorError(
            f"device '{name}': no such usable NVIDIA GPU here (uavpipe doctor); take device: auto or cpu"
        )
    if kind == "cuda":  # by the old names: with the new ones, torch's own `cudnn.flags` would fail
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if number:  # else what names no GPU would take memory of the first one
        torch.cuda.set_device(int(number))
    return torch.device(name)


def name_of(device: torch.device) -> str:
    """The device's model, and the versions that decide its last bits; `cpu` for a CPU."""
    if device.type != "cuda":
        return device.type
    major, minor = torch.cuda.get_device_capability(device)
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    libraries = f"CUDA {torch.version.cuda}, cuDNN {cudnn}"
    return f"{torch.cuda.get_device_name(device)} (compute capability {major}.{minor}, {libraries})"


@contextmanager
def device_errors(remedy: str) -> Iterator[None]:
    """Make one line of a GPU's errors; `remedy` says what to do where its memory does not suffice.

    Raises:
        DetectorError: the GPU's memory ran out, or the GPU failed.

    """
    try:
        yield
    except torch.OutOfMemoryError:
        text = f"the GPU's memory ran out; {remedy}, or free the GPU of other programs, and run again"
    except torch.AcceleratorError as error:
        text = f"the GPU failed ({' '.join(str(error).split())[:100]}); run again; if it fails again, {remedy}"
    else:
        return
    with suppress(RuntimeError):  # of a GPU that failed
        torch.cuda.empty_cache()  # here: the error, and the tensors that its frames hold, are gone
    raise DetectorError(text)
