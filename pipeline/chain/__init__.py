"""The chain as data: every stage, in order."""
