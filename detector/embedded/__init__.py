"""The small person detector that comes with uavpipe; MODEL_CARD.md has its training and evaluation."""
