"""The chain, run: over one flight, over many, and from the labels on."""
