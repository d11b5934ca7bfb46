"""`uavpipe.open`: the flights of a workspace as tables."""

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from annotate.operations import Mark, tracklet_id
from pipeline.chain.table import CROPS, DETECT, FRAMES, TRACKS, ChainStage
from pipeline.errors import PipelineError
from pipeline.run.contents import flight_folders
from pipeline.sightings.formats import as_record
from pipeline.sightings.read import read_sightings
from pipeline.sightings.select import Selection
from pipeline.sightings.tracklets import LabelledTracklets, read_labelled_tracklets
from pipeline.stages.crop_store import read_picture
from pipeline.stages.frames import read_frames
from pipeline.workspace.folders import read_card
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.tables import read_table
from reid.weights import weights_file
from uavpipe import columns
from uavpipe.errors import one_error

_KEY = ["flight", "frame", "rank"]

log = logging.getLogger("uavpipe")


def open(path: str | os.PathLike[str] = "runs") -> "Workspace":
    """The workspace in the folder `path`, which `uavpipe run` has written.

    Raises:
        UavpipeError: there is no flight in it.

    """
    with one_error():
        workspace = Workspace(Path(path))
        if not workspace.path.is_dir():
            raise PipelineError(f"{path}: no such workspace; make one with `uavpipe run VIDEO --workspace {path}`")
        flight_folders(workspace.path)
        return workspace


