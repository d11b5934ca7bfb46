"""What runs a model on images: torchvision, detectron2, OpenVINO; by tiles; and the exports."""
