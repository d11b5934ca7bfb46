"""A model by detectron2 itself, and the checkpoint imported from it: the same boxes, and how fast.

    uavpipe detector import-detectron2 model.pth --config-file config.yaml --out imported.safetensors
    python benchmarks/detectron2_backend.py model.pth config.yaml imported.safetensors flight.mp4

Both see the same frames in turn, one forward at a time over all cores; medians are printed, since a shared machine
drifts. detectron2 is needed: `make detectron2`.
"""

import argparse
import statistics
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from detector.backends.load import load_predictor
from detector.backends.torchvision import Predictor
from detector.config import DetectorConfig, Detectron2
from pipeline.video import open_video


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "config_file", "imported", "video"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--person", type=int, action="append", help="as given to import-detectron2")
    parser.add_argument("--floor", type=float, default=0.05, help="lowest score that is compared")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    common = DetectorConfig(device=given.device, floor=given.floor, max_detections=1000, precision="fp32")
    of_detectron2 = Detectron2(config_file=given.config_file, persons=tuple(given.person or (0,)))
    models = {
        "detectron2": {"weights": str(given.model), "backend": "detectron2", "detectron2": of_detectron2},
        "imported": {"weights": str(given.imported)},
    }
    predictors = {name: load_predictor(common.model_copy(update=change)) for name, change in models.items()}
    frames = [frame.image for frame in islice(open_video(given.video).read_all(), given.frames)]
    for predictor in predictors.values():
        predictor.workers = 1  # one forward takes all cores
    compare(predictors, frames)
    measure(predictors, frames, given.rounds)


def compare(predictors: dict[str, Predictor], frames: list[np.ndarray]) -> None:
    """Also warms up."""
    for number, image in enumerate(frames):
        found = [predictor.predict([predictor.preprocess(image)])[0] for predictor in predictors.values()]
        theirs, ours = found
        if len(theirs) != len(ours) or not len(ours):
            print(f"frame {number}: detectron2 finds {len(theirs)} persons, the imported model {len(ours)}")
            continue
        distance = np.abs(theirs.boxes[:, None] - ours.boxes).max(axis=2)
        same = distance.argmin(axis=1)  # equal scores come in any order
        if len(set(same)) < len(ours):
            print(f"frame {number}: some boxes of detectron2's {len(theirs)} are none of the imported model's")
            continue
        boxes, scores = distance.min(axis=1).max(), np.abs(theirs.scores - ours.scores[same]).max()
        print(
            f"frame {number}, {image.shape[:2]}: {len(ours)} persons, scores {ours.scores.min():.2f} "
            f"to {ours.scores.max():.2f}; differences: boxes {boxes:.1e} px, scores {scores:.1e}"
        )


def measure(predictors: dict[str, Predictor], frames: list[np.ndarray], rounds: int) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in predictors}
    for image in frames * rounds:
        for name, predictor in predictors.items():
            start = time.perf_counter()
            predictor.predict([predictor.preprocess(image)])
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(those) for name, those in seconds.items()}
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {len(frames) * rounds} forwards each")
    for name, median in medians.items():
        print(f"{name}: {median:.2f} s a frame, {median / medians['detectron2']:.2f} × detectron2's")


if __name__ == "__main__":
    main()
