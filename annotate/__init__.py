"""Crops and tracklets in, a labelled data set out: who is who, by a person's hand."""
