"""Labels that outlive the linking: new tracklets get the labels of those that they replace."""
