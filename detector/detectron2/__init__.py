"""detectron2's configurations and weight files."""
