"""The weights of a re-ID network, by name or path; without torch."""

import os
from pathlib import Path

EMBEDDED = Path(__file__).parent / "embedded" / "embedder.safetensors"  # described in MODEL_CARD.md beside it
_NAME = "embedded"


def weights_file(weights: str | os.PathLike[str]) -> Path:
    """The file of `weights`: `embedded`, the network bundled with uavpipe; or a path, which is not checked."""
    return EMBEDDED if os.fspath(weights) == _NAME else Path(weights)
