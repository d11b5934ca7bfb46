"""A pass over the segments of a video. Knows no stage."""
