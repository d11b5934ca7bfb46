"""The source of a video's telemetry: finding and reading it."""

import logging
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TypeVar

import av

from pipeline.errors import PipelineError
from pipeline.files import open_regular
from pipeline.telemetry.records import Telemetry
from pipeline.telemetry.span import misfit
from pipeline.telemetry.srt import CUE_TIME, Cues, read_cues
from pipeline.telemetry.table import TableError, has_telemetry, read_rows
from pipeline.video.container import demux, open_container
from pipeline.video.content_hash import content_hash, list_images
from pipeline.video.parts import open_parts

_READER = 3  # goes up where a file is read to other values than before
_NAMED = 6  # names in a warning
_AV_TIME_BASE = 1_000_000  # FFmpeg's
_ENDINGS = (".srt", ".csv")
_LINE = 8192  # characters of a line that are read at once; a line of telemetry has a few hundred
_TEXT_CODECS = {"mov_text", "subrip", "srt", "text"}
_EXPECTED = "expected DJI's subtitles (.SRT) or a CSV with time, altitude, latitude, longitude"
_Read = TypeVar("_Read")

log = logging.getLogger("uavpipe")


@dataclass(frozen=True)
class TelemetrySource:
    """What the telemetry of a video is read from.

    Attributes:
        video: a file or a folder of images; the first part of a flight.
        file: an SRT or CSV; None: subtitles within the video file.
        named: the user named it, so that it must be telemetry; otherwise a file that is none is ignored.
        image_fps: images a second of a folder.
        parts: of the flight, where `file` is of several.

    """

    video: Path
    file: Path | None
    named: bool
    image_fps: float
    parts: tuple[Path, ...] = ()

    def fingerprint(self) -> str:
        """What `telemetry` depends on beside the video: the hash of the file, and how files are read.

        Raises:
            PipelineError: the file cannot be read.

        """
        return f"{'container' if self.file is None else content_hash(self.file)} {_READER}"

    @cached_property
    def telemetry(self) -> Telemetry:
        """The telemetry on the video's own clock, that of `Frame.pts_s`; empty where there is none.

        Subtitles that cannot be understood, and files of another video, are passed over with a warning.

        Raises:
            PipelineError: a CSV is wrong, or the file that the user named contains no telemetry of this video;
                names the line.

        """
        if self.file is not None:
            found = self._from_csv(self.file) if self.file.suffix.lower() == ".csv" else self._from_srt(self.file)
            if found is not None:
                return found
        return self._from_container()

    def _from_csv(self, path: Path) -> Telemetry | None:
        if not self.named and not with_lines(path, has_telemetry):
            log.warning("%s: is no telemetry and is passed over; %s", path, _EXPECTED)
            return None
        try:
            rows = with_lines(path, read_rows)
        except TableError as error:
            raise PipelineError(f"{path}: {error}") from None
        if rows.unused:
            more = f" and {len(rows.unused) - _NAMED} more" if len(rows.unused) > _NAMED else ""
            log.warning("%s: columns not used: %s%s", path, ", ".join(rows.unused[:_NAMED]), more)
        if rows.left_out:
            used = len(rows.times)
            log.warning("%s: %d rows used, %d outside the recording left out", path, used, rows.left_out)
        return self._on_the_clock(path, rows.times, rows.samples)

    def _from_srt(self, path: Path) -> Telemetry | None:
        cues = with_lines(path, read_cues)
        if not cues.samples:
            line, what = cues.first_problem or (1, f"no subtitle; {CUE_TIME}")
            if self.named:
                raise PipelineError(f"{path}: line {line}: {what}; {_EXPECTED}")
            log.warning("%s: line %d: %s; not used as telemetry", path, line, what)
            return None
        _warn(cues, path, "line")
        return self._on_the_clock(path, cues.times, cues.samples)

    def _on_the_clock(
        self, path: Path, times: Sequence[float], samples: Sequence[dict[str, float]]
    ) -> Telemetry | None:
        begin, end = self._span()
        found = None if end is None else misfit([begin + time for time in times], begin, end)
        if found:
            wrong, usable = found
            if not usable and self.named:
                raise PipelineError(f"{path}: {wrong}")
            log.warning("%s: %s%s", path, wrong, "" if usable else "; not used as telemetry")
            if not usable:
                return None
        return Telemetry([begin + time for time in times], samples)

    def _span(self) -> tuple[float, float | None]:
        """When a player's clock shows 0, which subtitles go by, and the video's end, in seconds of the video."""
        if self.video.is_dir():
            return 0.0, len(list_images(self.video)) / self.image_fps
        container, _ = open_container(self.video)
        with container:
            begin = (container.start_time or 0) / _AV_TIME_BASE
            if len(self.parts) > 1:
                return begin, open_parts(self.parts).end_s
            return begin, None if container.duration is None else begin + container.duration / _AV_TIME_BASE

    def _from_container(self) -> Telemetry:
        cues = Cues() if self.video.is_dir() else _embedded(self.video)
        if cues.samples:
            _warn(cues, self.video, "subtitle")
        return Telemetry(cues.times, cues.samples)


