"""The small person detector that comes with uavpipe; MODEL_CARD.md says how it was made and how good it is."""
