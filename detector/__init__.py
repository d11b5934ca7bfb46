"""Faster R-CNN person detectors: architectures, weights, inference, training and evaluation."""
