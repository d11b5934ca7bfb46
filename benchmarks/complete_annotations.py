"""Annotations of some people in each picture, completed by what detectors find beside them, to train on.

python benchmarks/complete_annotations.py partial.json images/ --weights yolox_nano.onnx --weights embedded \
    --out whole.json [--sure 0.42] [--doubt 0.15] [--ignore] [--set 'tiles={size: 480}']

Data sets for trackers name one target a picture; untold, a training takes the others for background. What the
detectors together are sure of becomes a person as well, what is in doubt a region to ignore; with --ignore both do,
for annotations that should be complete. COCO's format; `uavpipe detector pseudo-label` annotates videos.
"""

import argparse
from pathlib import Path

import numpy as np

from detector.annotations.coco import AnnotatedImage, read_coco
from detector.annotations.conversion import ConvertedImage, write_coco
from detector.backends.images import read_image
from detector.backends.load import load_predictor
from detector.backends.protocol import PersonDetector
from detector.config import DataSource, DetectorConfig
from detector.evaluation.matching import overlaps
from detector.records import Detections, as_xywh
from detector.training.pseudo_labels import joined, pseudo_labels
from pipeline.config.yaml import apply_settings, validate

_SAME = 0.3  # IoU with an annotated person from which a found one is the same: targets are often drawn loosely


def beside(found: Detections, image: AnnotatedImage) -> Detections:
    """What was found and is not annotated."""
    known = np.concatenate([image.boxes, image.ignored])
    crowds = np.arange(len(known)) >= len(image.boxes)
    return found[(overlaps(found.boxes, known, crowds) < _SAME).all(axis=1)]


def complete(image: AnnotatedImage, teachers: list[PersonDetector], sure: float, doubt: float) -> ConvertedImage:
    pixels = read_image(image.path)
    found = joined([teacher.predict([teacher.preprocess(pixels)])[0] for teacher in teachers]).above(doubt)
    rows = [
        {"category_id": 1, "bbox": box, "iscrowd": crowd}
        for crowd, boxes in enumerate((image.boxes, image.ignored))
        for box in as_xywh(boxes).round(2).tolist()
    ]
    size = (pixels.shape[1], pixels.shape[0])
    clip = image.path.stem.rpartition("_")[0]
    return ConvertedImage(image.path.name, size, clip, rows + pseudo_labels(beside(found, image), sure))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--weights", action="append", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sure", type=float, default=0.42)
    parser.add_argument("--doubt", type=float, default=0.15)
    parser.add_argument("--ignore", action="store_true", help="all that is found beside is ignored")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    teachers = []
    for weights in arguments.weights:
        floor = arguments.doubt / len(arguments.weights)
        content = apply_settings({"weights": weights, "floor": floor}, arguments.settings)
        teachers.append(load_predictor(validate(content, DetectorConfig, "detector")))
    pictures = read_coco(DataSource(annotations=arguments.annotations, images=arguments.images))
    sure = np.inf if arguments.ignore else arguments.sure
    completed = [complete(picture, teachers, sure, arguments.doubt) for picture in pictures]
    write_coco(arguments.out, completed, ["person"])
    rows = [row["iscrowd"] for picture in completed for row in picture.annotations]
    print(f"{arguments.out}: {len(completed)} images, {rows.count(0)} persons, {rows.count(1)} regions to ignore")


if __name__ == "__main__":
    main()
