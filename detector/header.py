"""The description in front of a uavpipe checkpoint, read without torch and without trusting it."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from detector.config import Resize
from detector.errors import DetectorError

FORMAT = "uavpipe.detector.1"
_MAX_HEADER = 10_000_000


@dataclass(frozen=True)
class Header:
    """What a checkpoint says of itself.

    Attributes:
        preset: architecture.
        classes: of its box head, background included.
        resize: how images were scaled in training.
        training: where the weights come from.

    """

    preset: str
    classes: int
    resize: Resize
    training: dict[str, Any]


def read_header(path: Path) -> Header:
    """The header of the safetensors file `path`.

    Raises:
        DetectorError: missing, not safetensors, or not a detector of this project.

    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            text = file.read(length) if 2 <= length <= _MAX_HEADER else b""
    except FileNotFoundError:
        raise DetectorError(f"{path}: no such checkpoint") from None
    except OSError as error:
        raise DetectorError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        metadata = json.loads(text)["__metadata__"]
        if metadata["format"] != FORMAT:
            raise KeyError("format")
        return Header(
            metadata["preset"],
            int(metadata["classes"]),
            Resize.model_validate_json(metadata["resize"]),
            json.loads(metadata.get("training", "{}")),
        )
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError):
        raise DetectorError(
            f"{path}: not a uavpipe detector checkpoint; expected a .safetensors file that "
            "'uavpipe detector train' wrote"
        ) from None
