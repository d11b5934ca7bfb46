"""Serving the labelling app over the flights of a workspace."""

import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from annotate.app.access import LOOPBACK, Access
from annotate.app.refresh import Refresh
from annotate.app.server import create_app
from annotate.errors import AnnotateError
from annotate.project import Project
from annotate.suggestions.features import COLOUR_SOURCE
from pipeline.chain.table import MOTION
from pipeline.errors import PipelineError
from pipeline.privacy.redactions import open_redacted
from pipeline.relinking.keep import serving
from pipeline.telemetry.ground_plane import ground_scale
from pipeline.video import Video
from pipeline.workspace.entries import MANIFEST
from pipeline.workspace.folders import check_whole, read_card
from pipeline.workspace.jpeg import encode_jpeg

_WIDTH = 1920  # px of a frame on the screen, at most
_QUALITY = 85


def serve(
    workspace: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8750,
    names: tuple[str, ...] = (),
    token: str | None = None,
    no_token: bool = False,
    user: str = "",
    suggest: bool = True,
    browser: bool = True,
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
        user: the name that the page proposes.
        suggest: embed the tracklets where that was not done, and retrain when the page asks for it.
        browser: open a browser window.
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
    with serving(workspace):
        _serve(workspace, host, port, access, user, suggest, browser, say)


def _serve(
    workspace: Path,
    host: str,
    port: int,
    access: Access,
    user: str,
    suggest: bool,
    browser: bool,
    say: Callable[[str], None],
) -> None:
    project = Project(
        workspace,
        lambda flight: camera_motion(workspace / flight),
        lambda flight: ground_scale(workspace / flight),
    )
    embed, retrain = (
        [sys.executable, "-m", "pipeline", "annotate", what, "--workspace", str(workspace)]
        for what in ("embed", "retrain")
    )
    refresh = Refresh(retrain if suggest else [], project.read_features)
    if suggest and project.source == COLOUR_SOURCE:
        refresh.start(embed)  # beside the server, which suggests by colours until then
    pictures = Pictures(workspace)
    app = create_app(project, access, pictures.jpeg, refresh, user)
    try:
        _run(app, host, port, access, browser, say)
    finally:
        refresh.stop()
        project.close()


def _run(app: object, host: str, port: int, access: Access, browser: bool, say: Callable[[str], None]) -> None:
    import uvicorn

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)  # before the address is printed
    except OSError:
        raise PipelineError(f"port {port} of {host} cannot be used; choose another --port") from None
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listening.getsockname()[1]}/"
    token = f"?token={access.token}" if access.token else ""
    say(f"labelling at {address}{token}  (Ctrl-C ends it; every decision is saved at once)")
    if browser:
        opened = address + (f"?token={access.once}" if access.token else "")
        threading.Timer(0.5, webbrowser.open, [opened]).start()
    # Not its own log_config: that closes every handler of the process.
    config = uvicorn.Config(app, log_config=None, log_level="warning", access_log=False)  # type: ignore[arg-type]
    uvicorn.Server(config).run([listening])


def camera_motion(flight: Path) -> Mapping[int, NDArray[np.float32]]:
    """The camera's motion into each frame of a flight, float32 (2, 3); empty where it was not estimated."""
    from pipeline.stages.motion import read_motion

    folder = flight / MOTION.folder
    return read_motion(folder) if (folder / MANIFEST).exists() else {}


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
        return open_redacted(Path(card["video"]), self._workspace / flight)


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
