"""The labelling app over a workspace: the server, the embeddings for its suggestions, and import of labels."""
