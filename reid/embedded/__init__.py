"""The small re-ID network that comes with uavpipe; MODEL_CARD.md has its training and evaluation."""
