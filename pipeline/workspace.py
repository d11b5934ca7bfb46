"""The workspace on disk: a folder a flight, in it a folder a stage, each finished by its manifest.

Nothing half-written is ever visible: files and folders are made under a hidden temporary name on the same
file system and renamed when whole.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError

TEMPORARY = ".part-"  # prefix of everything unfinished; swept at the next start
MANIFEST = "manifest.json"
FORGETTING = ".forget"  # in a workspace: what `uavpipe forget` prepares
_CARD = "flight.json"
_OF_MANIFEST = {"fingerprint": str, "inputs": dict, "section": dict, "counts": dict, "files": dict}
_LONGEST = 200  # letters of a name in a manifest
_CHECK = "check"  # the hash in a record over the rest of it
VERSIONS = ("uavpipe", "torch", "torchvision", "av", "opencv-python", "numpy", "pyarrow")


def fingerprint(content: Mapping[str, Any]) -> str:
    """sha256 (hex) of `content` as canonical JSON: equal content, equal fingerprint, whatever the order."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; what is written there becomes `path` at the end, or vanishes."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A fresh temporary folder beside `path`; it takes the place of `path` at the end, or vanishes."""
    temporary, former = _unfinished(path)
    sweep(path)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            path.replace(former)  # aside first: deleting takes long, and half a folder would be believed
        temporary.replace(path)
        shutil.rmtree(former, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def sweep(path: Path) -> None:
    """Remove what a killed run left of making the folder `path`."""
    for leftover in _unfinished(path):
        shutil.rmtree(leftover, ignore_errors=True)


def _unfinished(path: Path) -> tuple[Path, Path]:
    """Where the folder `path` is made, and where the one before it is put aside."""
    return path.with_name(f"{TEMPORARY}{path.name}"), path.with_name(f"{TEMPORARY}former-{path.name}")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` to `path` atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, default=str) + "\n", "utf-8")


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`; None if there is no file or no whole object in it."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` to `path` with a hash over it, so that `read_record` tells when it was damaged."""
    write_json(path, {**content, _CHECK: fingerprint(content)})


def read_record(path: Path) -> dict[str, Any] | None:
    """What `write_record` wrote to `path`; None if there is nothing whole."""
    content = read_json(path) or {}
    check = content.pop(_CHECK, None)
    return content if content and check in (None, fingerprint(content)) else None


@dataclass(frozen=True)
class StageFolder:
    """The folder of one stage of one flight."""

    path: Path

    def manifest(self) -> dict[str, Any] | None:
        """What the finished stage said of itself; None while it is unfinished, or where that is damaged."""
        content = read_record(self.path / MANIFEST) or {}
        whole = all(isinstance(content.get(name), kind) for name, kind in _OF_MANIFEST.items())
        return content if whole and all(map(_is_plain, content["files"])) else None

    def holds(self, stage_fingerprint: str) -> bool:
        """Whether the stage was finished from just these inputs and settings, and its files still stand."""
        manifest = self.manifest()
        if manifest is None or manifest.get("fingerprint") != stage_fingerprint:
            return False
        return not any(self._damaged(manifest))

    def begin(self) -> None:
        """Open the folder for work: without a manifest, and free of what is damaged or a killed run left."""
        self.path.mkdir(parents=True, exist_ok=True)
        for path in self._damaged(self.manifest() or {}):
            if path.is_file():
                path.unlink()
        (self.path / MANIFEST).unlink(missing_ok=True)
        for leftover in self.path.rglob(f"{TEMPORARY}*"):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()

    def finish(
        self,
        stage: str,
        inputs: Mapping[str, Any],
        section: Mapping[str, Any],
        counts: Mapping[str, Any],
        seconds: float,
        files: list[str],
    ) -> None:
        """Write the manifest: the stage's last act.

        Args:
            stage: its name.
            inputs: fingerprints of what it read.
            section: the settings it obeyed.
            counts: what it found, for people to read.
            seconds: wall time of the run that finished it.
            files: names, relative to the folder, whose content `holds` checks.

        """
        self.accept(
            {
                "stage": stage,
                "fingerprint": stage_fingerprint(stage, inputs, section),
                "inputs": dict(inputs),
                "section": dict(section),
                "counts": dict(counts),
                "seconds": round(seconds, 3),
                "versions": {"python": platform.python_version()} | {name: version(name) for name in VERSIONS},
                "files": sorted(files),
            }
        )

    def accept(self, manifest: Mapping[str, Any]) -> None:
        """Write `manifest` with those of its files that are there, as they are now."""
        files = {name: digest for name in manifest["files"] if (digest := _digest(self.path / name))}
        write_record(self.path / MANIFEST, {**manifest, "files": files})

    def _damaged(self, manifest: Mapping[str, Any]) -> Iterator[Path]:
        """The files of `manifest` whose content is not what was written."""
        for name, digest in manifest.get("files", {}).items():
            if _digest(self.path / name) != digest:
                yield self.path / name


def stage_fingerprint(stage: str, inputs: Mapping[str, Any], section: Mapping[str, Any]) -> str:
    """What a stage's result depends on, as one hash; stored in its manifest and in each of its tables."""
    return fingerprint({"stage": stage, "inputs": dict(inputs), "section": dict(section)})


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
def open_flight(workspace: Path, video: Path) -> Iterator[Flight]:
    """The flight of `video` in `workspace`, locked against a second run until the end of the `with`.

    The hash of the video is kept in `flight.json` and computed again only when its size or time changed.

    Raises:
        PipelineError: another run is at work there, the folder belongs to another video, the workspace
            cannot be written, or the video cannot be read.

    """
    if not video.exists():
        raise PipelineError(f"{video}: no such video file or folder of images")
    folder = workspace / flight_name(video)
    with locked(folder):
        yield Flight(video, folder, _identify(video, folder))


def check_whole(workspace: Path) -> None:
    """That no run was killed while it took somebody out of `workspace`.

    Raises:
        PipelineError: one was.

    """
    if (workspace / FORGETTING / "journal.json").exists():
        raise PipelineError(
            f"{workspace}: `uavpipe forget` was interrupted here; run it again with the same number, it goes on"
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
    card = read_record(folder / _CARD)
    known = card is not None and all(_is_text(card.get(name)) for name in ("video", "sha256"))
    return card if known else None


def _is_text(value: Any) -> bool:
    """Whether it can be a path."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:  # half of a pair of surrogates
        return False


def _is_plain(name: str) -> bool:
    """Whether it is a file's name within a stage's folder."""
    return name.isprintable() and len(name) < _LONGEST and {"", ".", ".."}.isdisjoint(name.split("/"))


def _identify(video: Path, folder: Path) -> str:
    from pipeline.video import content_hash

    card = folder / _CARD
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


def _digest(path: Path) -> str:
    """sha256 (hex) of the file `path`; "" where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
