"""Labelling: which tracklets are which identity, decided by people in the browser and kept in a log."""
