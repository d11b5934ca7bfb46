"""Data sets of crops in the formats in which they are published: a module a format, `load` for all of them."""
