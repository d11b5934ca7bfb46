"""CMC and mAP by several protocols, from features to ranked lists."""
