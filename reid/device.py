"""The device that torch computes on."""

import torch

from reid.errors import ReidError


def usable_device(name: str) -> torch.device:
    """The device `name`: cpu, cuda, cuda:1 …; `auto` is a GPU where there is one.

    Raises:
        ReidError: there is no such device here.

    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdecimal()):
        raise ReidError(f"device '{name}': expected auto, cpu or cuda")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ReidError(f"device '{name}': no usable NVIDIA GPU here (uavpipe doctor); take device: auto or cpu")
    return torch.device(name)
