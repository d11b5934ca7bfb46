"""The workspace on disk: a folder a flight, in it a folder a stage; locks, and which video a flight is of."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pipeline.errors import PipelineError
from pipeline.workspace.entries import files_below
from pipeline.workspace.locks import LOCK, TURN, owner, take, take_patiently, turn
from pipeline.workspace.manifest import StageFolder, read_record, write_record

FORGETTING = ".forget"  # in a workspace: what `uavpipe forget` prepares
SEARCHES = "searches.jsonl"  # in a workspace: who searched when for whom
CLIPS = "clips"  # in a flight: a folder for each tracklet of which a clip was rendered
CARD = "flight.json"  # in a flight: which video it is of
FAILED = ".failed.json"  # in a flight: the error of its last run
BOXES = "labelled_boxes.parquet"  # in a flight: what its labels mean, while they wait for new tracklets
CAMERA = "camera.json"  # in a flight: what its configuration says of the camera
CLOCK = "clock.json"  # in a flight: what its configuration says of the time
TERRAIN = "terrain.json"  # in a flight: which terrain model its configuration names
_NOTES = frozenset((LOCK, TURN, CARD, FAILED, CAMERA, CLOCK, TERRAIN))


@dataclass(frozen=True)
class Flight:
    """One video and its folder in the workspace.

    Attributes:
        video: file or folder of images; the first of its parts.
        folder: `WORKSPACE/<name of the video without its ending>`.
        sha256: hash of the video's content.
        parts: the files that the recorder cut it into, in order; most often `video` alone.

    """

    video: Path
    folder: Path
    sha256: str
    parts: tuple[Path, ...] = ()

    def stage(self, name: str) -> StageFolder:
        """The folder of stage `name`."""
        return StageFolder(self.folder / name)


def flight_name(video: Path) -> str:
    """The name of a video's folder in the workspace: its own name without the ending.

    Made absolute first, so that `.` or `..` as a folder of images does not lead out of the workspace.
    """
    return Path(os.path.abspath(video)).stem  # noqa: PTH100 - unlike resolve() it keeps a link's own name


@contextmanager
def open_flight(
    workspace: Path,
    video: Path | Sequence[Path],
    name: str = "",
    *,
    shared: bool = False,
    hash_of: Callable[[Sequence[Path]], str] | None = None,
) -> Iterator[Flight]:
    """The flight of `video` in `workspace`, locked against a second run until the end of the `with`.

    Its folder has the name `name`, or the video's own. `video` may be the parts of one flight, in order. What opens
    it `shared` keeps other runs out, but not others that open it shared.

    The hash of the video is kept in `flight.json` and computed again only when its size or time changed; by
    `hash_of`, if it is given, in place of `content_hash`.

    Raises:
        PipelineError: another run is at work there, the folder belongs to another video, the workspace
            cannot be written, or the video cannot be read.

    """
    parts = (video,) if isinstance(video, Path) else tuple(video)
    for part in parts:
        if not part.exists():
            raise PipelineError(f"{part}: no such video file or folder of images")
    folder = workspace / (name or flight_name(parts[0]))
    with locked(folder, shared=shared):
        with turn(folder) if shared else nullcontext():
            sha256 = _identify(parts, folder, hash_of)
        yield Flight(parts[0], folder, sha256, parts)


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
def locked(folder: Path, *, resuming: bool = False, shared: bool = False) -> Iterator[None]:
    """Keep other runs out of `folder`, a workspace or a flight in it, until the end of the `with`.

    With `shared`, others that lock it shared are let in.

    Raises:
        PipelineError: another run is at work there, it cannot be written, its file system has no locks, or somebody
            is half forgotten there; the last not with `resuming`.

    """
    if not resuming:
        check_whole(folder)
        check_whole(folder.parent)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / LOCK).open("a+")
    except OSError as error:
        raise PipelineError(f"{folder}: cannot be written: {error.strerror}; choose another --workspace") from None
    with handle:
        # The kernel drops this lock with the process, so a killed run never blocks the next one.
        if not take_patiently(handle, folder, shared=shared) or not _is_there(handle, folder / LOCK):
            handle.seek(0)
            other = handle.read().strip() or "unknown process"
            raise PipelineError(f"{folder}: another uavpipe ({other}) is at work here; wait for it or stop it")
        handle.truncate(0)
        handle.write(owner())
        handle.flush()
        yield


def has_results(folder: Path) -> bool:
    """Whether the flight `folder` has any file but notes on its video."""
    return any(name not in _NOTES for name in files_below(folder))


def discard_notes(folder: Path) -> None:
    """Delete the notes on the video of a flight without results, unless a run is at work there or has failed."""
    try:
        if not (folder / LOCK).is_file() or (folder / FAILED).exists() or has_results(folder):
            return
        with (folder / LOCK).open("a+") as handle:
            if take(handle, folder):
                for name in (*_NOTES - {LOCK}, LOCK):
                    (folder / name).unlink(missing_ok=True)
    except (OSError, PipelineError):  # the error that the caller is about to tell matters more
        return


def read_card(folder: Path) -> dict[str, Any] | None:
    """What is known of the video of the flight in `folder`: video, sha256, parts; None where no card says."""
    card = read_record(folder / CARD)
    if card is None or not all(_is_text(card.get(name)) for name in ("video", "sha256")):
        return None
    parts = card.get("parts", [card["video"]])
    return card if isinstance(parts, list) and parts and all(map(_is_text, parts)) else None


def parts_of(card: Mapping[str, Any]) -> tuple[Path, ...]:
    """The files of the video that `card` of `read_card` names, in order; most often one."""
    return tuple(map(Path, card.get("parts", [card["video"]])))


def video_words(folder: Path) -> list[str]:
    """The words that give the video of the flight in `folder` to a command; VIDEO where it is not known."""
    card = read_card(folder)
    if card is None:
        return ["VIDEO"]
    parts = [str(part) for part in parts_of(card)]
    named = {} if folder.name == flight_name(Path(parts[0])) else {"name": folder.name}
    if len(parts) == 1 and not named:
        return parts
    footage: dict[str, Any] = {"parts": parts} if len(parts) > 1 else {"path": parts[0]}
    return ["--set", f"videos={json.dumps([{**footage, **named}], ensure_ascii=False)}"]


def _is_there(handle: IO[Any], path: Path) -> bool:
    """Whether the open file is still the one at `path`: a run that failed may have discarded its notes."""
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except OSError:
        return False


def _is_text(value: Any) -> bool:
    """Whether it can be a path."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:  # half of a pair of surrogates
        return False


def _identify(parts: Sequence[Path], folder: Path, hash_of: Callable[[Sequence[Path]], str] | None = None) -> str:
    from pipeline.video import content_hash

    known = read_card(folder) or {}
    paths = [str(part.resolve()) for part in parts]
    now: dict[str, Any] = {"video": paths[0], **({"parts": paths} if len(paths) > 1 else {})}
    now["stamp"] = stamp_of(parts)
    if known and {name: value for name, value in known.items() if name != "sha256"} == now:
        return str(known["sha256"])
    sha256 = (hash_of or content_hash)(parts)
    if known and known["sha256"] != sha256 and known["video"] != paths[0] and has_results(folder):
        raise PipelineError(
            f"{folder}: holds the flight of {known['video']}, not of {parts[0]}; choose another --workspace"
        )
    write_record(folder / CARD, {**now, "sha256": sha256})
    return sha256


def stamp_of(parts: Sequence[Path]) -> list[list[Any]]:
    """Name, size and time of each file of a video: equal as long as it was not changed."""
    files = [each for part in parts for each in (sorted(part.iterdir()) if part.is_dir() else [part])]
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]