@dataclass(frozen=True)
class Workspace:
    """The flights of a workspace; `runs["flight01"]` is one of them alone, with the same tables.

    Each table is read from the disk when it is asked for: keep it in a variable. Results of stages that are not
    finished are left out, with a warning. A detection is named by `flight`, `frame` and `rank` in all tables, a
    tracklet by `tracklet`, as "flight01/7", and a person by `identity`. Boxes are pixels of the frame, origin top
    left; times are seconds. docs/python.md describes every column.

    Attributes:
        path: the folder.
        flight: name of the flight that it is limited to; None: all.

    """

    path: Path
    flight: str | None = None

    def __getitem__(self, flight: str) -> "Workspace":
        """One flight alone.

        Raises:
            UavpipeError: there is none of that name.

        """
        with one_error():
            known = [folder.name for folder in flight_folders(self.path)]
            if flight not in known:
                raise PipelineError(f"{self.path}: there is no flight {flight}; known: {', '.join(known)}")
        return replace(self, flight=flight)

    @property
    @one_error()
    def flights(self) -> pd.DataFrame:
        """A row for each flight: its video, and how much the finished stages found (NA: not finished)."""
        return columns.typed(pd.DataFrame(map(_described, self._folders())), columns.FLIGHTS)

    @property
    @one_error()
    def frames(self) -> pd.DataFrame:
        """A row for each frame of the videos, lost ones too: time, damage, size, telemetry."""
        return columns.typed(self._read(FRAMES), columns.FRAMES)

    @property
    @one_error()
    def detections(self) -> pd.DataFrame:
        """A row for each detected person: box, score, tracklet, identity."""
        return columns.typed(self._with_labels(self._read(DETECT)), columns.DETECTIONS)

    @property
    @one_error()
    def crops(self) -> pd.DataFrame:
        """A row for each crop: its JPEG relative to the workspace, box, sharpness, tracklet, identity."""
        rows = self._read(CROPS)
        rows["crop"] = rows["flight"] + f"/{CROPS.folder}/" + rows["crop"]
        return columns.typed(self._with_labels(rows), columns.CROPS)

    @one_error()
    def image(self, crop: str) -> NDArray[np.uint8]:
        """The pixels of a crop, uint8 (H, W, 3) RGB: of a file, or of a member of a tar file (`crops.store`).

        Args:
            crop: as in the column `crop` of a table.

        Raises:
            UavpipeError: there is no such crop, or it is damaged.

        """
        path = self.path / crop
        try:
            data = read_picture(path)
        except OSError as error:
            raise PipelineError(f"{path}: cannot be read: {error.strerror}") from None
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
        if image is None:
            raise PipelineError(f"{path}: not a picture; `uavpipe run --verify` cuts it again")
        return np.asarray(image, np.uint8)

    @property
    @one_error()
    def tracklets(self) -> pd.DataFrame:
        """A row for each tracklet, with the edits of the labellers: label, number of boxes and crops, frames."""
        return self._tracklets(self._labelled())

    @property
    @one_error()
    def identities(self) -> pd.DataFrame:
        """A row for each labelled person: name, number of flights, tracklets, boxes and crops."""
        labelled = self._labelled()
        groups = self._tracklets(labelled).dropna(subset=["identity"]).groupby("identity")
        found = groups.agg(
            flights=("flight", "nunique"),
            tracklets=("tracklet", "size"),
            boxes=("boxes", "sum"),
            crops=("crops", "sum"),
        )
        if self.flight is None:
            found = found.reindex(sorted(labelled.names), fill_value=0)
        found = found.rename_axis("identity").reset_index()
        names = pd.array([labelled.names[each] or None for each in found["identity"]], "string")
        return columns.typed(found.assign(name=names), columns.IDENTITIES)

    @property
    @one_error()
    def sightings(self) -> pd.DataFrame:
        """A row for each tracklet that is not junk: label, time by the clock and in the video, place, best crop.

        As `uavpipe sightings` lists them.
        """
        labelled = self._labelled()
        found = Selection().of(read_sightings(self.path, labelled)) if labelled.rows else []
        return _sighted(map(as_record, found), columns.SIGHTINGS)

    @property
    @one_error()
    def people(self) -> "dict[int, Person]":
        """The labelled people by number, each with its sightings and clips."""
        rows = self.identities.fillna({"name": ""})
        people = zip(rows["identity"].tolist(), rows["name"].tolist(), strict=True)
        return {number: Person(self, number, name) for number, name in people}

    @one_error()
    def find(
        self,
        *photos: str | os.PathLike[str],
        person: int | None = None,
        box: tuple[float, float, float, float] | None = None,
        top: int = 5,
        error: float = 0.05,
        unlikely: bool = False,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        audit: bool = True,
    ) -> pd.DataFrame:
        """Search all flights for the person in a photo, as `uavpipe find`.

        Args:
            photos: pictures of one person, or crops of the workspace.
            person: number of a labelled person to search for, instead of photos.
            box: of the person in the only photo: x1, y1, x2, y2, px; None: the detector finds the person.
            top: number of persons, at most.
            error: accepted share of wrong answers in searches for somebody who is not there.
            unlikely: whether answers below the threshold are returned, too.
            weights: of the network, "embedded" or a file; None: that of the suggestions, or the bundled one.
            device: of the networks: auto, cpu or cuda.
            audit: whether the search is recorded in `searches.jsonl`.

        Returns:
            A row for each tracklet of the answers, the most similar person first; empty if nobody is alike.

        Raises:
            UavpipeError: a photo, a table, the weights or the labels are missing or damaged.

        """
        from pipeline.engine.progress import progress_bar
        from pipeline.find.find import Wanted, find  # torch, which the tables do not need
        from pipeline.find.formats import as_records

        wanted = Wanted(tuple(map(Path, photos)), person, box)
        network = None if weights is None else weights_file(weights)
        how: dict[str, Any] = {"weights": network, "top": top, "error": error, "device": device, "audit": audit}
        found = find(self.path, wanted, progress_bar, **how)
        return _sighted(as_records(found, found.answers if unlikely else found.likely), columns.ANSWERS)

    def _folders(self) -> list[Path]:
        folders = flight_folders(self.path)
        return folders if self.flight is None else [self.path / self.flight]

    def _read(self, stage: ChainStage) -> pd.DataFrame:
        """The rows of all flights in which `stage` is finished."""
        read = read_frames if stage is FRAMES else lambda folder: read_table(folder / stage.output)
        found = [
            read(folder).assign(flight=folder.name) for folder in self._folders() if _is_finished(folder, stage)
        ]
        return pd.concat(found) if found else pd.DataFrame(columns=[*_KEY, "crop"])

    def _labelled(self) -> LabelledTracklets:
        """The tracklets and labels of the flights."""
        if not any(self.path.glob(f"[!.]*/{TRACKS.output}")):
            return LabelledTracklets({})
        found = read_labelled_tracklets(self.path)
        rows = {flight: rows for flight, rows in found.rows.items() if self.flight in (None, flight)}
        return replace(found, rows=rows)

    def _with_labels(self, rows: pd.DataFrame) -> pd.DataFrame:
        members = _members(self._labelled())[[*_KEY, "tracklet", "identity", "mark"]]
        return rows.merge(members, on=_KEY, how="left", validate="one_to_one")

    def _tracklets(self, labelled: LabelledTracklets) -> pd.DataFrame:
        rows = _members(labelled)
        cut = self._read(CROPS)[_KEY].assign(cut=1)
        rows = rows.merge(cut, on=_KEY, how="left")
        groups = rows.groupby(["flight", "number", "tracklet", "identity", "name", "mark"], dropna=False)
        found = groups.agg(
            boxes=("frame", "size"),
            crops=("cut", "count"),
            first_frame=("frame", "min"),
            last_frame=("frame", "max"),
        )
        return columns.typed(found.reset_index(), columns.TRACKLETS)


