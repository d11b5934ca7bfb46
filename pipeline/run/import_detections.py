"""Detections of another tool as the result of stage `detect`: the chain continues from them without a detector."""

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from annotate.exchange.admit import Admitted, Reading, facts_of
from annotate.exchange.detections import read_detections
from annotate.exchange.records import TrackBox
from detector.config import DetectorConfig
from pipeline.chain.table import DETECT, FRAMES
from pipeline.config.models import FlightConfig
from pipeline.engine.progress import Progress
from pipeline.errors import PipelineError
from pipeline.files import file_sha256
from pipeline.privacy.redactions import FILE, read_redactions
from pipeline.relinking.keep import keep_boxes
from pipeline.run.flight import describe, open_configured, run_segment_stages
from pipeline.stages.detect import DetectStage, source_of_import
from pipeline.video.content_hash import list_images
from pipeline.workspace.folders import open_flight
from pipeline.workspace.stage import StageResult
from pipeline.workspace.tables import read_table


def import_detections(
    config: FlightConfig,
    video: Path,
    path: Path,
    reading: Reading,
    progress: Progress,
    *,
    replace_own: bool = False,
) -> tuple[StageResult, str]:
    """Write the persons in `path` as the detections of the flight of `video`; its frames are listed first.

    Args:
        config: the configuration; boxes below `detector.floor` are left out.
        video: of the flight.
        path: the detections, in a format that `annotate.exchange.detections` reads.
        reading: what the user says about the file.
        progress: shows how far it is.
        replace_own: whether detections that a detector has found are replaced.

    Returns:
        The stage, and its account: boxes read, used, and left out by reason.

    Raises:
        PipelineError: the video or the workspace, detections of a detector are there, or a person was erased.
        AnnotateError: the file cannot be read, or does not fit the flight.

    """
    if not path.exists():  # told before the video is read
        raise PipelineError(f"{path}: no such file or folder of detections")
    run_segment_stages(config, video, FRAMES, progress)
    with open_flight(config.workspace, video, config.name_of(video)) as flight:
        folder = flight.stage(DETECT.folder)
        if folder.manifest() is not None and source_of_import(folder) is None and not replace_own:
            raise PipelineError(
                f"{folder.path}: has the detections of a detector; --replace puts the imported ones in their place"
            )
        if read_redactions(flight.folder):
            raise PipelineError(
                f"{flight.folder / FILE}: a person was erased from this flight, and detections from elsewhere may "
                "show that person again; detect with uavpipe"
            )
        names = {image.stem: place for place, image in enumerate(list_images(video))} if video.is_dir() else {}
        read = read_detections(path, facts_of(config.workspace, flight.folder.name), reading, names)
        frames = read_table(flight.folder / FRAMES.output, ["frame", "pts_s", "lost", "width", "height"])
        rows, found = _rows(read.found, frames, config.detector)
        source: dict[str, Any] = {
            "file": path.name,
            "sha256": _sha256(read.paths),
            "format": read.form,
            "account": found.account(),
            "first_frame": reading.first_frame,
            "persons": sorted(reading.persons),
            "task": reading.task,
            "floor": config.detector.floor,
            "max_detections": config.detector.max_detections,
        }
        stages = describe(config, flight, imported=source)
        stage = next(each for each in stages if isinstance(each, DetectStage))
        if stage.is_current():
            return stage.result(skipped=True), found.account()
        keep_boxes(flight.folder, stages, [each for each in stages if not each.is_current()])
        _write(stage, open_configured(config, video).segments, rows)
        return stage.result(skipped=False), found.account()


def _write(stage: DetectStage, segments: Sequence[Any], rows: pd.DataFrame) -> None:
    started = time.monotonic()
    # If this is killed, the manifest of an earlier import makes the next run refuse, instead of detecting.
    if source_of_import(stage.folder) is None:
        stage.folder.begin()
    (table,) = stage.tables
    for segment in segments:
        part = rows[(rows["frame"] >= segment.first) & (rows["frame"] < segment.stop)]
        table.write(segment.first, part.to_dict("records"))
    stage.end(segments, time.monotonic() - started)


def _rows(found: Admitted, frames: pd.DataFrame, config: DetectorConfig) -> tuple[pd.DataFrame, Admitted]:
    """Rows of the detections' table, and what was used of the boxes."""
    left_out: Counter[str] = Counter(found.left_out)
    by_frame: dict[int, list[TrackBox]] = defaultdict(list)
    for box in found.persons:
        by_frame[box.frame].append(box)
    rows, used = [], []
    for frame in frames.sort_values("frame").to_dict("records"):
        boxes = sorted(by_frame[frame["frame"]], key=lambda box: -box.score)
        if frame["lost"]:
            left_out["in lost frames"] += len(boxes)
            continue
        kept = [*_inside(boxes, frame["width"], frame["height"], config, left_out)]
        left_out["beyond detector.max_detections"] += max(0, len(kept) - config.max_detections)
        used += kept[: config.max_detections]
        for rank, box in enumerate(kept[: config.max_detections]):
            sides = dict(zip(("x1", "y1", "x2", "y2"), map(np.float32, box.box), strict=True))
            at = {"frame": frame["frame"], "pts_s": frame["pts_s"], "rank": rank}
            rows.append(at | sides | {"score": np.float32(box.score)})
    columns = ["frame", "pts_s", "rank", "x1", "y1", "x2", "y2", "score"]
    clip = replace(found.clip, boxes=tuple(used))
    return pd.DataFrame(rows, columns=columns), replace(found, clip=clip, left_out=left_out)


def _inside(
    boxes: Sequence[TrackBox], width: float, height: float, config: DetectorConfig, left_out: Counter[str]
) -> Iterator[TrackBox]:
    """The boxes from the floor up, clipped to the frame."""
    for box in boxes:
        x1, y1, x2, y2 = box.box
        inside = (max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height))
        if box.score < config.floor:
            left_out[f"below detector.floor {config.floor:g}"] += 1
        elif inside[0] >= inside[2] or inside[1] >= inside[3]:
            left_out["without area in the frame"] += 1
        else:
            yield replace(box, box=inside)


def _sha256(paths: Sequence[Path]) -> str:
    """Of one file its own; of several that over their names and hashes."""
    if len(paths) == 1:
        return file_sha256(paths[0])
    return hashlib.sha256("".join(f"{file_sha256(path)} {path.name}\n" for path in paths).encode()).hexdigest()
