"""Training a network: batches, losses, the loop, and the paper's Table 1."""
