"""A clip of each sighting of a person, with names drawn; rendered again when labels change."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.chain.table import DETECT, LABEL
from pipeline.errors import PipelineError
from pipeline.privacy.redactions import open_known_flight
from pipeline.sightings.names import names_of
from pipeline.sightings.read import read_sightings
from pipeline.sightings.records import Sighting
from pipeline.sightings.select import Selection
from pipeline.sightings.tracklets import LabelledTracklets, read_labelled_tracklets
from pipeline.stages.detect import SCHEMA
from pipeline.stages.frames import read_frames
from pipeline.stages.overlay import frames_between, write_overlay
from pipeline.workspace.folders import CLIPS, locked
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.stage import Stage
from pipeline.workspace.tables import read_file

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class ClipSettings:
    """What a clip is like.

    Attributes:
        margin_s: seconds before and after the sighting.
        max_width: px.
        crf: H.264 quality.

    """

    margin_s: float = 1.0
    max_width: int = 960
    crf: int = 23


@dataclass(frozen=True)
class PersonClip:
    """A clip of a sighting.

    Attributes:
        file: in the flight's folder.
        sighting: what it shows.

    """

    file: Path
    sighting: Sighting


def make_clips(
    workspace: Path,
    person: int,
    progress: Progress,
    settings: ClipSettings = ClipSettings(),
    flights: tuple[str, ...] = (),
) -> list[PersonClip]:
    """Bring the clips of all sightings of `person` up to date, in `FLIGHT/clips/TRACKLET/`.

    Args:
        workspace: with labels.
        person: number of the identity.
        progress: opens a bar.
        settings: of the clips.
        flights: names of those whose sightings are wanted; empty: all.

    Raises:
        AnnotateError, PipelineError: there is no such person; a table or the labels are damaged; a video is gone,
            or another run uses the flight.

    """
    tracklets = read_labelled_tracklets(workspace)
    found = Selection((person,), flights).of(read_sightings(workspace, tracklets))
    clips = []
    for flight in dict.fromkeys(each.flight for each in found):
        members = [each for each in found if each.flight == flight]
        clips += _of_flight(workspace / flight, members, tracklets, progress, settings)
    return clips


def current_clips(
    workspace: Path, sightings: Sequence[Sighting], tracklets: LabelledTracklets
) -> dict[str, PersonClip]:
    """The clips of `sightings` that are up to date, by tracklet, whatever their margin and size.

    Args:
        workspace: with labels.
        sightings: of it.
        tracklets: of it.

    Raises:
        PipelineError: a table is damaged.

    """
    found = {}
    for flight in dict.fromkeys(each.flight for each in sightings):
        folder = workspace / flight
        made = [(each, _place(each, folder).manifest()) for each in sightings if each.flight == flight]
        rendered = [(each, manifest["section"]) for each, manifest in made if manifest is not None]
        boxes = _tagged(folder, tracklets) if rendered else pd.DataFrame()
        for each, section in rendered:
            shown = boxes[boxes["frame"].between(*section["frames"])]
            if _stage(each, folder, shown, section).is_current():
                found[each.tracklet] = PersonClip(_place(each, folder).path / clip_name(each), each)
    return found


def _of_flight(
    folder: Path,
    sightings: Sequence[Sighting],
    tracklets: LabelledTracklets,
    progress: Progress,
    settings: ClipSettings,
) -> list[PersonClip]:
    frames = read_frames(folder, ["frame", "pts_s", "lost"])
    frames = frames[~frames["lost"] & frames["pts_s"].notna()]
    boxes = _tagged(folder, tracklets)
    found = []
    with locked(folder):
        for each in sightings:
            times = frames["pts_s"].between(each.begin_s - settings.margin_s, each.end_s + settings.margin_s)
            wanted = frames.loc[times, "frame"].tolist()
            shown = boxes[boxes["frame"].isin(wanted)]
            section = {"frames": [wanted[0], wanted[-1]], "width": settings.max_width, "crf": settings.crf}

            def make(
                there: Path, wanted: list[int] = wanted, shown: pd.DataFrame = shown, each: Sighting = each
            ) -> Any:
                return _write(there / clip_name(each), folder, wanted, shown, each, progress, settings)

            file = clip_name(each)
            result = _stage(each, folder, shown, section).run([file], make)
            found.append(PersonClip(result.folder / file, each))
    return found


def _place(sighting: Sighting, folder: Path) -> StageFolder:
    return StageFolder(folder / CLIPS / sighting.tracklet.rpartition("/")[2])


def _stage(sighting: Sighting, folder: Path, shown: pd.DataFrame, section: Mapping[str, Any]) -> Stage:
    """The clip of `sighting` in the flight in `folder`, in which the tagged boxes `shown` are drawn."""
    fingerprint = (StageFolder(folder / DETECT.folder).manifest() or {}).get("fingerprint")
    inputs = {DETECT.folder: fingerprint, LABEL.name: _drawn(shown)}
    return Stage(CLIPS, _place(sighting, folder), inputs, section)


def _tagged(folder: Path, tracklets: LabelledTracklets) -> pd.DataFrame:
    """The detections of the flight in `folder` that are in tracklets of persons, each with its `tag`."""
    names = names_of(tracklets, folder.name)
    boxes = read_file(folder / DETECT.output, SCHEMA.names).merge(
        names.rows[["frame", "rank"]], on=["frame", "rank"]
    )
    boxes = names.without_junk(boxes.sort_values(["frame", "rank"]))
    return boxes.assign(tag=names.tags(boxes))


def clip_name(sighting: Sighting) -> str:
    """The file's name: the tracklet's, without the person's: a copy of it would keep that."""
    return f"{sighting.tracklet.replace('/', '_')}.mp4"


def _drawn(boxes: pd.DataFrame) -> list[list[Any]]:
    """What is written into the clip: runs of frames with the same tag."""
    rows = boxes.assign(text=boxes["tag"].map(lambda tag: tag.text))
    spans = rows.groupby("text")["frame"].agg(["min", "max", "size"])
    return [[text, *map(int, span)] for text, span in zip(spans.index, spans.to_numpy(), strict=True)]


def _write(
    file: Path,
    folder: Path,
    wanted: Sequence[int],
    boxes: pd.DataFrame,
    sighting: Sighting,
    progress: Progress,
    settings: ClipSettings,
) -> Mapping[str, Any]:
    video = open_known_flight(folder)
    with progress(f"{sighting.tracklet}: clip", len(wanted)) as advance:
        written = write_overlay(
            file,
            video,
            boxes,
            max_width=settings.max_width,
            crf=settings.crf,
            advance=advance,
            wanted={sighting.person},
            frames=frames_between(video, wanted),
        )
    if not written:
        raise PipelineError(f"{folder}: no frame of {sighting.tracklet} can be decoded; see `uavpipe verify`")
    return {"frames": written}
