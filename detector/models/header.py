"""The description in a checkpoint of uavpipe, read without torch and without trust in the file."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from detector.config import Resize
from detector.errors import DetectorError
from detector.files import open_regular
from detector.models.presets import ARCHITECTURES, Architecture

FORMAT = "uavpipe.detector.1"
_MAX_HEADER = 10_000_000
_MAX_CLASSES = 10_000


class ForeignCheckpointError(DetectorError):
    """The file is intact, but not a detector of this project."""


@dataclass(frozen=True)
class Header:
    """The description of a checkpoint.

    Attributes:
        architecture: of the model, with the scale of its training images.
        classes: of its box head, background included.
        training: provenance of the weights.

    """

    architecture: Architecture
    classes: int
    training: dict[str, Any]

    @property
    def terms(self) -> str:
        """Terms of the data and weights that these come from; "" where the file states none."""
        terms = self.training.get("terms")
        return terms if isinstance(terms, str) else ""


def describe(architecture: Architecture, training: dict[str, Any], classes: int = 2) -> dict[str, str]:
    """The metadata of a checkpoint whose box head has `classes`, background included: what `read_header` reads."""
    return {
        "format": FORMAT,
        "preset": architecture.preset,
        "classes": str(classes),
        "resize": architecture.resize.model_dump_json(exclude_none=True),
        "architecture": architecture.model_dump_json(exclude_none=True),
        "training": json.dumps(training, default=str),
    }


def read_header(path: Path) -> Header:
    """The header of the safetensors file `path`.

    Raises:
        ForeignCheckpointError: safetensors, but not a detector of this project.
        DetectorError: missing, or not safetensors at all.

    """
    metadata = _metadata(path)
    if metadata.get("format") != FORMAT:
        raise ForeignCheckpointError(
            f"{path}: safetensors, but not a uavpipe detector; expected a file that 'uavpipe detector train' wrote"
        )
    try:
        if "architecture" in metadata:
            architecture = Architecture.model_validate_json(metadata["architecture"])
        else:
            resize = Resize.model_validate_json(metadata["resize"])
            architecture = ARCHITECTURES[metadata["preset"]].model_copy(update={"resize": resize})
        classes, training = int(metadata["classes"]), json.loads(metadata.get("training", "{}"))
        if not 2 <= classes <= _MAX_CLASSES or not isinstance(training, dict):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError):
        raise DetectorError(
            f"{path}: its description is damaged or of another version of uavpipe; copy the file again or "
            "train again"
        ) from None
    return Header(architecture, classes, training)


def _metadata(path: Path) -> dict[str, Any]:
    try:
        with open_regular(path) as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            text = file.read(length) if 2 <= length <= _MAX_HEADER else b""
    except FileNotFoundError:
        raise DetectorError(f"{path}: no such checkpoint") from None
    except OSError as error:
        raise DetectorError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise DetectorError(
            f"{path}: not a checkpoint, or a torn one; expected a .safetensors file that "
            "'uavpipe detector train' wrote"
        ) from None
    metadata = content.get("__metadata__")
    return metadata if isinstance(metadata, dict) else {}
