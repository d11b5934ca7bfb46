"""`uavpipe dataset` at the paper's size: 46,359 made-up crops of 101 people in 8 flights.

python benchmarks/dataset.py
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from annotate.log.store import LABELS, LabelStore
from annotate.operations import NewIdentity, tracklet_id
from annotate.records import read_tracklets

_CROPS, _PEOPLE, _FLIGHTS = 46_359, 101, 8
_WIDTH, _HEIGHT = 40, 80


def fly(folder: Path, crops: int, rng: np.random.Generator) -> None:
    """Write the tables of a flight in which everybody is one tracklet, and its crops."""
    (folder / "crops" / "images").mkdir(parents=True)
    rows = []
    for place in range(crops):
        frame, person = divmod(place, _PEOPLE)
        crop = f"images/{frame:08d}_{person:03d}.jpg"
        blur = cv2.resize(rng.integers(0, 256, (6, 3, 3), np.uint8), (_WIDTH, _HEIGHT))
        (folder / "crops" / crop).write_bytes(cv2.imencode(".jpg", blur)[1].tobytes())
        box = {"x1": 9.0 * person, "y1": 0.0, "x2": 9.0 * person + _WIDTH, "y2": float(_HEIGHT)}
        at = {"tracklet": person, "frame": frame, "rank": person, "pts_s": frame / 3}
        rows.append({**at, **box, "score": 0.9, "crop": crop, "sharpness": 9.0})
    table = pd.DataFrame(rows)
    for name in ("tracks/tracklets", "detections/detections", "crops/crops"):
        (folder / name).parent.mkdir(exist_ok=True)
        content = table if name.startswith("tracks") else table.drop(columns="tracklet")
        content.to_parquet(folder / f"{name}.parquet")


def label(workspace: Path, flights: list[str]) -> None:
    """Tracklet n of each flight is identity n + 1."""
    with LabelStore(workspace / LABELS) as store:
        for flight in flights:
            store.add_flight(flight, read_tracklets(workspace, flight))
        with store.together(user="benchmark", id="all") as decide:
            for person in range(_PEOPLE):
                decide(NewIdentity(tracklets=tuple(tracklet_id(flight, person) for flight in flights)))


def measure(what: str, workspace: Path, *settings: str) -> None:
    """Run the command and print what it took."""
    command = [sys.executable, "-m", "pipeline", "dataset", "--workspace", str(workspace), *settings]
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # The peak is the largest of all runs so far.
    print(f"{what:12} {cpu:5.1f} s of CPU, {time.perf_counter() - wall:5.1f} s, {after.ru_maxrss / 1024:.0f} MiB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace, rng = Path(folder), np.random.default_rng(0)
        flights = [f"flight{number}" for number in range(1, _FLIGHTS + 1)]
        for flight, share in zip(flights, np.array_split(np.arange(_CROPS), _FLIGHTS), strict=True):
            fly(workspace / flight, len(share), rng)
        label(workspace, flights)
        measure("made", workspace)
        measure("up to date", workspace)
        measure("thinned", workspace, "--set", "dataset.thin.difference=2")


if __name__ == "__main__":
    main()