def find_telemetry(
    setting: str | Path, video: Path, image_fps: float = 30.0, parts: Sequence[Path] = ()
) -> TelemetrySource | None:
    """The source of the telemetry of `video`.

    Args:
        setting: "off"; "auto": `flight01.SRT` or `.csv` beside `flight01.mp4`, else within it; or the file, or a
            folder with files named like the videos.
        video: file or folder of images.
        image_fps: images a second of a folder.
        parts: of the flight, where a file that the setting names is of several.

    Raises:
        PipelineError: the file or folder that the setting names does not exist.

    """
    if setting == "off":
        return None
    if setting == "auto":
        return TelemetrySource(video, beside(video.absolute().parent, video), named=False, image_fps=image_fps)
    path = Path(setting)
    if path.is_dir():
        return TelemetrySource(video, beside(path, video), named=True, image_fps=image_fps)
    if not path.is_file():
        raise PipelineError(f"{path}: no such telemetry file; {_EXPECTED}, or telemetry: auto, or off")
    return TelemetrySource(video, path, named=True, image_fps=image_fps, parts=tuple(parts))


def beside(folder: Path, video: Path) -> Path | None:
    """The telemetry in `folder` with the video's name, however its ending is written; subtitles before a table."""
    stem = video.absolute().stem
    with suppress(OSError):
        named = [path for path in folder.iterdir() if path.stem == stem and path.suffix.lower() in _ENDINGS]
        named.sort(key=lambda path: (_ENDINGS.index(path.suffix.lower()), path.name))
        return next((path for path in named if path.is_file()), None)
    return None


def with_lines(path: Path, read: Callable[[Iterator[str]], _Read]) -> _Read:
    """What `read` makes of the lines of `path`, in UTF-8 or, with its mark, UTF-16.

    Raises:
        PipelineError: the file cannot be read.

    """
    try:
        with open_regular(path) as file:
            encoding = "utf-16" if file.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE) else "utf-8-sig"
            file.seek(0)
            with TextIOWrapper(file, encoding, "replace", newline=None) as handle:
                return read(iter(lambda: handle.readline(_LINE), ""))
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}") from None


def embedded_cues(video: Path) -> Iterator[Iterator[tuple[float, str, int]]]:
    """The subtitles of a video file, stream by stream: (seconds, text, number from 1) of each.

    Raises:
        PipelineError: the file cannot be opened.

    """
    container, _ = open_container(video)
    with container:
        for stream in container.streams.subtitles:
            if stream.codec_context is not None and stream.codec_context.name in _TEXT_CODECS:
                yield _cues_of(container, stream)
                with suppress(av.FFmpegError):  # a torn file; then the next stream gives nothing
                    container.seek(0)


def _cues_of(container: Any, stream: Any) -> Iterator[tuple[float, str, int]]:
    for number, packet in enumerate(demux(container, stream, lambda _: None), 1):
        content = bytes(packet)
        if stream.codec_context.name == "mov_text":  # two bytes of length go before the text
            content = content[2 : 2 + int.from_bytes(content[:2], "big")]
        if packet.pts is not None and content:
            yield float(packet.pts * packet.time_base), content[:4096].decode("utf-8", "replace"), number


def _embedded(video: Path) -> Cues:
    """The first stream's subtitles that say something, each cue numbered like a line."""
    cues = Cues()
    for stream in embedded_cues(video):
        for time, text, number in stream:
            cues.add(time, text, number)
        if cues.samples:
            break
    return cues


def _warn(cues: Cues, path: Path, unit: str) -> None:
    if cues.first_problem:
        line, what = cues.first_problem
        log.warning(
            "%s: %s %d: %s; %d of %d subtitles passed over", path, unit, line, what, cues.problems, cues.cues
        )
    for what, count in cues.left.items():
        log.warning("%s: %d of %d subtitles: %s; left out", path, count, cues.cues, what)
