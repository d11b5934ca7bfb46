"""Crops of simulated persons as a re-ID data set with the layout of Market-1501, for the card of the embedder.

    python benchmarks/simulated_persons.py data/cards/simulated_persons    80 persons of two casts, as in the card
    python benchmarks/simulated_persons.py OUT --casts 7001-7016 --train   to train on

Each cast of 40 is in three flights, 14, 19 and 25 m above the ground, which are its cameras; one frame a second.
The crops are cut by the ground truth: persons of 24 px and more who are mostly visible and not at the picture's
edge. The middle one of each person and flight is a query.
"""

import argparse
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from pipeline.simulate.flight import simulate_flight
from pipeline.video import open_video

ALTITUDES = (14.0, 19.0, 25.0)  # m
_PEOPLE, _SECONDS = 40, 14
_SMALLEST, _VISIBLE = 24, 0.6  # px; share
_AROUND = 0.04  # of the height, as a detector's boxes are somewhat larger


def crops_of(cast: int, flight: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Person, frame and crop (RGB) of all who are well seen in a flight of a cast."""
    with tempfile.TemporaryDirectory() as folder:
        seed, altitude = 10 * cast + flight, ALTITUDES[flight]
        files = simulate_flight(
            Path(folder) / "flight.mp4",
            people=_PEOPLE,
            seconds=_SECONDS,
            seed=seed,
            cast_seed=cast,
            fps=1,
            altitude=altitude,
        )
        truth = np.loadtxt(files.truth, delimiter=",")
        for frame in open_video(files.video).read_all():
            edge = np.array(frame.image.shape[1::-1]) - 2
            for _, person, left, top, width, height, _, _, visible in truth[truth[:, 0] == frame.index + 1]:
                inside = min(left, top) >= 2 and (np.array([left + width, top + height]) <= edge).all()
                if inside and height >= _SMALLEST and visible >= _VISIBLE:
                    more = _AROUND * height
                    rows = slice(max(0, round(top - more)), round(top + height + more))
                    columns = slice(max(0, round(left - more)), round(left + width + more))
                    yield int(person), frame.index, frame.image[rows, columns]


def write_cast(folder: Path, train: bool, cast: int) -> int:
    """Write the crops of a cast; returns how many."""
    cv2.setNumThreads(1)
    count = 0
    for flight in range(len(ALTITUDES)):
        seen: dict[int, list[tuple[int, np.ndarray]]] = {}
        for person, frame, crop in crops_of(cast, flight):
            seen.setdefault(person, []).append((frame, crop))
        for person, crops in seen.items():
            for number, (frame, crop) in enumerate(crops):
                test = "query" if number == len(crops) // 2 else "bounding_box_test"
                name = f"{cast % 100 * 100 + person:04d}_c{flight + 1}s1_{frame:06d}_00.jpg"
                place = folder / ("bounding_box_train" if train else test) / name
                cv2.imwrite(str(place), crop[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
            count += len(crops)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--casts", default="8001-8002", help="the first and the last")
    parser.add_argument("--train", action="store_true", help="all crops are for training")
    arguments = parser.parse_args()
    first, _, last = arguments.casts.partition("-")
    for part in ("bounding_box_train", "query", "bounding_box_test"):
        (arguments.folder / part).mkdir(parents=True, exist_ok=True)
    casts = range(int(first), int(last or first) + 1)
    with ProcessPoolExecutor() as processes:
        counts = list(processes.map(partial(write_cast, arguments.folder, arguments.train), casts))
    print(f"{sum(counts)} crops of {len(casts) * _PEOPLE} persons in {arguments.folder}")


if __name__ == "__main__":
    main()
