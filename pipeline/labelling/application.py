"""The labelling app's application over a workspace: what its pages show beside the labels."""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import cache, lru_cache, partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from starlette.types import ASGIApp

from annotate.app.clips import Clip
from annotate.app.persons import Told
from annotate.app.refresh import Refresh
from annotate.app.search import Find
from annotate.app.server import create_app
from annotate.errors import AnnotateError
from annotate.operations import Seen
from annotate.project import Project
from annotate.records import Box
from annotate.suggestions.features import COLOUR_SOURCE
from pipeline.chain.table import FRAMES
from pipeline.errors import PipelineError
from pipeline.labelling.clips import cut_clip
from pipeline.pages import render_part
from pipeline.pages.palette import identity_colour
from pipeline.privacy.redactions import open_redacted
from pipeline.relinking.keep import serving
from pipeline.sightings.drawing import HEIGHT, WIDTH, drone_path, make_maps
from pipeline.sightings.formats import short
from pipeline.sightings.plane import flight_ground
from pipeline.sightings.read import read_sightings
from pipeline.sightings.records import Sighting
from pipeline.sightings.tracklets import LabelledTracklets
from pipeline.stages.crop_store import Crops
from pipeline.telemetry.wall_clock import WallClock, flight_clock
from pipeline.video import Video
from pipeline.workspace.folders import parts_of, read_card
from pipeline.workspace.jpeg import encode_jpeg
from pipeline.workspace.tables import read_rows

_WIDTH = 1920  # px of a frame on the screen, at most
_QUALITY = 85


class Application:
    """The labelling app over the flights of a workspace, and what runs beside it until it is closed."""

    def __init__(self) -> None:
        self._open = ExitStack()

    def open(
        self, workspace: Path, user: str, *, suggest: bool, find: Find | None, say: Callable[[str], None]
    ) -> ASGIApp:
        """Open `workspace`, which takes seconds where it has thousands of tracklets.

        Args:
            workspace: as in `pipeline.labelling.serve.serve`.
            user: as there.
            suggest: as there.
            find: as there.
            say: is called with lines of progress.

        Raises:
            AnnotateError: the workspace cannot be labelled; gives the reason.
            PipelineError: labels wait to be carried over.

        """
        self._open.enter_context(serving(workspace))
        project = Project(
            workspace,
            lambda flight: flight_ground(workspace / flight),
            moment=Clocks(workspace),
            crops=Crops(),
            say=say,
        )
        self._open.callback(project.close)
        # -P: a pipeline.py in the folder where this was started is not uavpipe.
        embed, retrain = (
            [sys.executable, "-P", "-m", "pipeline", "annotate", what, "--workspace", str(workspace)]
            for what in ("embed", "retrain")
        )
        refresh = Refresh(retrain if suggest else [], project.read_features)
        self._open.callback(refresh.stop)
        if suggest and project.source == COLOUR_SOURCE:
            refresh.start(embed)  # beside the server, which suggests by colours until then
        sightings = partial(tell_sightings, workspace)
        pictures = Pictures(workspace)
        return create_app(
            project, None, pictures.jpeg, refresh, user, cut=pictures.clip, sightings=sightings, find=find
        )

    def close(self) -> None:
        """End what runs beside the server, and let go of the labels."""
        self._open.close()


class Clocks:
    """Wall clocks of the flights of `workspace`; see `annotate.filters.Moment`."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._clock = cache(self._read)

    def __call__(self, flight: str, seconds: float) -> datetime | None:
        """The time of day; None where no source says it."""
        clock, begin_s = self._clock(flight)
        return None if clock is None else clock.at(seconds - begin_s)

    def _read(self, flight: str) -> tuple[WallClock | None, float]:
        folder = self._workspace / flight
        clock = flight_clock(folder)
        frames = None if clock is None else read_rows(folder / FRAMES.output, ["frame", "pts_s"])
        return clock, 0.0 if frames is None else float(frames["pts_s"].min())


def tell_sightings(workspace: Path, contents: Mapping[str, Sequence[Seen]], person: int | None) -> Told:
    """When and where tracklets of `workspace` were seen, as the report has it.

    Args:
        workspace: with the flights.
        contents: name of a tracklet -> its detections, as the labellers left them.
        person: the identity that they are of, for maps; None: without maps.

    Raises:
        AnnotateError: a table is missing or damaged.

    """
    rows: dict[str, list[tuple[int, int, int]]] = {}
    for name, content in contents.items():
        flight, _, number = name.rpartition("/")
        rows.setdefault(flight, []).extend((int(number), frame, rank) for frame, rank in content)
    tables = {
        flight: pd.DataFrame(sorted(those), columns=["number", "frame", "rank"], dtype=np.int64)
        for flight, those in rows.items()
    }
    try:
        read = {each.tracklet: each for each in read_sightings(workspace, LabelledTracklets(tables))}
        found = [read[name] for name in contents]
        maps = () if person is None else _maps(workspace, found, person)
    except PipelineError as error:
        raise AnnotateError(str(error)) from None
    words = {each.tracklet: {name: short(each)[name] for name in ("time", "video", "place")} for each in found}
    return Told(words, maps)


def _maps(workspace: Path, sightings: Sequence[Sighting], person: int) -> tuple[str, ...]:
    """Figures in HTML."""
    drones = {flight: drone_path(workspace / flight) for flight in {each.flight for each in sightings}}
    return tuple(
        render_part("map.html", "map_figure", each, person, identity_colour(person), (WIDTH, HEIGHT))
        for each in make_maps(sightings, drones)
    )


class Pictures:
    """Whole frames of the flights of `workspace`, decoded on request; may be called from several threads."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()  # a decoder at a time: it takes all cores
        self._video = lru_cache(4)(self._open)
        self.jpeg = lru_cache(64)(self._jpeg)

    def _jpeg(self, flight: str, frame: int) -> tuple[bytes, int, int]:
        """Frame number `frame` of `flight` as JPEG, at most 1920 px wide, and its own width and height.

        Raises:
            AnnotateError: the video is not known or missing, or that frame cannot be decoded.

        """
        with self._lock:
            try:
                image = _frame(self._video(flight), frame)
            except PipelineError as error:
                raise AnnotateError(str(error)) from None
        height, width = image.shape[:2]
        if width > _WIDTH:
            size = (_WIDTH, max(1, round(height * _WIDTH / width)))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        return encode_jpeg(image, _QUALITY), width, height

    def clip(self, flight: str, boxes: Mapping[int, Box], frame: int) -> Clip:
        """The frames around frame number `frame` of `flight`; see `cut_clip`.

        Raises:
            AnnotateError: the video is not known or missing, or none of the frames can be decoded.

        """
        with self._lock:
            try:
                return cut_clip(self._video(flight), boxes, frame)
            except PipelineError as error:
                raise AnnotateError(str(error)) from None

    def _open(self, flight: str) -> Video:
        card = read_card(self._workspace / flight)
        if card is None:
            raise PipelineError(f"{flight}: its video is not known; flights imported as crops have none")
        return open_redacted(parts_of(card), self._workspace / flight)


def _frame(video: Video, index: int) -> NDArray[np.uint8]:
    for segment in video.segments:
        if segment.first <= index < segment.stop:
            for frame in video.read(segment):
                if frame.index == index:
                    return frame.image
    raise PipelineError(f"{video.path}: frame {index} cannot be shown; the video has {video.frame_count} frames")
