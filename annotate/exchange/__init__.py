"""Tracks in the files of other tools: one module a format, all of them in terms of `records`."""
