"""Stage `dataset`: the labelled crops of all flights as a data set for re-identification."""
