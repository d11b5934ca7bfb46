"""Hashing and scanning of the next flight while the present one runs, so that a GPU need not wait for it."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.chain.table import SEGMENT_STAGES, ChainStage, is_before
from pipeline.config.models import FlightConfig
from pipeline.video import Video, content_hash, open_video
from pipeline.workspace.entries import MANIFEST
from pipeline.workspace.folders import stamp_of

log = logging.getLogger("uavpipe")


@dataclass(frozen=True)
class _Seen:
    """A video as it was read ahead: its files, their stamp, how it was opened, and the warnings that this gave."""

    parts: tuple[Path, ...]
    stamp: list[list[Any]]
    how: dict[str, Any]
    sha256: str
    video: Video
    warnings: list[logging.LogRecord]


class Ahead:
    """Hashes and opens videos: in a thread, where `begin` was called in time, otherwise at once.

    What goes wrong in the thread is not told: it goes wrong again when it is the flight's turn. Warnings wait until
    then. A video that changed since is read again.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._seen: _Seen | None = None

    def begin(self, config: FlightConfig, video: Path, last: ChainStage) -> None:
        """Begin to read the flight of `video`, unless its stages up to `last` were finished: then it may rest."""
        flight = config.workspace / config.name_of(video)
        stages = [stage for stage in SEGMENT_STAGES if not is_before(last, stage)]
        if all((flight / stage.folder / MANIFEST).exists() for stage in stages):
            return
        how = {"segment_frames": config.frames.segment_frames, "image_fps": config.frames.image_fps}
        # A daemon: an interrupted run need not wait for ten gigabytes.
        self._thread = threading.Thread(target=self._read, args=(config.parts_of(video), how), daemon=True)
        self._thread.start()

    def content_hash(self, parts: Sequence[Path]) -> str:
        """As `pipeline.video.content_hash`."""
        seen = self._take(parts)
        return seen.sha256 if seen else content_hash(parts)

    def open_video(self, parts: Sequence[Path], **how: Any) -> Video:
        """As `pipeline.video.open_video`."""
        seen = self._take(parts)
        if seen is None or seen.how != how:
            return open_video(parts, **how)
        for record in seen.warnings:
            log.handle(record)
        return seen.video

    def _take(self, parts: Sequence[Path]) -> _Seen | None:
        if self._thread is not None:
            self._thread.join()
        seen = self._seen
        return seen if seen and seen.parts == tuple(parts) and seen.stamp == stamp_of(parts) else None

    def _read(self, parts: tuple[Path, ...], how: dict[str, Any]) -> None:
        self._seen = None
        with _warnings_of_this_thread() as warnings:
            try:
                stamp = stamp_of(parts)
                self._seen = _Seen(parts, stamp, how, content_hash(parts), open_video(parts, **how), warnings)
            except Exception:  # whatever it is: it is met again, and told, in its turn
                return


@contextmanager
def _warnings_of_this_thread() -> Iterator[list[logging.LogRecord]]:
    """Keep back what this thread logs."""
    kept: list[logging.LogRecord] = []
    thread = threading.get_ident()

    def keep(record: logging.LogRecord) -> bool:
        if record.thread == thread:
            kept.append(record)
        return record.thread != thread

    log.addFilter(keep)
    try:
        yield kept
    finally:
        log.removeFilter(keep)
