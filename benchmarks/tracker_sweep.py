"""Settings of `tracks` on finished flights: fragments of persons, purity, and what other frame rates do to them.

python benchmarks/tracker_sweep.py runs/flight01=flight01.gt.txt runs/person11=person11.gt_one_target.txt

Each flight is linked again from its tables, once with the defaults and once with each changed setting, at its own
frame rate and with every n-th frame alone. Nothing is written. Crops are the boxes of tracklets from score 0.8
(--threshold) up, frames those that have some; fragments are the tracklets on persons, per person of the ground
truth; recall is the share of persons with a tracklet's box on them, by frame, and wrong are the boxes a frame on
nobody of the ground truth, of all tracklets. Tracklets are counted as linked, after the cuts where a person's look
changes, and after joining, of which all else is said. Joined are the tracklets that became the continuation of
another; of those whose persons are both known, it says how many are of one person. Choose by some flights, and
verify on others.
"""

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from detector.records import Detections
from pipeline.boxes import Tracked, iou
from pipeline.chain.table import APPEARANCE, DETECT, MOTION
from pipeline.config.models import TracksConfig
from pipeline.config.yaml import apply_settings, validate
from pipeline.groundtruth.detection_metrics import score
from pipeline.groundtruth.read import NOBODY, Truth, read_truth
from pipeline.groundtruth.tracking_metrics import score_tracks
from pipeline.stages.appearance import read_descriptors
from pipeline.stages.detect import read_detections
from pipeline.stages.frames import read_frames
from pipeline.stages.joining import join
from pipeline.stages.motion import read_motion
from pipeline.stages.tracking import link, split_at_jumps

_ON = 0.4  # IoU from which a box is on a person
CHANGES: dict[str, tuple[float, ...]] = {
    "new_track_score": (0.5, 0.6, 0.7),
    "high_score": (0.4, 0.6),
    "min_score": (0.2, 0.3),
    "max_gap_s": (0.5, 2.0),
    "split_below": (0.75, 0.85),
    "join_gap_s": (0.0, 3.0),
    "join_above": (0.8, 0.9),
}


@dataclass(frozen=True, eq=False)
class Flight:
    """What linking reads of a flight, and its ground truth, by frame."""

    detections: Mapping[int, Detections]
    motion: Mapping[int, NDArray[np.float32]]
    times: Mapping[int, float]
    descriptors: pd.DataFrame
    truth: Mapping[int, Truth]

    @classmethod
    def read(cls, folder: Path, truth: Path) -> "Flight":
        """The flight in `folder`, whose stages up to the descriptors are finished."""
        frames = read_frames(folder)
        decoded = frames[~frames["lost"]]
        return cls(
            read_detections(folder / DETECT.folder),
            read_motion(folder / MOTION.folder),
            dict(zip(decoded["frame"].tolist(), decoded["pts_s"].tolist(), strict=True)),
            read_descriptors(folder / APPEARANCE.folder),
            read_truth(truth),
        )

    def every(self, stride: int) -> "Flight":
        """The flight as if only every `stride`-th frame had been recorded."""
        kept = list(self.times)[::stride]
        motion = {after: self._between(before, after) for before, after in pairwise(kept)}
        return Flight(
            {frame: self.detections[frame] for frame in kept if frame in self.detections},
            motion,
            {frame: self.times[frame] for frame in kept},
            self.descriptors[self.descriptors["frame"].isin(kept)],
            {frame: self.truth[frame] for frame in kept if frame in self.truth},
        )

    def _between(self, before: int, after: int) -> NDArray[np.float32]:
        matrix = np.eye(3)
        for frame in range(before + 1, after + 1):
            if frame in self.motion:
                matrix = np.vstack([self.motion[frame], [0, 0, 1]]) @ matrix
        return np.asarray(matrix[:2], np.float32)

    def fps(self) -> float:
        """Frames per second, in the median."""
        return float(1 / np.median(np.diff(list(self.times.values()))))

    def linked(self, config: TracksConfig) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """The rows of the tracklets before cuts, after them, and after joining: tracklet, frame, rank."""
        whole = link(self.detections, self.motion, self.times, config)
        pieces = split_at_jumps(whole, self.descriptors, config)
        uncut = split_at_jumps(whole, self.descriptors, config.model_copy(update={"split_below": 0.0}))
        return uncut, pieces, join(pieces, self.detections, self.motion, self.times, self.descriptors, config)

    def person(self, rows: pd.DataFrame) -> int | None:
        """The person of the ground truth whom most boxes of a tracklet show; None where half show none."""
        shown = Counter[int]()
        for frame, rank in zip(rows["frame"].tolist(), rows["rank"].tolist(), strict=True):
            there = self.truth.get(frame, NOBODY)
            overlaps = iou(self.detections[frame].boxes[[rank]], there.boxes)[0]
            if overlaps.max(initial=0.0) >= _ON:
                shown[int(there.identities[overlaps.argmax()])] += 1
        return next((person for person, count in shown.most_common(1) if 2 * count > len(rows)), None)


