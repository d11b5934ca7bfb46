"""One module a stage, and the readers of what it writes."""
