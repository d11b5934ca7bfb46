"""A video file, read segment by segment."""

import logging
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.video.container import open_container
from pipeline.video.decode import DecoderRun
from pipeline.video.doubt import frames_in_doubt
from pipeline.video.pixels import Upright, assumed_matrix, deep_pixels, display_turn, rotation_degrees
from pipeline.video.records import Damage, Frame, Segment, Video
from pipeline.video.scan import Packets, scan_packets
from pipeline.video.segments import plan_segments
from pipeline.video.stretch import Stretch, find_stretch
from pipeline.video.table import FrameTable, probe_decoder, table_by_decoding, table_of_packets

_LOOKED_AT = 8  # frames that the range of values is taken from
log = logging.getLogger("uavpipe")
_MADE_UP = "corrupt: the decoder made parts of it up"
_LOST = "a frame is lost"
_GUESSED_RATE = Fraction(25)
# Codecs whose threaded decoders own up to damage; FFV1's, for one, makes of it a different picture each time.
_OWN_UP = {"h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mpeg2video", "mjpeg", "png"}


def open_file(
    path: Path, segment_frames: int, threads: int | None, first_part: "VideoFile | None" = None
) -> "VideoFile":
    """Open a video file; deep pictures are stretched as those of `first_part`, if it is given.

    Raises:
        PipelineError: it is no video, or no frame of it can be decoded.
    """
    container, stream = open_container(path)
    with container:
        packets = scan_packets(container, stream, path)
        time_base, rate = stream.time_base, stream.average_rate or stream.guessed_rate or _GUESSED_RATE
        matrix = assumed_matrix(stream.codec_context)
        codec, in_fields = stream.codec_context.codec.canonical_name, _has_single_fields(container, stream)
    if not len(packets):
        raise PipelineError(f"{path}: has a video stream but no frame in it; record or copy it again")

    probe = probe_decoder(path, packets)
    table = None if in_fields else table_of_packets(packets, probe, time_base)
    if table is None:
        table = table_by_decoding(path, packets, time_base, rate)
    first = probe.first or _first_decodable(path, packets, table)
    if first is None:
        raise PipelineError(
            f"{path}: none of its {len(packets)} frames can be decoded ({codec}); "
            "the file is damaged throughout, copy it again"
        )
    stretch = first_part.stretch if first_part else _common_stretch(path, packets, table, first, matrix)
    turn = display_turn(first)
    upright = Upright((first.width, first.height), turn)
    return VideoFile(
        path=path,
        width=upright.size[0],
        height=upright.size[1],
        fps=_average_rate(table.times, rate),
        frame_count=len(table),
        codec=codec,
        rotation=rotation_degrees(turn),
        segments=_plan(packets, table, segment_frames),
        times_from=table.times_from,
        packets=packets,
        table=table,
        time_base=time_base,
        turn=turn,
        stored_size=upright.stored_size,
        stretch=stretch,
        matrix=matrix,
        threads=threads,
        strict=table.sound and codec in _OWN_UP,
        stamp=_stamp(path),
    )


def colours_of(path: Path) -> str:
    """How the colours of an untagged HD video are read, in words; "" for every other video, folder or file."""
    try:
        container, stream = open_container(path)
    except PipelineError:
        return ""
    with container:
        return "BT.709, as HD without a tag" if assumed_matrix(stream.codec_context) else ""


def _has_single_fields(container: Any, stream: Any) -> bool:
    """Whether a packet may hold one field of a picture; mov and matroska keep both in one."""
    interlaced = stream.codec_context.name == "h264" and stream.codec_context.field_order not in (0, 1)
    return interlaced and not any(name in container.format.name for name in ("mov", "matroska"))


