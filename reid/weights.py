"""The weights of a re-ID network, by name or path, and the files that belong to them; without torch."""

import hashlib
import os
from pathlib import Path

from reid.files import sha256_of

EMBEDDED = Path(__file__).parent / "embedded" / "embedder.safetensors"  # described in MODEL_CARD.md beside it
_NAME = "embedded"


def weights_file(weights: str | os.PathLike[str]) -> Path:
    """The file of `weights`: `embedded`, the network bundled with uavpipe; or a path, which is not checked."""
    return EMBEDDED if os.fspath(weights) == _NAME else Path(weights)


def input_file(weights: Path) -> Path:
    """The file beside a foreign model that says what its input is: `model.input.yaml`."""
    return weights.with_suffix(".input.yaml")


def weights_hash(weights: Path) -> str:
    """SHA-256 (hex) of all files that decide the features of the model in `weights`.

    With an OpenVINO model that is its `.bin`, with an ONNX model the data that it keeps outside (`.data`, `_data`),
    with both the file of their input. A file without such files has the SHA-256 of its content.

    Raises:
        OSError: `weights` cannot be read.

    """
    hashes = [sha256_of(file) for file in (weights, *_belonging(weights)) if file == weights or file.is_file()]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def _belonging(weights: Path) -> list[Path]:
    if weights.suffix == ".xml":
        return [weights.with_suffix(".bin"), input_file(weights)]
    if weights.suffix == ".onnx":
        return [*(weights.with_name(weights.name + end) for end in (".data", "_data")), input_file(weights)]
    return []
