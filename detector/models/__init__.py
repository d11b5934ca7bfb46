"""Networks and their weights: architectures, presets, checkpoints."""
