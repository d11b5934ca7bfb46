"""The weights that come with uavpipe."""

from pathlib import Path

EMBEDDED = Path(__file__).parent / "embedded" / "embedder.safetensors"  # what it is: MODEL_CARD.md beside it
