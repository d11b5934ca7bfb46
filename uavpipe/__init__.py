"""The Python interface: `uavpipe.detect`, `uavpipe.open`, `uavpipe.run`, `uavpipe.train`, `uavpipe.evaluate`.

Each function calls the same one of `pipeline`, `detector` or `reid` as the command of its name. Nothing heavy is
loaded before it is used. docs/python.md shows all of it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from uavpipe.errors import UavpipeError

if TYPE_CHECKING:
    from pipeline.config.models import FlightConfig
    from uavpipe.chain import run
    from uavpipe.detections import Detections
    from uavpipe.detector import detect
    from uavpipe.networks import evaluate, train
    from uavpipe.workspace import Workspace, open

__all__ = ["Detections", "FlightConfig", "UavpipeError", "Workspace", "detect", "evaluate", "open", "run", "train"]

# name -> the module that has it
_MODULES = {
    "Detections": "uavpipe.detections",
    "FlightConfig": "pipeline.config.models",
    "Workspace": "uavpipe.workspace",
    "detect": "uavpipe.detector",
    "evaluate": "uavpipe.networks",
    "open": "uavpipe.workspace",
    "run": "uavpipe.chain",
    "train": "uavpipe.networks",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'uavpipe' has no attribute '{name}'")
    value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
