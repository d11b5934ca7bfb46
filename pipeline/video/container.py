"""Video files through PyAV, packet by packet: what is damaged is recorded, what is whole is delivered.

A first pass over the packets, without decoding, gives every frame's place and time. Reading then starts a fresh
decoder at a segment's *anchor*: a key frame from which decoding needs nothing before it. Since a straight read
goes by the same anchors, a segment comes out the same whichever way it was reached.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.video.nal import stands_alone
from pipeline.video.records import Damage, Frame, Segment, SegmentEnd

# Formats that are lists of other files, devices or generators: a video from outside must not open anything else.
_NOT_FILES = {"hls", "dash", "concat", "concatf", "sdp", "rtsp", "rtp", "lavfi", "imf", "webm_dash_manifest",
              "image2", "image2pipe", "tty", "vapoursynth", "avisynth", "sap", "ffmetadata"}  # fmt: skip
_HIDDEN_FRAMES = {"vp8"}  # codecs with packets that are never shown


class ContainerVideo:
    """A video file. Opening it reads all packets once and decodes one frame.

    Args:
        path: the file.
        segment_frames: a segment has at least so many frames (but the last).
        threads: of the decoder; None: as many as FFmpeg likes.

    Attributes:
        width: of the frames as delivered, in pixels.
        height: of the frames as delivered, in pixels.
        fps: average frame rate.
        codec: FFmpeg's name of it.
        frame_count: number of announced frames.
        segments: all of the video.

    Raises:
        PipelineError: no video can be read from the file; says why.
    """

    def __init__(self, path: Path, segment_frames: int, threads: int | None = None) -> None:
        self.path, self._threads = path, threads
        self._scan()
        if not len(self._pts):
            raise PipelineError(f"{path}: there is no frame in its video stream")
        self.frame_count = len(self._pts)
        self.segments = self._divide(segment_frames)
        self._look()

    def _scan(self) -> None:
        """Learn every packet's time stamp and which packets a decoder can begin at."""
        stamps: list[int | None] = []
        alone: list[int] = []
        with closing(_open(self.path)) as container:
            stream = _video_stream(container, self.path)
            self.codec = stream.codec_context.name
            self._time_base = stream.time_base
            self.fps = float(stream.average_rate or stream.guessed_rate or 25)
            extradata = stream.codec_context.extradata or b""
            for packet in _packets(container, stream):
                if packet.is_discard:
                    continue
                if packet.is_keyframe and stands_alone(self.codec, extradata, packet):
                    alone.append(len(stamps))
                stamps.append(packet.pts)
        known = [stamp for stamp in stamps if stamp is not None]
        self._timed = len(known) == len(stamps) == len(set(known))
        # Without time stamps to go by, frames are numbered as the decoder gives them, from the very start.
        decoded = np.array(known if self._timed else range(len(stamps)), np.int64)
        self._pts = np.sort(decoded)
        self._anchors = [(0, 0)] + [
            (number, int(np.searchsorted(self._pts, decoded[number]))) for number in alone if self._timed and number
        ]
        self._anchor_pts = {number: int(decoded[number]) for number, _ in self._anchors}
        # Packets behind an anchor that show before it (open GOP): the stretch before needs them, too.
        lowest_after = np.minimum.accumulate(decoded[::-1])[::-1] if len(decoded) else decoded
        self._leading = {number for number, _ in self._anchors if lowest_after[number:][:1] < decoded[number : number + 1]}

    def _divide(self, segment_frames: int) -> tuple[Segment, ...]:
        """Cut at the first anchor from `segment_frames` on; where none comes in twice that, cut all the same."""
        segments: list[Segment] = []
        first = 0
        while first < self.frame_count:
            anchor = max((index, number) for number, index in self._anchors if index <= first or number == 0)[1]
            near = [index for _, index in self._anchors if first + segment_frames <= index <= first + 2 * segment_frames]
            stop = near[0] if near else min(first + segment_frames, self.frame_count)
            segments.append(Segment(len(segments), first, stop, anchor))
            first = stop
        return tuple(segments)

    def _look(self) -> None:
        """Decode up to the first frame: its size is what all frames are delivered in."""
        self.width = self.height = 0
        for segment in self.segments:
            for item in self.read([segment]):
                if isinstance(item, Frame):
                    self.height, self.width = item.image.shape[:2]
                    return
        raise PipelineError(f"{self.path}: none of its {self.frame_count} frames can be decoded ({self.codec})")

    def read(self, segments: Sequence[Segment]) -> Iterator[Frame | SegmentEnd]:
        """The frames of `segments` (in order of number), a `SegmentEnd` after each.

        Segments that follow one another from one anchor are decoded in one go.
        """
        rest = list(segments)
        while rest:
            run = [rest.pop(0)]
            while rest and rest[0].anchor == run[0].anchor:
                run.append(rest.pop(0))
            yield from self._read_run(run)

    def _read_run(self, run: list[Segment]) -> Iterator[Frame | SegmentEnd]:
        errors: dict[int, str] = {}
        waiting = list(run)
        seen: set[int] = set()
        damage: list[Damage] = []
        with closing(self._decode(run[0].anchor, run[-1].stop, errors)) as decoded:
            for index, frame in decoded:
                while waiting and index >= waiting[0].stop:
                    yield self._end(waiting.pop(0), seen, damage, errors)
                    seen, damage = set(), []
                if not waiting:
                    return
                if index < waiting[0].first or index in seen:
                    continue
                seen.add(index)
                if frame.is_corrupt:
                    what = errors.get(index, "decoded with errors")
                    damage.append(Damage(index, self._seconds(index, frame), what, lost=False))
                yield self._frame(index, frame, damage)
        for segment in waiting:
            yield self._end(segment, seen, damage, errors)
            seen, damage = set(), []

    def _end(
        self, segment: Segment, seen: set[int], damage: list[Damage], errors: dict[int, str]
    ) -> SegmentEnd:
        if self.codec not in _HIDDEN_FRAMES:
            for index in sorted(set(range(segment.first, segment.stop)) - seen):
                what = errors.get(index, "no picture came out of the decoder")
                damage.append(Damage(index, self._seconds(index), what, lost=True))
        return SegmentEnd(segment, tuple(sorted(damage, key=lambda one: one.frame)))

    def _decode(self, anchor: int, stop: int, errors: dict[int, str]) -> Iterator[tuple[int, Any]]:
        """Index and decoded frame from packet `anchor` on, until nothing before frame `stop` can follow.

        `errors` receives what the decoder said, by index of the frame whose packet it refused.
        """
        with closing(_open(self.path)) as container:
            stream = _video_stream(container, self.path)
            stream.thread_type = "AUTO"
            if self._threads is not None:
                stream.codec_context.thread_count = self._threads
            following = [n for n, index in self._anchors if index >= stop and n > anchor]
            last = following[0] if following and following[0] not in self._leading else None
            counter = 0
            for number, packet in self._packets_from(container, stream, anchor):
                if number == last:
                    break
                try:
                    frames = stream.codec_context.decode(packet)
                except FFmpegError as error:
                    errors[self._index(packet.pts, number)] = str(error.strerror or error)
                    continue
                for frame in frames:
                    index = self._index(frame.pts, counter)
                    counter += 1
                    yield index, frame
                    if index >= stop:
                        return
            for frame in _flush(stream.codec_context):
                yield self._index(frame.pts, counter), frame
                counter += 1

    def _packets_from(self, container: Any, stream: Any, anchor: int) -> Iterator[tuple[int, Any]]:
        """Packets from number `anchor` on; discarded ones (edit lists) get the number of the one before."""
        packets = _packets(container, stream)
        number = -1
        if anchor:
            container.seek(self._anchor_pts[anchor], stream=stream, backward=True)
            number = self._find(packets, anchor)
            if number < 0:  # the container's own index led astray: go there packet by packet
                with closing(_open(self.path)) as again:
                    yield from self._walk_from(again, anchor)
                return
            stream.codec_context.flush_buffers()
            yield anchor, self._found
            number = anchor
        for packet in packets:
            if not packet.is_discard:
                number += 1
            yield number, packet

    def _find(self, packets: Iterator[Any], anchor: int) -> int:
        wanted = self._anchor_pts[anchor]
        for packet in packets:
            if packet.pts == wanted and packet.is_keyframe:
                self._found = packet
                return anchor
            if packet.dts is not None and packet.dts > wanted:
                return -1
        return -1

    def _walk_from(self, container: Any, anchor: int) -> Iterator[tuple[int, Any]]:
        number = -1
        for packet in _packets(container, _video_stream(container, self.path)):
            if not packet.is_discard:
                number += 1
            if number >= anchor:
                yield number, packet

    def _index(self, pts: int | None, counter: int) -> int:
        if not self._timed or pts is None:
            return min(counter, self.frame_count - 1)
        return int(np.searchsorted(self._pts, pts))

    def _seconds(self, index: int, frame: Any = None) -> float:
        if self._timed:
            return float(self._pts[index] * self._time_base)
        if frame is not None and frame.pts is not None:
            return float(frame.pts * self._time_base)
        return index / self.fps

    def _frame(self, index: int, frame: Any, damage: list[Damage]) -> Frame:
        image = _to_rgb(frame)
        if self.width and image.shape[:2] != (self.height, self.width):
            what = f"size changes to {image.shape[1]}x{image.shape[0]}; scaled to {self.width}x{self.height}"
            damage.append(Damage(index, self._seconds(index, frame), what, lost=False))
            image = _scale(image, self.width, self.height)
        return Frame(index, self._seconds(index, frame), bool(frame.key_frame), bool(frame.is_corrupt), image)


