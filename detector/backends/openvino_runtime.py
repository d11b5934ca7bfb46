"""OpenVINO's import, which sends nothing, and its core, which leaves the process's signal handling as it was."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from detector.errors import DetectorError


def import_openvino(*others: str) -> Any:
    """The module `openvino`, kept from reporting its use over the network, as are packages that are built on it.

    Args:
        others: packages that will be needed too.

    Raises:
        DetectorError: one of the packages is missing.

    """
    for name in ("openvino", *others):
        if find_spec(name) is None:
            raise DetectorError(f"OpenVINO: the package {name} is missing; pip install 'uavpipe[openvino]'")
    # OpenVINO and NNCF do without the package that reports, if it cannot be imported.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


def load_core() -> Any:
    """An `openvino.Core` with its CPU plugin loaded; see `own_signal_stack`."""
    core = import_openvino().Core()
    with own_signal_stack():
        core.get_versions("CPU")  # loads the plugin
    return core


class _Stack(ctypes.Structure):
    """stack_t, as Linux has it."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def own_signal_stack() -> Iterator[None]:
    """Give this thread back the alternate signal stack that it had before the block.

    OpenVINO's CPU plugin puts its own in its place while it is loaded, and unmaps it when the last user of the
    plugin is gone, in whichever thread that is. Python's signal handlers run there: the next signal, a Ctrl-C or
    the end of a child process, would be a segmentation fault.
    """
    if sys.platform != "linux":  # nor does the plugin do so elsewhere
        yield
        return
    sigaltstack = ctypes.CDLL(None).sigaltstack
    before = _Stack()
    sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        sigaltstack(ctypes.byref(before), None)