@dataclass(eq=False, kw_only=True)
class VideoFile(Video):
    """An open video file; see `Video`."""

    packets: Packets = field(repr=False)
    table: FrameTable = field(repr=False)
    time_base: Fraction
    turn: tuple[int, int, int, int]
    stored_size: tuple[int, int]
    stretch: Stretch | None
    matrix: Colorspace | None
    threads: int | None
    strict: bool
    stamp: tuple[int, int]
    _parked: "tuple[int, _RunFrames] | None" = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """All but the open decoder: another process opens its own, without another scan of the file."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_parked", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what `__getstate__` gave."""
        self.__dict__.update(state, _parked=None, _lock=threading.Lock())

    def read(self, segment: Segment, damage: list[Damage] | None = None) -> Iterator[Frame]:
        """The frames of `segment`; see `Video.read`.

        Reading segments in order continues with the same decoder where they share a run.
        """
        if _stamp(self.path) != self.stamp:
            raise PipelineError(f"{self.path}: has changed while it was read; start again")
        upright = Upright(self.stored_size, self.turn, self.stretch, self.matrix)
        frames = self._unpark(segment)
        found: dict[int, Damage] = {}
        missing = set(range(segment.first, segment.stop))
        for index, decoded in frames.until(segment.first, segment.stop):
            missing.discard(index)
            doubt = frames.doubt.get(index, "")
            self._note(found, index, self._complaint(index, decoded, frames.run) or doubt, lost=False)
            yield self._frame(index, decoded, upright, suspect=bool(doubt))
        for index in missing:
            self._note(found, index, self._loss(index, frames.run), lost=True)
        self._add_trouble(segment, found)
        if damage is not None:
            damage.extend(found[index] for index in sorted(found))
        self._park(segment, frames)

    def _unpark(self, segment: Segment) -> "_RunFrames":
        with self._lock:
            parked, self._parked = self._parked, None
        if parked and parked[0] == segment.number and parked[1].segment_run == segment.run:
            return parked[1]
        if parked:
            parked[1].close()
        return _RunFrames(self, segment)

    def _park(self, segment: Segment, frames: "_RunFrames") -> None:
        if segment.stop >= segment.run.stop:
            frames.close()
            return
        with self._lock:
            replaced, self._parked = self._parked, (segment.number + 1, frames)
        if replaced:
            replaced[1].close()

    def decoder_run(self, segment: Segment) -> DecoderRun:
        """The run that makes the frames of `segment`, from its start."""
        run = segment.run
        stop = len(self.packets)
        if self.table.packet is not None and run.stop < len(self.table):
            stop = int(self.table.packet[run.first : run.stop].max()) + 1
        return DecoderRun(
            self.path,
            self.packets,
            self.table.namer,
            (run.anchor, stop),
            run.first,
            run.stop,
            threads=self.threads,
            strict=self.strict,
            by_time=self.table.pts is not None,
        )

    def doubt(self, run: DecoderRun) -> dict[int, str]:
        """The frames of `run` that are in doubt, by what is known now, and why."""
        lost = {} if run.evidence is None else {self.table.packet_of(index): _LOST for index in run.evidence.lost}
        lost |= dict(self.packets.trouble)
        # Noise at the end of the packet before one that is lost may have decoded without complaint.
        bad = {rank - 1: f"what follows it in the file is not whole: {why}" for rank, why in lost.items()}
        # Where packets are gone from the container, a picture at which a decoder may begin is none the worse.
        bad |= {rank: why for rank, why in lost.items() if why == _LOST or self._refers_back(rank)}
        if run.evidence and self.table.packet is None:
            bad = dict.fromkeys(run.evidence.lost | run.evidence.corrupt, _MADE_UP)
        elif run.evidence:
            bad |= {self.table.packet_of(index): _MADE_UP for index in run.evidence.corrupt}
            bad |= run.evidence.complaints
        return frames_in_doubt(self.packets, self.table, bad, run.span)

    def _refers_back(self, rank: int) -> bool:
        return rank < len(self.packets) and bool(self.packets.entry[rank])

    def _frame(self, index: int, decoded: Any, upright: Upright, *, suspect: bool) -> Frame:
        return Frame(
            index,
            float(self.table.times[index]),
            bool(self.table.key[index]),
            bool(decoded.is_corrupt),
            suspect,
            upright.image(decoded),
        )

    def _note(self, damage: dict[int, Damage], index: int, what: str, *, lost: bool) -> None:
        if what:
            damage[index] = Damage(index, float(self.table.times[index]), what, lost)

    def _complaint(self, index: int, decoded: Any, run: DecoderRun) -> str:
        complaints = []
        if decoded.is_corrupt:
            complaints.append(run.reasons.get(self.table.packet_of(index), _MADE_UP))
        if (decoded.width, decoded.height) != self.stored_size:
            complaints.append(
                f"its size is {decoded.width}x{decoded.height}, scaled to "
                f"{self.stored_size[0]}x{self.stored_size[1]}"
            )
        return "; ".join(complaints)

    def _loss(self, index: int, run: DecoderRun) -> str:
        packet = self.table.packet_of(index)
        if self.table.packet is not None and packet < 0:
            return "behind the end of the file, which was cut short"
        return run.reasons.get(packet, "the decoder made no picture of it")

    def _add_trouble(self, segment: Segment, damage: dict[int, Damage]) -> None:
        """Put errors of the container itself on the frame that follows them, or on the last one."""
        for rank, reason in self.packets.trouble:
            index = self.table.frame_from(rank)
            if segment.first <= index < segment.stop and index not in damage:
                self._note(damage, index, f"the file is damaged about here: {reason}", lost=False)


