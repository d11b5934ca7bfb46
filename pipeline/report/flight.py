"""A flight in the report: the video, its damage, persons over time, their heights and scores."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from detector.config import DetectorConfig
from pipeline.chain.table import CROPS, DETECT, FRAMES, TRACKS
from pipeline.config.models import ReportConfig
from pipeline.errors import PipelineError
from pipeline.groundtruth.read import find_truth
from pipeline.report import plots
from pipeline.report.against_truth import GroundTruthPart, compare_with_truth
from pipeline.report.clip import Stretch, fullest, run_clip
from pipeline.report.provenance import provenance_id
from pipeline.report.records import Fact, clock
from pipeline.sightings.names import Names, names_of
from pipeline.sightings.tracklets import LabelledTracklets
from pipeline.stages.detect import SCHEMA, source_of_import
from pipeline.stages.frames import read_frames
from pipeline.stages.standstill import standstill
from pipeline.workspace.entries import MANIFEST
from pipeline.workspace.folders import parts_of, read_card, video_words
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.tables import read_file

_OF_FRAMES = ("frame", "pts_s", "lost", "corrupt", "suspect", "damage", "width", "height", "altitude_m")
_DAMAGE_SHOWN = 12  # stretches; the table has them all
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Clip:
    """A stretch of the flight with boxes.

    Attributes:
        file: the clip.
        begin, end: of the stretch, as clock times since the flight's first frame.

    """

    file: Path
    begin: str
    end: str


@dataclass(frozen=True, eq=False)
class FlightPart:
    """The content of a flight's part.

    Attributes:
        name: of its folder.
        videos: name of the file or folder of images; several where a recorder cut the flight.
        facts: its figures, for a row of the table as well.
        seconds: its length.
        begin_s: time stamp of its first frame, which need not be 0.
        damage: stretches of damaged frames, in words; `more_damage` further ones are in the table.
        more_damage: how many.
        damaged: frames that are lost, corrupt or suspect.
        frames: all frames.
        plots: by title.
        clip: where most persons are; None without detections, or as `missing` says.
        against_truth: compared with the ground truth, where there is one.
        missing: what is missing, and the command that makes it; and that nothing moves.

    """

    name: str
    videos: tuple[str, ...]
    facts: dict[str, Fact]
    seconds: float
    begin_s: float
    damage: tuple[str, ...]
    more_damage: int
    damaged: int
    frames: int
    plots: dict[str, Markup]
    clip: Clip | None
    against_truth: GroundTruthPart | None
    missing: tuple[str, ...]


def read_flight(folder: Path, config: ReportConfig, tracklets: LabelledTracklets, progress: Bar) -> FlightPart:
    """The flight in `folder`; renders the clip, with the names of `tracklets`, if it is stale.

    Raises:
        PipelineError: a table is damaged, or the ground truth cannot be read.

    """
    card = read_card(folder) or {}
    frames = _frames(folder)
    if frames["pts_s"].isna().all():
        raise PipelineError(f"{folder}: no frame has a time stamp; make it again with `uavpipe frames`")
    begin = float(frames["pts_s"].min())
    damaged = frames[frames["lost"] | frames["suspect"] | (frames["damage"] != "")]
    damage = list(_stretches(damaged, begin))
    drawn: dict[str, Markup] = {}
    clip = against_truth = None
    missing: list[str] = [f"Nothing moves: {said}"] if (said := standstill(folder)) else []
    if (folder / DETECT.folder / MANIFEST).exists():
        boxes, drawn = _detections(folder, frames)
        against_truth = _against_truth(folder, config, Path(str(card.get("video", folder.name))), missing)
        if against_truth is not None and against_truth.curve is not None:
            drawn["Precision by recall"] = against_truth.curve
        stretch = fullest(frames, boxes, config.clip_s) if config.clip_s else None
        if stretch is not None:
            names = names_of(tracklets, folder.name)
            clip = _clip(folder, config, stretch, names.without_junk(boxes), names, progress, missing)
    elif card:
        again = shlex.join(["uavpipe", "run", *video_words(folder), "--workspace", str(folder.parent)])
        missing.append(f"There are no detections yet: {again}")
    if frames["altitude_m"].notna().any():
        drawn["Altitude"] = plots.altitude(folder.name, frames)
    return FlightPart(
        name=folder.name,
        videos=tuple(part.name for part in parts_of(card)) if card else ("without a video",),
        facts={fact.name: fact for fact in _facts(folder, frames, begin)},
        seconds=float(frames["pts_s"].max()) - begin,
        begin_s=begin,
        damage=tuple(damage[:_DAMAGE_SHOWN]),
        more_damage=max(0, len(damage) - _DAMAGE_SHOWN),
        damaged=int((frames["lost"] | frames["suspect"]).sum()),
        frames=len(frames),
        plots=drawn,
        clip=clip,
        against_truth=against_truth,
        missing=tuple(missing),
    )


def _detections(folder: Path, frames: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Markup]]:
    """The detections from the threshold up, and plots by title."""
    threshold = _threshold(folder)
    everything = read_file(folder / DETECT.output, SCHEMA.names)
    boxes = everything[everything["score"] >= threshold]
    return boxes, {
        "Persons in a frame": plots.persons_over_time(folder.name, frames, boxes),
        "Heights": plots.heights(folder.name, boxes),
        "Scores": plots.scores(folder.name, everything, threshold),
    }


def _against_truth(folder: Path, config: ReportConfig, video: Path, missing: list[str]) -> GroundTruthPart | None:
    """The comparison with the ground truth; of a file that nobody named, None and the reason in `missing`."""
    truth = find_truth(config.truth, video)
    if truth is None:
        return None
    try:
        return compare_with_truth(folder, truth, _threshold(folder))
    except PipelineError as error:
        if config.truth != "auto":
            raise
        missing.append(f"Not compared with the ground truth: {error}")
        return None


def _clip(
    folder: Path,
    config: ReportConfig,
    stretch: Stretch,
    boxes: pd.DataFrame,
    names: Names,
    progress: Bar,
    missing: list[str],
) -> Clip | None:
    """The clip, or None and the reason in `missing`: a report without one is better than none."""
    try:
        file = run_clip(folder, config, stretch, boxes, names, progress)
    except PipelineError as error:
        missing.append(f"No clip: {error}")
        return None
    return Clip(file, clock(stretch.begin_s), clock(stretch.end_s))


def _facts(folder: Path, frames: pd.DataFrame, begin: float) -> Iterator[Fact]:
    decoded = frames[~frames["lost"]]
    table = provenance_id(folder.name, FRAMES.folder)
    seconds = float(frames["pts_s"].max()) - begin
    yield Fact("length", clock(seconds), table)
    if decoded["width"].notna().any():
        yield Fact("size", f"{decoded['width'].iloc[0]:.0f} × {decoded['height'].iloc[0]:.0f}", table)
    if seconds > 0:
        yield Fact("frames a second", f"{(len(frames) - 1) / seconds:.4g}", table)
    yield Fact("frames", f"{len(frames):,}", table)
    yield Fact("lost", f"{int(frames['lost'].sum()):,}", table)
    yield Fact("corrupt", f"{int(frames['corrupt'].sum()):,}", table)
    yield Fact("suspect", f"{int(frames['suspect'].sum()):,}", table)
    for stage, names in (
        (DETECT, {"boxes": "boxes"}),
        (CROPS, {"crops": "crops"}),
        (TRACKS, {"tracklets": "tracklets", "median_length": "frames of a median tracklet"}),
    ):
        manifest = StageFolder(folder / stage.folder).manifest()
        source = source_of_import(StageFolder(folder / stage.folder)) if stage is DETECT else None
        if source is not None:
            yield Fact("imported from", str(source["file"]), provenance_id(folder.name, stage.folder))
        for key, name in names.items():
            if manifest is not None and key in manifest["counts"]:
                yield Fact(name, f"{manifest['counts'][key]:,g}", provenance_id(folder.name, stage.folder))


def _threshold(folder: Path) -> float:
    """The score from which detections became crops; without crops, the default."""
    crops: dict[str, Any] = StageFolder(folder / CROPS.folder).manifest() or {}
    return float(crops.get("section", {}).get("threshold", DetectorConfig().threshold))


def _frames(folder: Path) -> pd.DataFrame:
    """The table of frames; for an imported flight, without a video, made from its detections."""
    if (folder / FRAMES.folder / MANIFEST).exists():
        return read_frames(folder, _OF_FRAMES)
    seen = read_file(folder / DETECT.output, ["frame", "pts_s"])[["frame", "pts_s"]]
    none = float("nan")
    return (
        seen.drop_duplicates("frame")
        .sort_values("frame", ignore_index=True)
        .assign(lost=False, corrupt=False, suspect=False, damage="", altitude_m=none, width=none, height=none)
    )


def _stretches(damaged: pd.DataFrame, begin: float) -> Iterator[str]:
    """Consecutive frames with the same damage, each stretch on a line."""
    rows: Sequence[dict[Any, Any]] = damaged.to_dict("records")
    numbered = enumerate(rows)
    for _, group in groupby(
        numbered, lambda each: (each[1]["frame"] - each[0], each[1]["lost"], each[1]["corrupt"], each[1]["damage"])
    ):
        part = [row for _, row in group]
        first, last = part[0], part[-1]
        frames = (
            f"frame {first['frame']:,}" if len(part) == 1 else f"frames {first['frame']:,} to {last['frame']:,}"
        )
        when = "" if pd.isna(first["pts_s"]) else f" at {clock(first['pts_s'] - begin)}"
        what = next((kind for kind in ("lost", "corrupt", "suspect") if first[kind]), "damaged")
        said = str(first["damage"]).removeprefix(f"{what}: ")
        yield f"{frames}{when}: {what}{': ' if said else ''}{said}"
