"""Serving the labelling app over the flights of a workspace."""

import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache, partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from annotate.app.access import LOOPBACK, Access
from annotate.app.opening import Opening
from annotate.app.refresh import Refresh
from annotate.app.search import Find
from annotate.app.server import create_app
from annotate.errors import AnnotateError
from annotate.operations import Seen
from annotate.project import Project
from annotate.records import flights_with_tracklets
from annotate.suggestions.features import COLOUR_SOURCE
from pipeline.chain.table import FRAMES, MOTION
from pipeline.errors import PipelineError
from pipeline.privacy.redactions import open_redacted
from pipeline.relinking.keep import serving
from pipeline.sightings.formats import short
from pipeline.sightings.read import read_sightings
from pipeline.sightings.tracklets import LabelledTracklets
from pipeline.stages.crop_store import Crops
from pipeline.telemetry.ground_plane import ground_scale
from pipeline.telemetry.wall_clock import WallClock, flight_clock
from pipeline.video import Video
from pipeline.workspace.entries import MANIFEST
from pipeline.workspace.folders import check_whole, parts_of, read_card
from pipeline.workspace.jpeg import encode_jpeg
from pipeline.workspace.locks import login
from pipeline.workspace.tables import read_rows

if TYPE_CHECKING:
    import uvicorn

_WIDTH = 1920  # px of a frame on the screen, at most
_QUALITY = 85
_PATIENCE_S = 3  # with open requests, at the end: decisions are saved already
_SOON_S = 0.5  # an address that works at once is better than one that shows progress


def serve(
    workspace: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8750,
    names: tuple[str, ...] = (),
    token: str | None = None,
    no_token: bool = False,
    user: str | None = None,
    suggest: bool = True,
    browser: bool = True,
    find: Find | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the labelling app until interrupted.

    Args:
        workspace: with flights that have tracklets and crops.
        host: address to listen on.
        port: to listen on; 0 takes a free one.
        names: host names of the server in the network, beside `host`.
        token: required with each request, and part of the address that is printed; None: a new one.
        no_token: let in every user of this machine; only on loopback.
        user: the name that the page proposes; None: the login, or none where others reach the app, for two
            labellers of one name cannot be told apart.
        suggest: embed the tracklets where that was not done, and retrain when the page asks for it.
        browser: open a browser window.
        find: searches for the person in a picture; None: the page cannot.
        say: prints a line.

    Raises:
        AnnotateError: the workspace cannot be labelled; gives the reason.
        PipelineError: the port is taken, `no_token` on an address that others reach, or labels wait to be carried
            over.

    """
    if no_token and not _loopback(host):
        raise PipelineError(f"--no-token: other machines reach {host}; leave it out, or --host")
    hosts = tuple(dict.fromkeys(each.lower() for each in (*LOOPBACK, host, *names)))
    access = Access(hosts, None) if no_token else Access(hosts, token) if token else Access(hosts)
    check_whole(workspace)
    if user is None:
        user = login() if _loopback(host) else ""
    with serving(workspace):
        _serve(workspace, host, port, access, user, suggest, browser, find, say)


def _serve(
    workspace: Path,
    host: str,
    port: int,
    access: Access,
    user: str,
    suggest: bool,
    browser: bool,
    find: Find | None,
    say: Callable[[str], None],
) -> None:
    import uvicorn

    flights_with_tracklets(workspace)  # where there are none, no address is shown
    listening = _listen(host, port)
    opening = Opening(access)
    # Not its own log_config: that closes every handler of the process.
    config = uvicorn.Config(
        opening, log_config=None, log_level="warning", access_log=False, timeout_graceful_shutdown=_PATIENCE_S
    )
    server = uvicorn.Server(config)
    labelling = _Labelling(workspace, user, suggest, find, opening, server)
    try:
        labelling.wait(_SOON_S)
        _announce(listening, host, access, browser, say)
        labelling.say = say
        server.run([listening])
        labelling.wait()
    finally:
        listening.close()
        labelling.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError:
        raise PipelineError(f"port {port} of {host} cannot be used; choose another --port") from None


def _announce(
    listening: socket.socket, host: str, access: Access, browser: bool, say: Callable[[str], None]
) -> None:
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listening.getsockname()[1]}/"
    token = f"?token={access.token}" if access.token else ""
    say(f"labelling at {address}{token}  (Ctrl-C ends it; every decision is saved at once)")
    if browser:
        opened = address + (f"?token={access.once}" if access.token else "")
        threading.Timer(0.5, webbrowser.open, [opened]).start()


class _Labelling:
    """A workspace that is opened for labelling beside the server, which shows the progress until then.

    Attributes:
        say: is called with lines of progress.

    """

    def __init__(
        self,
        workspace: Path,
        user: str,
        suggest: bool,
        find: Find | None,
        opening: Opening,
        server: "uvicorn.Server",
    ) -> None:
        self.say: Callable[[str], None] = lambda line: None
        self._workspace, self._user, self._suggest = workspace, user, suggest
        self._find, self._opening, self._server = find, opening, server
        self._project: Project | None = None
        self._refresh: Refresh | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._open, daemon=True)  # Ctrl-C does not wait for it
        self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the workspace is open, `seconds` at most; raises what opening it raised."""
        self._thread.join(seconds)
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End what runs beside the server, and let go of the labels."""
        if self._refresh is not None:
            self._refresh.stop()
        if self._project is not None:
            self._project.close()

    def _open(self) -> None:
        try:
            self._serve()
        except Exception as error:  # raised again by `wait`
            self._error = error
            self._server.should_exit = True

    def _serve(self) -> None:
        workspace = self._workspace
        self._project = project = Project(
            workspace,
            lambda flight: camera_motion(workspace / flight),
            lambda flight: ground_scale(workspace / flight),
            moment=Clocks(workspace),
            crops=Crops(),
            say=self._progress,
        )
        # -P: a pipeline.py in the folder where this was started is not uavpipe.
        embed, retrain = (
            [sys.executable, "-P", "-m", "pipeline", "annotate", what, "--workspace", str(workspace)]
            for what in ("embed", "retrain")
        )
        self._refresh = refresh = Refresh(retrain if self._suggest else [], project.read_features)
        if self._suggest and project.source == COLOUR_SOURCE:
            refresh.start(embed)  # beside the server, which suggests by colours until then
        self._opening.ready(
            create_app(
                project,
                None,
                Pictures(workspace).jpeg,
                refresh,
                self._user,
                sightings=partial(sightings_in_words, workspace),
                find=self._find,
            )
        )
        self.say("ready")

    def _progress(self, line: str) -> None:
        self._opening.line = line
        self.say(line)


def camera_motion(flight: Path) -> Mapping[int, NDArray[np.float32]]:
    """The camera's motion into each frame of a flight, float32 (2, 3); empty where it was not estimated."""
    from pipeline.stages.motion import read_motion

    folder = flight / MOTION.folder
    return read_motion(folder) if (folder / MANIFEST).exists() else {}


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


def sightings_in_words(workspace: Path, contents: Mapping[str, Sequence[Seen]]) -> dict[str, dict[str, str]]:
    """When and where tracklets of `workspace` were seen, as the report has it.

    Args:
        workspace: with the flights.
        contents: name of a tracklet -> its detections, as the labellers left them.

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
        found = read_sightings(workspace, LabelledTracklets(tables))
    except PipelineError as error:
        raise AnnotateError(str(error)) from None
    return {each.tracklet: {name: short(each)[name] for name in ("time", "video", "place")} for each in found}


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


def _loopback(host: str) -> bool:
    if host in LOOPBACK:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
