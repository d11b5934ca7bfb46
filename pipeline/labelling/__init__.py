"""What the labelling app needs of a workspace: pictures, suggestions, labels from elsewhere."""
