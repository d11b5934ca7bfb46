"""How probably `uavpipe coverage` says that persons are found, and how many are: fitted, and on other flights.

    python benchmarks/coverage.py --folder bench/positions
    python benchmarks/coverage.py --real DATA/video

The flights of benchmarks/positions.py, which must have been run. A person counts for a flight where the cell of
their median place was seen while they were there; found is who a detection of score 0.5 or more was on, at IoU
0.5, in any frame. One half of the flights gives the recall by height, over all persons in the picture, hidden ones
too, and the correlation of the frames of a pass: that of what a person's frames have more or less than the recall.
Printed for the other half, and with the halves exchanged: for the bundled recall (VisDrone's persons), for the
fitted one, and for it with a pass as one look.

`--real`: UAV123's group2 and person11, of each of which one man is annotated, as long as he is in view. Each 5 s
(as long as a simulated person is in view) count as a pass; the recall is that of all passes, or the bundled one.
The correlation is printed with 90 % of the draws of as many passes with replacement.
"""

import argparse
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pandas as pd

from detector.backends.load import load_predictor
from detector.config import DetectorConfig
from detector.records import Detections
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
REAL = ("uav123_group2", "uav123_person11")
REAL_FPS, PASS_S = 10, 5


def seen_of(folder: Path, flight: str) -> pd.DataFrame:
    """Each person in each frame of a flight: identity, frame, height in px, visibility, whether it was detected."""
    rows = pd.read_csv(folder / f"{flight}.gt.txt", header=None, names=NAMES)
    return hits_of(rows, read_detections(folder / "runs" / flight / DETECT.folder))


def hits_of(rows: pd.DataFrame, found: Mapping[int, Detections]) -> pd.DataFrame:
    """`rows` of the ground truth, and which of them are `found`, by frame from 0."""
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
    plain = recall_of(tables)
    squares = np.concatenate([_residuals(table, plain, FPS) for table in tables])
    return plain.model_copy(update={"correlation": _correlation(squares)})


def recall_of(tables: list[pd.DataFrame]) -> Recall:
    """The recall by height of all persons in the picture."""
    rows = pd.concat(tables)
    shares = [
        rows[rows["tall"].between(a, b, inclusive="left")]["hit"].mean() for a, b in pairwise((*FROM_PX, np.inf))
    ]
    known = [(px, float(share)) for px, share in zip(FROM_PX, shares, strict=True) if not np.isnan(share)]
    return Recall(origin="these flights", from_px=[px for px, _ in known], recall=[share for _, share in known])


def _correlation(squares: np.ndarray) -> float:
    together, alone = squares.sum(axis=0)
    return float(np.clip(together / alone, 0.01, 1.0))


def _residuals(table: pd.DataFrame, recall: Recall, fps: float) -> np.ndarray:
    """Of each person: what pairs of frames, half a second apart or more, have in common; and could have."""
    found = []
    for _, rows in table.groupby("identity"):
        frames = rows.groupby(((rows["frame"] - 1) / fps).floordiv(0.5)).first()
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


def real(videos: Path) -> None:
    """Detect in the annotated clips, and print the correlation of what a pass has more or less than the recall."""
    predictor = load_predictor(DetectorConfig(weights="embedded"))
    tables = []
    for name in REAL:
        rows = _annotated(videos / f"{name}.gt_one_target.txt")
        wanted, found = {*rows["frame"]}, {}
        with av.open(str(videos / f"{name}.mp4")) as video:
            for number, frame in enumerate(video.decode(video=0)):
                if number + 1 in wanted:
                    picture = frame.to_ndarray(format="rgb24")
                    (found[number],) = predictor.predict([predictor.preprocess(picture)])
        tables.append(hits_of(rows, found))
    for recall in (recall_of(tables), read_recall()):
        squares = np.concatenate([_residuals(table, recall, REAL_FPS) for table in tables])
        draws = np.random.default_rng(0).integers(0, len(squares), (2000, len(squares)))
        low, high = np.quantile([_correlation(squares[draw]) for draw in draws], [0.05, 0.95])
        print(
            f"recall {np.round(recall.recall, 3).tolist()} from {list(recall.from_px)} px up: correlation "
            f"{_correlation(squares):.2f} ({low:.2f} to {high:.2f}) in {len(squares)} passes"
        )
    for name, table in zip(REAL, tables, strict=True):
        shares = table.groupby("identity")["hit"].agg(["sum", "size"]).to_numpy().tolist()
        print(f"{name}: {table['tall'].min():.0f} to {table['tall'].max():.0f} px, found in the passes: {shares}")


def _annotated(path: Path) -> pd.DataFrame:
    """The boxes of the annotated man each half second, as of another identity in each pass."""
    rows = pd.read_csv(path, comment="#", header=None)
    if rows.shape[1] == 4:
        rows.insert(0, "frame", np.arange(len(rows)))
    rows.columns = ["frame", "x1", "y1", "wide", "tall"]
    rows = rows.dropna().reset_index(drop=True)
    first = rows["frame"].min()
    passes = (rows["frame"] - first).floordiv(REAL_FPS * PASS_S)
    rows = rows.assign(frame=rows["frame"] + 1, identity=passes)
    return rows.groupby(((rows["frame"] - 1) / REAL_FPS).floordiv(0.5)).first().reset_index(drop=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("bench/positions"))
    parser.add_argument("--real", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder
    if arguments.real is not None:
        real(arguments.real)
        return
    flights = sorted(path.parents[1].name for path in folder.glob(f"runs/*/{TRACKS.output}"))
    tables = {flight: seen_of(folder, flight) for flight in flights}
    for fitting, checked in ((flights[::2], flights[1::2]), (flights[1::2], flights[::2])):
        fitted = measured([tables[flight] for flight in fitting])
        for recall in (read_recall(), fitted, fitted.model_copy(update={"correlation": 1.0})):
            compare(folder, checked, recall, tables)
    print(f"correlation in all flights: {measured(list(tables.values())).correlation:.2f}")


if __name__ == "__main__":
    main()
