"""Frames of a video file or of a folder of images: index, time, damage, and exact random access by segment.

    video = open_video(Path("flight01.mp4"))
    for segment in video.segments:
        damage: list[Damage] = []
        for frame in video.read(segment, damage):
            ...

Opening reads the packets of the file but decodes only the first few. A segment's frames are the same bytes
whichever segments were read before it, in whatever order, by however many threads.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.video.content_hash import content_hash
from pipeline.video.file import colours_of, open_file
from pipeline.video.folder import open_folder
from pipeline.video.parts import open_parts
from pipeline.video.records import Damage, Frame, Segment, Video

__all__ = ["Damage", "Frame", "Segment", "Video", "colours_of", "content_hash", "open_video"]


def open_video(
    path: Path | Sequence[Path],
    *,
    segment_frames: int = 256,
    threads: int | None = None,
    image_fps: float = 30.0,
) -> Video:
    """Open a video file, a folder of images in the natural order of their names, or the parts of one flight.

    Args:
        path: the file or folder; or several files, which a recorder cut one flight into, in their order.
        segment_frames: the least number of frames between two segment boundaries, the last one excepted.
        threads: decoder threads; None leaves it to FFmpeg. The frames do not depend on it.
        image_fps: frames a second of a folder of images; a file's times come from the file.

    Raises:
        PipelineError: nothing can be read from `path`; one line that says what was expected.
    """
    if segment_frames < 1:
        raise PipelineError(f"segments of {segment_frames} frames are not possible; ask for 1 or more")
    if not isinstance(path, str | Path):
        if len(path) > 1:
            return open_parts(path, segment_frames, threads)
        (path,) = path
    path = Path(path)
    if path.is_dir():
        return open_folder(path, segment_frames, image_fps)
    return open_file(path, segment_frames, threads)
