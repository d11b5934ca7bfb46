"""Frames of a video file or a folder of images: exact times, exact segments, damage by frame.

    with a file   container  (nal: where decoding may begin)
    with images   folder
"""

import hashlib
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.video.container import ContainerVideo
from pipeline.video.folder import FolderVideo, image_files
from pipeline.video.records import Damage, Frame, Segment, SegmentEnd, Video

__all__ = ["Damage", "Frame", "Segment", "SegmentEnd", "Video", "content_hash", "open_video"]


def open_video(
    path: Path, *, segment_frames: int = 256, image_fps: float = 30.0, threads: int | None = None
) -> Video:
    """Open a video file, in any container and codec that FFmpeg reads, or a folder of images.

    Args:
        path: file or folder.
        segment_frames: a segment holds at least so many frames.
        image_fps: frames per second of a folder of images.
        threads: of the decoder; None: as many as FFmpeg likes.

    Raises:
        PipelineError: nothing can be read; one line says why.
    """
    if path.is_dir():
        return FolderVideo(path, segment_frames, image_fps)
    if not path.exists():
        raise PipelineError(f"{path}: no such video file or folder of images")
    if path.stat().st_size == 0:
        raise PipelineError(f"{path}: is empty (0 bytes); copy it again from the drone")
    return ContainerVideo(path, segment_frames, threads)


def content_hash(path: Path) -> str:
    """sha256 (hex) of a video's bytes; of a folder, of its images' names and bytes.

    Raises:
        PipelineError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for file in image_files(path) if path.is_dir() else [path]:
            if path.is_dir():
                digest.update(file.name.encode() + b"\0")
            with file.open("rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}") from None
    return digest.hexdigest()
