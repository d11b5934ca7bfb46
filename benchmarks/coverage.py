"""How many simulated persons were found, by the probability that `uavpipe coverage` gives for their place.

    python benchmarks/coverage.py --folder bench/positions

The flights of benchmarks/positions.py, which must have been run. A person counts for a flight where the cell of
their median place was seen while they were there; found is who a detection of score 0.5 or more was on, at IoU
0.5, in any frame. Printed for the bundled recall (VisDrone's persons), and for the recall by height in half of
these flights, measured frame by frame, on the other half.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.boxes import iou
from pipeline.chain.table import DETECT
from pipeline.coverage.formats import BANDS
from pipeline.coverage.ground import read_coverage
from pipeline.coverage.recall import Recall, read_recall
from pipeline.stages.detect import read_detections
from pipeline.telemetry.position import METRES_A_DEGREE

NAMES = ["frame", "identity", "x1", "y1", "wide", "tall", "one", "class", "visibility"]
FROM_PX = (12, 20, 35, 60)


def seen_of(folder: Path, flight: str) -> pd.DataFrame:
    """Each person in each frame of a flight: identity, frame, height in px, visibility, whether it was detected."""
    rows = pd.read_csv(folder / f"{flight}.gt.txt", header=None, names=NAMES)
    found = read_detections(folder / "runs" / flight / DETECT.folder)
    hit = np.zeros(len(rows), bool)
    for frame, those in rows.groupby("frame"):
        here = found.get(frame - 1)
        if here is not None:
            boxes = those[["x1", "y1", "wide", "tall"]].to_numpy()
            boxes = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
            hit[those.index] = (iou(boxes, here.boxes[here.scores >= 0.5]) >= 0.5).any(axis=1)
    return rows.assign(hit=hit)


def measured(tables: list[pd.DataFrame]) -> Recall:
    """The recall by height, of persons that are visible by a quarter or more."""
    rows = pd.concat(tables)
    rows = rows[rows["visibility"] >= 0.25]
    shares = [
        rows[rows["tall"].between(a, b, inclusive="left")]["hit"].mean() for a, b in pairwise((*FROM_PX, np.inf))
    ]
    known = [(px, float(share)) for px, share in zip(FROM_PX, shares, strict=True) if not np.isnan(share)]
    return Recall(origin="these flights", from_px=[px for px, _ in known], recall=[share for _, share in known])


def compare(folder: Path, flights: list[str], recall: Recall, tables: dict[str, pd.DataFrame]) -> None:
    """Print, for each band of probability, how many persons were there and which share was found."""
    rows = []
    for flight in flights:
        coverage = read_coverage(folder / "runs", recall, [flight], cell_m=1.0)
        hits = tables[flight].groupby("identity")["hit"].any()
        places = (
            pd.read_csv(folder / f"{flight}.positions.csv").groupby("identity")[["latitude", "longitude"]].median()
        )
        across = METRES_A_DEGREE * np.cos(np.radians(coverage.origin[0]))
        for person, (latitude, longitude) in zip(places.index, places.to_numpy(), strict=True):
            row = int((latitude - coverage.origin[0]) * METRES_A_DEGREE / coverage.cell_m)
            column = int((longitude - coverage.origin[1]) * across / coverage.cell_m)
            shape = coverage.found.shape
            inside = 0 <= row < shape[0] and 0 <= column < shape[1]
            chance = float(coverage.found[row, column]) if inside else 0.0
            rows.append((chance, bool(hits.get(person, False))))
    chance, found = np.array(rows).T
    print(f"recall {np.round(recall.recall, 3).tolist()} from {list(recall.from_px)} px up ({recall.origin})")
    ends = (1e-9, *BANDS, 1.01)
    print(f"  not seen: {(chance == 0).sum():4d} persons, found {found[chance == 0].mean():.2f}")
    for low, high in pairwise(ends):
        those = (chance >= low) & (chance < high)
        if those.any():
            print(
                f"  {low:.2f} to {high:.2f}: {those.sum():4d} persons, stated {chance[those].mean():.2f}, "
                f"found {found[those].mean():.2f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("bench/positions"))
    folder = parser.parse_args().folder
    flights = sorted(path.stem for path in folder.glob("flight??.mp4"))
    tables = {flight: seen_of(folder, flight) for flight in flights}
    compare(folder, flights, read_recall(), tables)
    compare(folder, flights[1::2], measured([tables[flight] for flight in flights[::2]]), tables)


if __name__ == "__main__":
    main()
