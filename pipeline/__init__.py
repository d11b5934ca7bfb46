"""The chain of stages from a drone video to a report: the only package that knows their order and the disk."""
