"""What detectron2 itself finds, for tests that run without it.

    python -m tests.detector.detectron2.vectors.make

where detectron2 is installed, writes `fpn.npz` and `c4.npz`: names and shapes of the model's tensors, and boxes,
scores and classes of what it found in the drawn picture, best first.
"""

from collections import Counter
from pathlib import Path

import detectron2
import numpy as np
import torch
from detectron2.config import get_cfg
from detectron2.engine import DefaultPredictor
from detectron2.modeling import build_model

from tests.detector.detectron2.vectors.drawn import draw_picture, draw_weights

HERE = Path(__file__).parent
ZOO = Path(detectron2.__file__).parent / "model_zoo" / "configs"


def main() -> None:
    """Ask detectron2."""
    for name, base in (("fpn", "Base-RCNN-FPN.yaml"), ("c4", "Base-RCNN-C4.yaml")):
        config = get_cfg()
        config.merge_from_file(str(ZOO / base), allow_unsafe=False)
        config.merge_from_file(str(HERE / f"{name}.yaml"), allow_unsafe=False)
        config.MODEL.DEVICE, config.MODEL.WEIGHTS, config.TEST.DETECTIONS_PER_IMAGE = "cpu", "", 1000
        shapes = {key: tuple(value.shape) for key, value in build_model(config).state_dict().items()}
        predictor = DefaultPredictor(config)
        drawn = {key: torch.from_numpy(value) for key, value in draw_weights(shapes).items()}
        predictor.model.load_state_dict(drawn, strict=False)
        found = predictor(draw_picture()[:, :, ::-1])["instances"]  # it takes BGR, and turns it if it must
        np.savez_compressed(
            HERE / f"{name}.npz",
            names=np.array(list(shapes)),
            shapes=np.array([" ".join(map(str, shape)) for shape in shapes.values()]),
            boxes=found.pred_boxes.tensor.numpy(),
            scores=found.scores.numpy(),
            classes=found.pred_classes.numpy(),
        )
        print(name, len(found), "found; class: count", dict(Counter(found.pred_classes.tolist()).most_common(4)))


if __name__ == "__main__":
    main()