class _RunFrames:
    """A run that can stop between two segments and continue later."""

    def __init__(self, video: VideoFile, segment: Segment) -> None:
        self.segment_run = segment.run
        self.run = video.decoder_run(segment)
        self._video, self._judged = video, self.run.evidence
        self._doubt = video.doubt(self.run)
        self._frames: Generator[tuple[int, Any]] = self.run.frames()
        self._ahead: tuple[int, Any] | None = None

    def until(self, first: int, stop: int) -> Iterator[tuple[int, Any]]:
        """The frames `first` to `stop` - 1 that the run has still to make."""
        if self._ahead is None:
            self._ahead = next(self._frames, None)
        while self._ahead is not None and self._ahead[0] < stop:
            index, frame = self._ahead
            if index >= first:
                yield index, frame
            del frame
            self._ahead = None  # or the decoder would see its pictures kept longer, and reuse others
            self._ahead = next(self._frames, None)

    @property
    def doubt(self) -> Mapping[int, str]:
        """The frames of the run in doubt, and why; complete for those that were delivered."""
        if self._judged is not self.run.evidence:
            self._judged, self._doubt = self.run.evidence, self._video.doubt(self.run)
        return self._doubt

    def close(self) -> None:
        """Let the decoder go."""
        self._frames.close()


def _first_decodable(path: Path, packets: Packets, table: FrameTable) -> Any:
    """The first frame that any part of the file yields."""
    return next(_beginnings(path, packets, table, 1), None)


def _beginnings(path: Path, packets: Packets, table: FrameTable, step: int) -> Iterator[Any]:
    """The first frame from each `step`-th packet on which a decoder can start afresh."""
    for anchor in np.flatnonzero(packets.clean)[::step] if len(table) else ():
        run = DecoderRun(path, packets, table.namer, (int(anchor), len(packets)), 0, None)
        with closing(run.frames()) as frames:
            found = next(frames, None)
        if found is not None:
            yield found[1]


def _common_stretch(
    path: Path, packets: Packets, table: FrameTable, first: Any, matrix: Colorspace | None
) -> Stretch | None:
    """How pictures of more than 8 bits are made brighter, from some of them; None: not at all."""
    if deep_pixels(first, matrix) is None:
        return None
    step = -(-int(packets.clean.sum()) // _LOOKED_AT)
    some = (deep_pixels(frame, matrix) for frame in _beginnings(path, packets, table, max(1, step)))
    stretch = find_stretch(image for image in some if image is not None)
    if stretch:
        log.warning("%s: pictures of more than 8 bits; of 0 to 65535, %s", path, stretch)
    return stretch


def _plan(packets: Packets, table: FrameTable, segment_frames: int) -> tuple[Segment, ...]:
    clean = np.empty(0, np.int64)
    ranks = clean
    if table.packet is not None:
        clean = np.flatnonzero((table.packet >= 0) & packets.clean[table.packet])
        ranks = table.packet[clean]
    return plan_segments(len(table), clean, ranks, segment_frames)


def _average_rate(times: NDArray[np.float64], rate: Fraction) -> float:
    span = float(times[-1] - times[0]) if len(times) > 1 else 0.0
    return (len(times) - 1) / span if span > 0 else float(rate)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read any more: {error.strerror}") from error
    return found.st_size, found.st_mtime_ns
