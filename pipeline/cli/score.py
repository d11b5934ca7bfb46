"""`uavpipe score`: a flight's detections and tracklets against a ground truth."""

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.chain.table import DETECT, FRAMES, TRACKS
from pipeline.cli.options import FIRST_FRAME, JSON, PATH, PERSON_NAMES, TASK, flight_argument
from pipeline.cli.outputs import print_json

if TYPE_CHECKING:
    from pipeline.groundtruth.detection_metrics import Score
    from pipeline.groundtruth.read import GroundTruth
    from pipeline.groundtruth.tracking_metrics import TrackScore


@click.command()
@flight_argument
@click.argument("truth", type=PATH)
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    default=(0.5, 0.8),
    show_default=True,
    help="Count detections from this score up; may be repeated.",
)
@click.option(
    "--iou", "min_iou", type=float, default=0.5, show_default=True, help="Require this IoU of a correct box."
)
@click.option(
    "--min-visibility",
    type=click.FloatRange(0, 1),
    default=0.25,
    show_default=True,
    help="Evaluate persons that are visible by at least this share; 0: all, as TrackEval does.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["mot", "coco", "cvat"]),
    help="Read this format.  [default: coco for .json, cvat for .xml, else mot]",
)
@PERSON_NAMES
@FIRST_FRAME
@TASK
@JSON
def score(
    flight: Path,
    truth: Path,
    thresholds: tuple[float, ...],
    min_iou: float,
    min_visibility: float,
    form: str | None,
    persons: tuple[str, ...],
    first_frame: int | None,
    task: str | None,
    as_json: bool,
) -> None:
    """Compare the detections and tracklets of FLIGHT with the ground truth TRUTH.

    FLIGHT is the name of a flight, its folder in the workspace, or its video.

    TRUTH is MOTChallenge's or VisDrone's text, COCO's JSON or CVAT's XML with tracks, the zip of such an export, or
    `x,y,w,h` of one target a frame. Only annotated frames are scored.
    """
    from annotate.exchange.admit import Reading
    from pipeline.errors import PipelineError
    from pipeline.groundtruth.detection_metrics import check_matched
    from pipeline.groundtruth.detection_metrics import score as score_detections
    from pipeline.groundtruth.read import read_flight_truth
    from pipeline.stages.detect import read_detections
    from pipeline.workspace.manifest import StageFolder

    flight = flight.absolute()
    manifests = [StageFolder(flight / stage.folder).manifest() for stage in (FRAMES, DETECT)]
    if None in manifests:
        raise PipelineError(f"{flight}: no finished detections here; run 'uavpipe detect' first")
    found = read_detections(flight / DETECT.folder)
    people = read_flight_truth(truth, flight, Reading(persons, first_frame, task), form, min_visibility)
    check_matched(truth, people.frames, found, min_iou)
    lines = score_detections(people.frames, found, thresholds, min_iou)
    linked = StageFolder(flight / TRACKS.folder).manifest() is not None
    tracks = _score_tracks(people, flight, min_iou) if linked and people.tracked else None
    if as_json:
        print_json({"truth": truth, "account": people.account, **_content(people, lines, tracks)})
        return
    click.echo(f"{truth}: {people.account}")
    for line in lines:
        wrong = (
            ""
            if people.one_target
            else f", precision {line.precision:.3f}, {line.wrong_per_frame:.2f} boxes a frame that match nobody"
        )
        click.echo(f"score ≥ {line.threshold:g}: recall {line.recall:.3f} of {line.persons:,} persons{wrong}")
    if linked:
        click.echo(_tracklets(people, tracks))


def _content(people: "GroundTruth", lines: "Iterable[Score]", tracks: "TrackScore | None") -> dict[str, Any]:
    """The figures as JSON has them: those that count what matches nobody are null where not all are annotated."""
    if people.one_target:
        lines = [replace(line, precision=math.nan, wrong_per_frame=math.nan) for line in lines]
        tracks = tracks and replace(tracks, hota=math.nan, idf1=math.nan, mota=math.nan)
    return {"detections": list(lines), "tracklets": tracks}


def _score_tracks(people: "GroundTruth", flight: Path, min_iou: float) -> "TrackScore":
    from pipeline.groundtruth.tracking_metrics import score_tracks
    from pipeline.stages.tracks import read_tracked

    return score_tracks(people.frames, read_tracked(flight), min_iou)


def _tracklets(people: "GroundTruth", line: "TrackScore | None") -> str:
    if line is None:
        return "tracklets: not scored, as the ground truth has no tracks"
    rest = (
        f"{line.switches:,} switches, purity {line.purity:.4f}; {line.tracklets:,} tracklets of {line.persons:,} "
        "persons"
    )
    if people.one_target:
        return f"tracklets: {rest} (HOTA, IDF1 and MOTA need the other persons, who are not annotated)"
    return f"tracklets: HOTA {line.hota:.3f}, IDF1 {line.idf1:.3f}, MOTA {line.mota:.3f}, {rest}"
