"""Faster R-CNN person detectors: architectures, weights, inference, training and evaluation."""

import os

# ONNX Runtime, which torch's exporter imports too, reports its use to its maker unless this is set before.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
