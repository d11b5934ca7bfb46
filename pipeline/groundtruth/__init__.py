"""Ground truth of a flight, and how well detections and tracklets fit it."""
