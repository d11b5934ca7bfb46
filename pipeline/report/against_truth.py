"""A flight's detections and tracklets compared with its ground truth."""

import math
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from pipeline.chain.table import DETECT, TRACKS
from pipeline.groundtruth.detection_metrics import check_matched, judge
from pipeline.groundtruth.read import read_flight_truth
from pipeline.groundtruth.tracking_metrics import score_tracks
from pipeline.report.plots import precision_by_recall
from pipeline.report.provenance import provenance_id
from pipeline.report.records import Fact
from pipeline.stages.detect import read_detections
from pipeline.stages.tracks import read_tracked


@dataclass(frozen=True)
class GroundTruthPart:
    """A flight compared with its ground truth.

    Attributes:
        truth: the file of the ground truth.
        account: what was read of it, and by which rules.
        facts: of the detections, and of the tracklets where there are any.
        curve: precision by recall; None where precision has no meaning.

    """

    truth: Path
    account: str
    facts: tuple[Fact, ...]
    curve: Markup | None


def compare_with_truth(folder: Path, truth: Path, threshold: float) -> GroundTruthPart:
    """Compare the flight in `folder`, with finished detections, with its ground truth, as `uavpipe score` does.

    Args:
        folder: of the flight.
        truth: the file of the ground truth.
        threshold: from which the flight's detections become crops.

    Raises:
        PipelineError: the ground truth cannot be read.

    """
    people, found = read_flight_truth(truth, folder.absolute()), read_detections(folder / DETECT.folder)
    check_matched(truth, people.frames, found)
    judged = judge(people.frames, found)
    detections, tracks = (provenance_id(folder.name, stage.folder) for stage in (DETECT, TRACKS))
    point, ap = judged.at(threshold), judged.ap50()
    facts = [Fact(f"recall, score ≥ {threshold:g}", _figure(point.recall), detections)]
    if not people.one_target:  # else the detections on others are not wrong
        facts += [
            Fact(f"precision, score ≥ {threshold:g}", _figure(point.precision), detections),
            Fact("AP50", _figure(ap), detections),
        ]
    if people.tracked and (folder / TRACKS.output).exists():
        score = score_tracks(people.frames, read_tracked(folder))
        if not people.one_target:
            facts += [Fact("IDF1", _figure(score.idf1), tracks), Fact("HOTA", _figure(score.hota), tracks)]
        facts += [
            Fact("purity of tracklets", _figure(score.purity), tracks),
            Fact("tracklets for persons of the ground truth", f"{score.tracklets:,} for {score.persons:,}", tracks),
        ]
    curve = None if people.one_target else precision_by_recall(folder.name, judged, threshold)
    return GroundTruthPart(truth, people.account, tuple(facts), curve)


def _figure(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"