def _open(path: Path) -> Any:
    options = {"protocol_whitelist": "file", "format_whitelist": _allowed_formats()}
    try:
        return av.open(f"file:{path}", options=options, metadata_errors="ignore")
    except FFmpegError as error:
        reason = str(error.strerror or error)
        raise PipelineError(
            f"{path}: no video can be read from it ({reason}); expected a complete video file, such as an mp4 "
            "whose recording was finished"
        ) from None
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}") from None


@cache
def _allowed_formats() -> str:
    return ",".join(sorted(name for name in av.formats_available if not _NOT_FILES & set(name.split(","))))


def _video_stream(container: Any, path: Path) -> Any:
    streams = [
        stream for stream in container.streams.video if "ATTACHED_PIC" not in str(stream.disposition).upper()
    ]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams}) or ["nothing"]
        raise PipelineError(f"{path}: holds no video, only {', '.join(kinds)}")
    if streams[0].codec_context is None:
        raise PipelineError(f"{path}: its codec is unknown to this FFmpeg; re-encode it as H.264")
    return streams[0]


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets up to the end of the file, or to where it was cut off."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except FFmpegError:
        return


def _flush(context: Any) -> Iterator[Any]:
    while True:
        try:
            yield from context.decode(None)
            return
        except FFmpegError as error:
            if isinstance(error, av.error.EOFError):
                return


def _to_rgb(frame: Any) -> NDArray[np.uint8]:
    image: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4  # counter-clockwise, as numpy counts
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _scale(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
