"""Average precision, curves, and how well anchors fit."""
