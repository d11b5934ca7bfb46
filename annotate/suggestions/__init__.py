"""Who a tracklet could be, and which labels look wrong."""
