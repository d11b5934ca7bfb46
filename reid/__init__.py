"""Person re-identification: training a network on a labelled data set, its embeddings, its CMC and mAP."""