@dataclass(frozen=True)
class Person:
    """A labelled person of a workspace.

    Attributes:
        workspace: in which the person is labelled, or one flight of it.
        number: of the identity.
        name: "" without one.

    """

    workspace: Workspace
    number: int
    name: str

    @property
    def sightings(self) -> pd.DataFrame:
        """The rows of the workspace's `sightings` that are of this person."""
        found = self.workspace.sightings
        return found[found["identity"].eq(self.number).fillna(False)].reset_index(drop=True)

    @one_error()
    def clip(self, margin_s: float = 1.0, max_width: int = 960) -> list[Path]:
        """Render a clip of each sighting, with names drawn, as `uavpipe clip`; those up to date are kept.

        Args:
            margin_s: seconds before and after each sighting.
            max_width: of the clips, px.

        Returns:
            The files, in the order of `sightings`.

        Raises:
            UavpipeError: a table or the labels are damaged, or a video is gone.

        """
        from pipeline.engine.progress import progress_bar
        from pipeline.sightings.clips import ClipSettings, make_clips

        settings = ClipSettings(margin_s, max_width)
        flights = () if self.workspace.flight is None else (self.workspace.flight,)
        clips = make_clips(self.workspace.path, self.number, progress_bar, settings, flights)
        return [each.file for each in clips]


def _members(labelled: LabelledTracklets) -> pd.DataFrame:
    """A row for each detection of a tracklet: flight, frame, rank, number, tracklet, identity, name, mark."""
    found = [rows.assign(flight=flight) for flight, rows in labelled.rows.items()]
    rows = pd.concat(found) if found else pd.DataFrame(columns=[*_KEY, "number"])
    rows["tracklet"] = [tracklet_id(*key) for key in zip(rows["flight"], rows["number"], strict=True)]
    labels = [labelled.label(name) for name in rows["tracklet"]]
    identities = [None if isinstance(label, Mark) else label for label in labels]
    return rows.assign(
        identity=pd.array(identities, "Int64"),
        name=pd.array([labelled.names.get(each or 0) or None for each in identities], "string"),
        mark=pd.array([str(label) if isinstance(label, Mark) else None for label in labels], "string"),
    )


def _is_finished(folder: Path, stage: ChainStage) -> bool:
    """Whether there is a result of `stage` in a flight's folder; imported flights have tables and no manifests."""
    if StageFolder(folder / stage.folder).manifest() is not None:
        return True
    there = (folder / stage.output).exists()
    if there and read_card(folder) is not None:
        log.warning("%s: %s is not finished, and left out; `uavpipe run` finishes it", folder, stage.name)
        return False
    return there


def _described(folder: Path) -> dict[str, Any]:
    card = read_card(folder) or {}
    frames, detect, crops, tracks = (
        (StageFolder(folder / stage.folder).manifest() or {}).get("counts", {})
        for stage in (FRAMES, DETECT, CROPS, TRACKS)
    )
    return {
        "flight": folder.name,
        "video": card.get("video"),
        "sha256": card.get("sha256"),
        "frames": frames.get("frames"),
        "lost": frames.get("lost"),
        "detections": detect.get("boxes"),
        "crops": crops.get("crops"),
        "tracklets": tracks.get("tracklets"),
    }


def _sighted(records: Iterable[Mapping[str, Any]], kinds: Mapping[str, str]) -> pd.DataFrame:
    """Sightings as rows; what the command leaves empty is NA."""
    rows = pd.DataFrame(map(dict, records)).rename(columns={"person": "identity"})
    return columns.typed(rows.replace("", None), kinds)
