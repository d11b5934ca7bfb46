"""Person re-identification: training a network on a labelled data set, its embeddings, its CMC and mAP."""

import os

# ONNX Runtime, which torch's exporter imports too, reports its use to its maker unless this is set before.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# timm's weights are downloaded without a report on the machine and its packages.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
