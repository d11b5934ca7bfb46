"""The description in a checkpoint of uavpipe, read without torch and without trust in the file."""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reid.config import NetworkConfig
from reid.errors import ReidError
from reid.files import open_regular

FORMAT = "uavpipe.reid.1"
_MAX_HEADER = 10_000_000


@dataclass(frozen=True)
class Header:
    """The description of a checkpoint.

    Attributes:
        network: the architecture.
        training: provenance of the weights: configuration, data, iteration, metrics, terms.

    """

    network: NetworkConfig
    training: Mapping[str, Any]

    @property
    def terms(self) -> str:
        """Terms of the data and weights that these come from; "" where the file states none."""
        terms = self.training.get("terms")
        return terms if isinstance(terms, str) else ""


def describe(network: NetworkConfig, training: Mapping[str, object]) -> dict[str, str]:
    """The metadata of a checkpoint: what `read_header` reads."""
    return {
        "format": FORMAT,
        "network": network.model_dump_json(),
        "training": json.dumps(dict(training), default=str),
    }


def read_header(path: Path) -> Header:
    """The description in the safetensors file `path`.

    Raises:
        ReidError: missing, damaged, or not a re-id network of uavpipe.

    """
    metadata = _metadata(path)
    if metadata.get("format") != FORMAT:
        raise ReidError(
            f"{path}: safetensors, but not a re-id network of uavpipe; expected what 'uavpipe reid train' wrote"
        )
    try:
        network = _network(json.loads(metadata["network"]))
        training = json.loads(metadata["training"])
        if not isinstance(training, dict):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError):
        raise ReidError(
            f"{path}: its description is damaged or of another version; copy the file again, or train again"
        ) from None
    return Header(network, training)


def _metadata(path: Path) -> dict[str, Any]:
    try:
        with open_regular(path) as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            text = file.read(length) if 2 <= length <= _MAX_HEADER else b""
    except FileNotFoundError:
        raise ReidError(f"{path}: no such checkpoint; expected a file, or 'embedded'") from None
    except OSError as error:
        raise ReidError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise ReidError(f"{path}: {_what_it_is(path)}") from None
    metadata = content.get("__metadata__")
    return metadata if isinstance(metadata, dict) else {}


def _what_it_is(path: Path) -> str:
    expected = "expected a checkpoint of 'uavpipe reid train', or 'embedded'"
    if path.suffix in (".pth", ".pt"):
        return f"weights of torch; {expected}. A training may start from them: --set init={path}"
    if path.suffix in (".onnx", ".xml"):
        return f"an exported model; {expected}"
    return "not a safetensors file, or a damaged one; copy or download it again"


def _network(content: Any) -> NetworkConfig:
    """The architecture in a checkpoint's description, also of checkpoints from before MobileNetV2 had a stride."""
    network = NetworkConfig.model_validate(content)
    if network.backbone == "mobilenet_v2" and "projection" not in content:
        return network.model_copy(update={"last_stride": 2})
    return network
