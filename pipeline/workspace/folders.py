"""The workspace on disk: a folder a flight, in it a folder a stage; locks, and which video a flight is of."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.workspace.manifest import StageFolder, read_record, write_record

FORGETTING = ".forget"  # in a workspace: what `uavpipe forget` prepares
CARD = "flight.json"  # in a flight: which video it is of


@dataclass(frozen=True)
class Flight:
    """One video and its folder in the workspace.

    Attributes:
        video: file or folder of images.
        folder: `WORKSPACE/<name of the video without its ending>`.
        sha256: hash of the video's content.

    """

    video: Path
    folder: Path
    sha256: str

    def stage(self, name: str) -> StageFolder:
        """The folder of stage `name`."""
        return StageFolder(self.folder / name)


def flight_name(video: Path) -> str:
    """The name of a video's folder in the workspace: its own name without the ending.

    Made absolute first, so that `.` or `..` as a folder of images does not lead out of the workspace.
    """
    return Path(os.path.abspath(video)).stem  # noqa: PTH100 - unlike resolve() it keeps a link's own name


@contextmanager
def open_flight(workspace: Path, video: Path, name: str = "") -> Iterator[Flight]:
    """The flight of `video` in `workspace`, locked against a second run until the end of the `with`.

    Its folder has the name `name`, or the video's own.

    The hash of the video is kept in `flight.json` and computed again only when its size or time changed.

    Raises:
        PipelineError: another run is at work there, the folder belongs to another video, the workspace
            cannot be written, or the video cannot be read.

    """
    if not video.exists():
        raise PipelineError(f"{video}: no such video file or folder of images")
    folder = workspace / (name or flight_name(video))
    with locked(folder):
        yield Flight(video, folder, _identify(video, folder))


def check_whole(workspace: Path) -> None:
    """That no run was killed while it took somebody out of `workspace`.

    Raises:
        PipelineError: one was.

    """
    if (workspace / FORGETTING / "journal.json").exists():
        raise PipelineError(
            f"{workspace}: `uavpipe forget` was interrupted here; run it again with the same number to resume"
        )


@contextmanager
def locked(folder: Path, *, resuming: bool = False) -> Iterator[None]:
    """Keep other runs out of `folder`, a workspace or a flight in it, until the end of the `with`.

    Raises:
        PipelineError: another run is at work there, it cannot be written, or somebody is half forgotten there;
            the last not with `resuming`.

    """
    if not resuming:
        check_whole(folder)
        check_whole(folder.parent)
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+")
    except OSError as error:
        raise PipelineError(f"{folder}: cannot be written: {error.strerror}; choose another --workspace") from None
    with handle:
        try:
            # The kernel drops this lock with the process, so a killed run never blocks the next one.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            owner = handle.read().strip() or "unknown"
            raise PipelineError(
                f"{folder}: another uavpipe (process {owner}) is at work here; wait for it or stop it"
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def read_card(folder: Path) -> dict[str, Any] | None:
    """What is known of the video of the flight in `folder`: video, sha256; None where no card says."""
    card = read_record(folder / CARD)
    known = card is not None and all(_is_text(card.get(name)) for name in ("video", "sha256"))
    return card if known else None


def _is_text(value: Any) -> bool:
    """Whether it can be a path."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:  # half of a pair of surrogates
        return False


def _identify(video: Path, folder: Path) -> str:
    from pipeline.video import content_hash

    card = folder / CARD
    known = read_card(folder) or {}
    stamp = _stamp(video)
    if known.get("stamp") == stamp and known.get("video") == str(video.resolve()):
        return str(known["sha256"])
    sha256 = content_hash(video)
    if known and known["sha256"] != sha256 and known["video"] != str(video.resolve()):
        raise PipelineError(
            f"{folder}: holds the flight of {known['video']}, not of {video}; choose another --workspace"
        )
    write_record(card, {"video": str(video.resolve()), "sha256": sha256, "stamp": stamp})
    return sha256


def _stamp(video: Path) -> list[list[Any]]:
    files = sorted(video.iterdir()) if video.is_dir() else [video]
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]
