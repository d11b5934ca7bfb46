"""Opening a container safely, and reading its packets to the end whatever happens on the way."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import av.error

from pipeline.errors import PipelineError
from pipeline.files import open_regular

# Formats that make FFmpeg open other files or addresses, talk to devices, or draw text as video: a file of
# unknown origin must not get that far. Everything else that FFmpeg reads is welcome.
_REFUSED_FORMATS = {
    *(
        "concat",
        "hls",
        "dash",
        "imf",
        "sdp",
        "rtsp",
        "rtp",
        "sap",
        "image2",
        "webm_dash_manifest",
        "mpegtsraw",
    ),
    *("lavfi", "avisynth", "vapoursynth", "tty", "bin", "xbin", "adf", "idf", "ffmetadata"),
    *("fbdev", "video4linux2,v4l2", "x11grab", "kmsgrab", "alsa", "oss", "pulse", "sndio", "jack", "openal"),
    *("iec61883", "libcdio", "decklink", "avfoundation", "dshow", "gdigrab", "vfwcap"),
}
_VIDEO_EXPECTED = "a video file was expected (mp4, mov, mkv, avi, …)"
_ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: the cover of a song is not a video
_MOST_ERRORS = 64  # demuxer errors in a row, with no packet between them, after which the rest is given up


def open_container(path: Path) -> tuple[Any, Any]:
    """The container of `path` and its video stream; the caller closes the container.

    Raises:
        PipelineError: one line that says why not.
    """
    _check_regular(path)
    try:
        container = av.open(
            f"file:{path.absolute()}",
            container_options={
                "protocol_whitelist": "file",
                "format_whitelist": ",".join(sorted(set(av.formats_available) - _REFUSED_FORMATS)),
            },
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise PipelineError(_explain(path, error)) from error
    try:
        return container, _video_stream(container, path)
    except PipelineError:
        container.close()
        raise


def _check_regular(path: Path) -> None:
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode):
            open_regular(path).close()
    except FileNotFoundError as error:
        raise PipelineError(f"{path}: no such file; a video file or a folder of images was expected") from error
    except PermissionError as error:
        raise PipelineError(f"{path}: permission denied; check the file's permissions") from error
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise PipelineError(f"{path}: is not a regular file; {_VIDEO_EXPECTED}")
    if found.st_size == 0:
        raise PipelineError(f"{path}: is empty (0 bytes); {_VIDEO_EXPECTED}, copy it again from the recorder")


def _explain(path: Path, error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return f"{path!s}: FFmpeg cannot take this name; rename the file"
    with path.open("rb") as handle:
        head = handle.read(4096)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
        return (
            f"{path}: the mp4 has no readable index (moov): it was cut off, or the recording was never finished; "
            "copy it again or repair it (for instance with untrunc)"
        )
    if head.startswith((b"#EXTM3U", b"ffconcat", b"<?xml", b"v=0")):
        return f"{path}: is a playlist, not a video; name the video file itself"
    reason = getattr(error, "strerror", None) or str(error)
    return f"{path}: is not a video that FFmpeg can read ({reason}); {_VIDEO_EXPECTED}"


def _video_stream(container: Any, path: Path) -> Any:
    streams = [s for s in container.streams.video if not int(s.disposition) & _ATTACHED_PICTURE]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams})
        found = f"only {', '.join(kinds)}" if kinds else "no stream at all"
        raise PipelineError(f"{path}: has no video stream, {found}; {_VIDEO_EXPECTED}")
    best = container.streams.best("video")
    stream = next((s for s in streams if best is not None and s.index == best.index), streams[0])
    if stream.codec_context is None:
        raise PipelineError(f"{path}: FFmpeg has no decoder for its video codec; convert it, for instance to H.264")
    return stream


def demux(container: Any, stream: Any | None, trouble: Callable[[str], None]) -> Iterator[Any]:
    """The packets of `stream` (None: of all) with data; errors are passed to `trouble` and skipped.

    Empty packets are left out: to FFmpeg's decoders an empty packet means the end of the stream.
    """
    streams = [] if stream is None else [stream]
    in_a_row = 0
    while in_a_row < _MOST_ERRORS:
        try:
            for packet in container.demux(*streams):
                if packet.size:
                    in_a_row = 0
                    yield packet
            return
        except av.error.FFmpegError as error:
            if in_a_row == 0:
                trouble(error.strerror or type(error).__name__)
            in_a_row += 1
