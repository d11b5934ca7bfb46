"""Average precision, precision-recall curves, and the fit of anchors."""
