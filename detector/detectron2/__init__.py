"""Import of detectron2's configurations and weights."""
