"""Suggestions of identities for a tracklet, and checks of the labels."""
