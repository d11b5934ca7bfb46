"""Runtimes of a model: torchvision, detectron2, OpenVINO, tiles over any of them; and the exports."""
