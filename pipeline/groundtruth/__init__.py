"""Ground truth of a flight, and metrics of detections and tracklets against it."""
