"""The path of the bundled weights."""

from pathlib import Path

EMBEDDED = Path(__file__).parent / "embedded" / "embedder.safetensors"  # described in MODEL_CARD.md beside it