def joined(flight: Flight, pieces: pd.DataFrame, rows: pd.DataFrame) -> tuple[int, int, int]:
    """How many of `pieces` follow another in `rows`, of how many both persons are known, and are one person."""
    persons = {number: flight.person(those) for number, those in pieces.groupby("tracklet")}
    both = pieces.merge(rows, on=["frame", "rank"], suffixes=("", "_joined")).sort_values("frame")
    pairs = [
        (persons[before], persons[after])
        for _, those in both.groupby("tracklet_joined")
        for before, after in pairwise(those["tracklet"].unique())
    ]
    known = [(before, after) for before, after in pairs if before is not None and after is not None]
    return len(pairs), len(known), sum(before == after for before, after in known)


def figures(flight: Flight, config: TracksConfig, threshold: float) -> dict[str, Any]:
    """What the tracklets by `config` are worth; boxes from score `threshold` up are crops."""
    uncut, pieces, linked = flight.linked(config)
    rows = linked.sort_values("rank")  # best score first, as in Detections
    found: dict[int, Detections] = {}
    tracked: dict[int, Tracked] = {}
    for number, those in rows.groupby("frame"):
        frame = int(str(number))
        found[frame] = flight.detections[frame][those["rank"].to_numpy()]
        tracked[frame] = Tracked(found[frame].boxes, those["tracklet"].to_numpy(np.int64))
    crops = [count for each in found.values() if (count := len(each.above(threshold)))]
    tracks = score_tracks(flight.truth, tracked, _ON)
    (boxes,) = score(flight.truth, found, (0.0,), _ON)
    return {
        "tracklets": ", ".join(str(each["tracklet"].nunique()) for each in (uncut, pieces, rows)),
        "crops": sum(crops),
        "frames": len(crops),
        "fragments": tracks.tracklets / max(tracks.persons, 1),
        "purity": tracks.purity,
        "IDF1": tracks.idf1,
        "recall": boxes.recall,
        "wrong": boxes.wrong_per_frame,
        "joined": "{0}, right {2} of {1}".format(*joined(flight, pieces, rows)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flights", nargs="+", metavar="FLIGHT=TRUTH")
    parser.add_argument("--strides", default="1,2", help="keep every n-th frame, for each of these n")
    parser.add_argument("--set", dest="settings", action="append", metavar="KEY=VALUE", help="try these alone")
    parser.add_argument("--threshold", type=float, default=0.8, help="detector.threshold")
    arguments = parser.parse_args()
    tried = arguments.settings or [f"{name}={value:g}" for name, values in CHANGES.items() for value in values]
    configs = {"defaults": TracksConfig()} | {
        setting: validate(apply_settings({}, setting.split()), TracksConfig, "tracks") for setting in tried
    }
    names = "linked,cut,joined  crops  frames  fragments  purity   IDF1 recall  wrong  joined"
    print(f"{'flight':16}{'fps':>4}  {'setting':30}{names}")
    for given in arguments.flights:
        folder, _, truth = given.partition("=")
        whole = Flight.read(Path(folder), Path(truth))
        for stride in map(int, arguments.strides.split(",")):
            flight = whole.every(stride)
            for name, config in configs.items():
                found = figures(flight, config.starting_from(arguments.threshold), arguments.threshold)
                print(
                    f"{Path(folder).name:16}{flight.fps():4.0f}  {name:30}{found['tracklets']:>15}"
                    f"{found['crops']:7}{found['frames']:8}{found['fragments']:11.2f}{found['purity']:8.3f}{found['IDF1']:7.3f}"
                    f"{found['recall']:7.3f}{found['wrong']:7.2f}  {found['joined']}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
