"""Images in, person boxes out: architectures, weights, training and evaluation of Faster R-CNN detectors."""
