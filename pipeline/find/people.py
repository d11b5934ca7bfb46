"""The number of different people that a workspace shows, by its labels and the similarities of its tracklets."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from annotate.operations import Mark, flight_of, tracklet_id
from pipeline.boxes import intersection
from pipeline.chain.table import DETECT
from pipeline.engine.progress import Progress
from pipeline.errors import PipelineError
from pipeline.find.calibration import Calibration
from pipeline.find.find import calibration_of, network_of
from pipeline.find.gallery import Gallery, read_gallery
from pipeline.find.population import OPEN, SWEEPS, Decided, count_people
from pipeline.headcount import Headcount, write_headcount
from pipeline.labelling.suggestions import embed_flights
from pipeline.sightings.tracklets import LabelledTracklets, read_labelled_tracklets
from pipeline.workspace.tables import read_table

_ONE_PERSON = 0.3  # of the smaller box; as in annotate.suggestions.co_occurrence
_MOST_FRAMES = 2000  # of a flight, in which tracklets are compared
_BOX = ["x1", "y1", "x2", "y2"]


def count_in_workspace(
    workspace: Path, progress: Progress, *, weights: Path | None = None, device: str = "auto"
) -> Headcount:
    """The number of people in `workspace`, people without an embedded crop included; kept there for others to read.

    Args:
        workspace: with tracklets and crops; labels make the interval narrower.
        progress: of embedding crops that are not embedded yet, and of counting.
        weights: as for `find`.
        device: of the network.

    Raises:
        AnnotateError, PipelineError, ReidError: a table, weights or labels are missing or damaged; or nothing says
            what similarities of this network mean.

    """
    tracklets = read_labelled_tracklets(workspace)
    labels = [tracklets.label(name) for name in _names(tracklets)]
    identities = {label for label in labels if isinstance(label, int)}
    decided = len(identities) + labels.count(Mark.DISTRACTOR)
    waiting = sum(label in (Mark.OPEN, Mark.SKIPPED) for label in labels)
    counted = Headcount(decided, decided, decided, decided=decided, open=0, without=0, origin="")
    if waiting:
        gallery, calibration = _embedded(workspace, tracklets, weights, progress, device)
        known = decided_of(workspace, tracklets, gallery, calibration)
        with progress("people", SWEEPS) as advance:
            found = count_people(known, advance)
        unseen = len(identities - {tracklets.label(name) for name in gallery.names})
        counted = Headcount(
            people=found.people + unseen,
            low=found.low + unseen,
            high=found.high + unseen,
            decided=decided,
            open=waiting,
            without=waiting - int((known.people == OPEN).sum()),
            origin=calibration.origin,
        )
    write_headcount(workspace, counted, tracklets.log)
    return counted


def _embedded(
    workspace: Path, tracklets: LabelledTracklets, weights: Path | None, progress: Progress, device: str
) -> tuple[Gallery, Calibration]:
    weights = weights or network_of(workspace, tracklets)
    embed_flights(workspace, weights, progress, device)
    gallery = read_gallery(workspace, tracklets)
    calibration = calibration_of(workspace, weights, gallery, tracklets)
    if calibration is None:
        raise PipelineError(
            f"{weights}: no calibration of this network; label 20 persons in two flights, or use another"
        )
    return gallery, calibration


def _names(tracklets: LabelledTracklets) -> list[str]:
    """The names of all tracklets."""
    each = ((flight, rows["number"].unique().tolist()) for flight, rows in tracklets.rows.items())
    return [tracklet_id(flight, number) for flight, numbers in each for number in numbers]


def decided_of(
    workspace: Path, tracklets: LabelledTracklets, gallery: Gallery, calibration: Calibration
) -> Decided:
    """What is known of the tracklets of `gallery`; a distractor is a person of its own."""
    labels = [tracklets.label(name) for name in gallery.names]
    alone = np.array([label == Mark.DISTRACTOR for label in labels], np.bool_)
    people = np.array([label if isinstance(label, int) else OPEN for label in labels], np.int64)
    people[alone] = people.max(initial=0) + 1 + np.arange(alone.sum())
    apart = (alone[:, None] | alone[None]) & ~np.eye(len(labels), dtype=bool)
    for flight in tracklets.rows:
        places = np.array(
            [place for place, name in enumerate(gallery.names) if flight_of(name) == flight], np.int64
        )
        if len(places):
            numbers = [int(gallery.names[place].rpartition("/")[2]) for place in places]
            boxes = read_table(workspace / flight / DETECT.output, ["frame", "rank", *_BOX])
            apart[np.ix_(places, places)] |= apart_in_frames(tracklets.rows[flight], boxes, numbers)
    junk = sum(tracklets.label(name) == Mark.JUNK for name in _names(tracklets))
    return Decided(calibration.alike(gallery.features @ gallery.features.T), people, apart, junk)


def apart_in_frames(rows: pd.DataFrame, boxes: pd.DataFrame, numbers: Sequence[int]) -> NDArray[np.bool_]:
    """Which tracklets of a flight are of different people, as frames show both: bool (n, n), by `numbers`.

    A person may be detected twice: two tracklets are apart if they overlap in less than half of the frames that
    they share. Of a long flight, 2,000 frames are compared.

    Args:
        rows: number, frame, rank of the tracklets' detections.
        boxes: frame, rank, x1 … y2 of the detections.
        numbers: of the tracklets.

    """
    frames = np.unique(rows["frame"].to_numpy())
    chosen = frames[:: max(1, len(frames) // _MOST_FRAMES)]
    here = rows[rows["frame"].isin(chosen) & rows["number"].isin(numbers)]
    here = here.merge(boxes[["frame", "rank", *_BOX]], on=["frame", "rank"])
    here = here.assign(place=pd.Index(numbers).get_indexer(pd.Index(here["number"])))
    shared, overlapping = np.zeros((2, len(numbers), len(numbers)), np.int64)
    for _, those in here.groupby("frame"):
        places, corners = those["place"].to_numpy(), those[_BOX].to_numpy(np.float64)
        area = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
        common = intersection(corners, corners)
        pairs = np.ix_(places, places)
        shared[pairs] += 1
        overlapping[pairs] += common >= _ONE_PERSON * np.minimum(area[:, None], area[None])
    found = 2 * overlapping < shared
    np.fill_diagonal(found, False)
    return np.asarray(found, np.bool_)
