"""`detector.tiles: auto` on annotated pictures: each clip decides for itself, as a flight does.

python benchmarks/tiles.py held-out.json held-out/ [--backend openvino] [--set 'resize={width: 1056, height: 1056}']

Pictures of one clip, by the part of their names before the first `_`, and of one size are taken as a flight: tiles
are chosen by what the detector finds in them. Beside it: whole images, and the affordable tiles for all. The model
takes one thread, so that CPU times can be compared.
"""

import argparse
import time
from collections import defaultdict
from functools import cache
from pathlib import Path

import torch

from detector.annotations.coco import AnnotatedImage, read_coco
from detector.backends.images import read_image
from detector.backends.load import load_predictor
from detector.backends.protocol import PersonDetector
from detector.backends.tile_choice import affordable_for, by_look
from detector.config import DataSource, DetectorConfig
from detector.evaluation.evaluate import measure
from detector.models.weights import source_of
from detector.records import Detections
from pipeline.config.yaml import apply_settings, validate

Found = list[tuple[Detections, float]]  # of each picture, with CPU seconds


def detect(detector: PersonDetector, pictures: list[AnnotatedImage]) -> Found:
    found = []
    for picture in pictures:
        image, begin = read_image(picture.path), time.process_time()
        (persons,) = detector.predict([detector.preprocess(image)])
        found.append((persons, time.process_time() - begin))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--backend", default="torchvision")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    own = {"weights": "embedded", "device": "cpu", "backend": arguments.backend, "precision": "fp32", "floor": 0.01}
    config = validate(apply_settings(own, arguments.settings), DetectorConfig, "detector")
    source, loaded = source_of(config), cache(load_predictor)
    flights: dict[tuple[str, int, int], list[AnnotatedImage]] = defaultdict(list)
    for picture in read_coco(DataSource(annotations=arguments.annotations, images=arguments.images)):
        height, width = read_image(picture.path).shape[:2]
        flights[picture.path.name.partition("_")[0], width, height].append(picture)
    whole_detector = loaded(config, source)
    truth: list[AnnotatedImage] = []
    rows: dict[str, Found] = {"whole images": [], "affordable tiles": [], "auto": []}
    tiled_flights = 0
    for (_, width, height), pictures in flights.items():
        option = affordable_for(width, height, config, source)
        whole = tiled = detect(whole_detector, pictures)
        if option is not None:
            tiled = detect(loaded(config.model_copy(update={"tiles": option.tiles}), source), pictures)
        choice = by_look(option, *([each for each, _ in found] for found in (whole, tiled)))
        tiled_flights += choice.tiles is not None
        truth += pictures
        for name, found in zip(rows, (whole, tiled, tiled if choice.tiles else whole), strict=True):
            rows[name] += found
    print(f"{len(truth)} pictures, {len(flights)} clips, {tiled_flights} of them in tiles")
    for name, found in rows.items():
        report = measure(truth, [each for each, _ in found])
        points = {point.threshold: point for point in report.parts["all"].points()}
        shown = "; ".join(
            f"from {least}: recall {points[least].recall:.3f}, precision {points[least].precision:.3f}, "
            f"{points[least].false_per_image:.2f} false an image"
            for least in (0.3, 0.5)
        )
        seconds = sum(cpu for _, cpu in found) / len(found)
        print(f"{name:17} AP50 {report.coco['AP50']:.3f}; {shown}; {1e3 * seconds:.0f} ms of CPU an image")


if __name__ == "__main__":
    main()
