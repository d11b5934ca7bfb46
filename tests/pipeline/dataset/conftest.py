"""Workspaces with labelled flights, made by hand."""

import cv2
import numpy as np
import pandas as pd
import pytest

from annotate.log.store import LABELS, LabelStore
from annotate.operations import Assign, Mark, NewIdentity, SetMark
from annotate.records import read_tracklets


@pytest.fixture
def fly():
    """Called with workspace, name and (first frame, frames) of each tracklet: writes a flight."""

    def write(workspace, flight, tracklets, fps=10):
        folder = workspace / flight
        (folder / "crops" / "images").mkdir(parents=True)
        rng = np.random.default_rng(list(flight.encode()))
        members, detections, crops = [], [], []
        for number, (first, count) in enumerate(tracklets):
            for frame in range(first, first + count):
                at = {"frame": frame, "rank": number}
                box = {"x1": 30.0 * number, "y1": 0.0, "x2": 30.0 * number + 20, "y2": 40.0 + number}
                name = f"images/{frame:04d}_{number}.jpg"
                cv2.imwrite(str(folder / "crops" / name), rng.integers(0, 256, (40, 20, 3), np.uint8))
                members.append({"tracklet": number, **at})
                detections.append({**at, "pts_s": frame / fps, **box, "score": 0.9})
                crops.append({**at, "crop": name, "sharpness": 50.0})
        tables = {"tracks/tracklets": members, "detections/detections": detections, "crops/crops": crops}
        for table, rows in tables.items():
            path = folder / f"{table}.parquet"
            path.parent.mkdir(exist_ok=True)
            pd.DataFrame(rows).to_parquet(path, index=False)

    return write


@pytest.fixture
def label():
    """Called with workspace and {tracklet: identity from 1 up, or a mark}: new flights are made known first."""

    def decide(workspace, labels):
        with LabelStore(workspace / LABELS) as store:
            for flight in sorted({name.split("/")[0] for name in labels} - set(store.state.flights)):
                store.add_flight(flight, read_tracklets(workspace, flight))
            for number, (name, to) in enumerate(labels.items(), start=len(store.entries)):
                if isinstance(to, Mark):
                    operation = SetMark(tracklets=(name,), mark=to)
                elif to in store.state.identities:
                    operation = Assign(tracklets=(name,), identity=to)
                else:
                    operation = NewIdentity(tracklets=(name,))
                store.apply(operation, user="ann", id=f"l{number}")

    return decide


@pytest.fixture
def workspace(tmp_path, fly, label):
    """Two flights of six people, each in both, with junk, a distractor, and tracklets that nobody decided on."""
    folder = tmp_path / "runs"
    for flight in ("f1", "f2"):
        fly(folder, flight, [(7 * number, 5) for number in range(9)])
    people = {f"{flight}/{number}": number + 1 for flight in ("f1", "f2") for number in range(6)}
    marks = {"f1/6": Mark.JUNK, "f1/7": Mark.DISTRACTOR, "f1/8": Mark.SKIPPED, "f2/6": Mark.JUNK}
    label(folder, people | marks)
    return folder
