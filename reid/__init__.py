"""A labelled data set in, a re-identification model and its CMC and mAP out."""
