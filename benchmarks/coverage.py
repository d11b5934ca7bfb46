"""How probably `uavpipe coverage` says that persons are found, and how many are: fitted, and on other flights.

    python benchmarks/coverage.py --folder bench/positions

The flights of benchmarks/positions.py, which must have been run. A person counts for a flight where the cell of
their median place was seen while they were there; found is who a detection of score 0.5 or more was on, at IoU
0.5, in any frame. One half of the flights gives the recall by height, over all persons in the picture, hidden ones
too, and the correlation of the frames of a pass: that of what a person's frames have more or less than the recall.
Printed for the other half, and with the halves exchanged: for the bundled recall (VisDrone's persons), for the
fitted one, and for it with a pass as one look.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.boxes import iou
from pipeline.chain.table import DETECT, TRACKS
from pipeline.coverage.formats import BANDS
from pipeline.coverage.ground import read_coverage
from pipeline.coverage.recall import Recall, read_recall
from pipeline.stages.detect import read_detections
from pipeline.telemetry.position import METRES_A_DEGREE

NAMES = ["frame", "identity", "x1", "y1", "wide", "tall", "one", "class", "visibility"]
FROM_PX = (12, 20, 35, 60)
FPS = 5  # of the flights


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
    """The recall by height of all persons in the picture, and the correlation of their frames."""
    rows = pd.concat(tables)
    shares = [
        rows[rows["tall"].between(a, b, inclusive="left")]["hit"].mean() for a, b in pairwise((*FROM_PX, np.inf))
    ]
    known = [(px, float(share)) for px, share in zip(FROM_PX, shares, strict=True) if not np.isnan(share)]
    plain = Recall(origin="these flights", from_px=[px for px, _ in known], recall=[share for _, share in known])
    squares = [_residuals(table, plain) for table in tables]
    together, alone = np.concatenate(squares).sum(axis=0)
    return plain.model_copy(update={"correlation": float(np.clip(together / alone, 0.01, 1.0))})


def _residuals(table: pd.DataFrame, recall: Recall) -> np.ndarray:
    """Of each person: what pairs of frames, half a second apart or more, have in common; and could have."""
    found = []
    for _, rows in table.groupby("identity"):
        frames = rows.groupby(((rows["frame"] - 1) / FPS).floordiv(0.5)).first()
        chance = recall.at(frames["tall"].to_numpy())
        off, spread = frames["hit"].to_numpy() - chance, np.sqrt(chance * (1 - chance))
        found.append((off.sum() ** 2 - (off**2).sum(), spread.sum() ** 2 - (spread**2).sum()))
    return np.array(found)


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
    print(
        f"recall {np.round(recall.recall, 3).tolist()} from {list(recall.from_px)} px up ({recall.origin}), "
        f"correlation {recall.correlation:.2f}; whose ground was seen: stated {chance[chance > 0].mean():.3f}, "
        f"found {found[chance > 0].mean():.3f}"
    )
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("bench/positions"))
    folder = parser.parse_args().folder
    flights = sorted(path.parents[1].name for path in folder.glob(f"runs/*/{TRACKS.output}"))
    tables = {flight: seen_of(folder, flight) for flight in flights}
    for fitting, checked in ((flights[::2], flights[1::2]), (flights[1::2], flights[::2])):
        fitted = measured([tables[flight] for flight in fitting])
        for recall in (read_recall(), fitted, fitted.model_copy(update={"correlation": 1.0})):
            compare(folder, checked, recall, tables)
    print(f"correlation in all flights: {measured(list(tables.values())).correlation:.2f}")


if __name__ == "__main__":
    main()
