"""A video file, read segment by segment."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.video.container import open_container
from pipeline.video.decode import DecoderRun, Name
from pipeline.video.pixels import Upright, display_turn, rotation_degrees
from pipeline.video.plan import plan_segments
from pipeline.video.records import Damage, Frame, Segment, Video
from pipeline.video.scan import NO_TIME, Packets, scan_packets

_PROBE_PACKETS = 24  # enough for a reordered group of pictures, few enough to decode at once
_GUESSED_RATE = Fraction(25)


@dataclass(frozen=True, eq=False)
class FrameTable:
    """The announced frames in presentation order; n of them.

    Attributes:
        pts: int64 (n,), ascending, in units of the stream; None where frames are told apart by rank alone.
        times: float64 (n,), seconds.
        key: bool (n,).
        packet: int64 (n,): rank of the frame's packet, −1 for a frame behind the end of the file; None like pts.
        times_from: see `Video`.
        sound: whether decoding it all once brought no error; only known where that had to be done.

    """

    pts: NDArray[np.int64] | None
    times: NDArray[np.float64]
    key: NDArray[np.bool_]
    packet: NDArray[np.int64] | None
    times_from: str
    sound: bool = True

    def __len__(self) -> int:
        return len(self.times)

    def namer(self) -> Name:
        """A function that says which announced frame a decoded one is."""
        if self.pts is None:
            ranks = iter(range(len(self)))
            return lambda _: next(ranks, None)
        pts = self.pts

        def by_time(frame: Any) -> int | None:
            if frame.pts is None:
                return None
            at = int(np.searchsorted(pts, frame.pts))
            return at if at < len(pts) and pts[at] == frame.pts else None

        return by_time


def open_file(path: Path, segment_frames: int, threads: int | None) -> "VideoFile":
    """Open a video file.

    Raises:
        PipelineError: it is no video, or no frame of it can be decoded.

    """
    container, stream = open_container(path)
    with container:
        packets = scan_packets(container, stream, path)
        context = stream.codec_context
        time_base, rate = stream.time_base, stream.average_rate or stream.guessed_rate or _GUESSED_RATE
        in_fields = context.name == "h264" and context.field_order not in (0, 1)
        codec = context.codec.canonical_name
        # Only these keep both fields of a picture in one packet.
        in_fields &= not any(name in container.format.name for name in ("mov", "matroska"))
    if not len(packets):
        raise PipelineError(f"{path}: has a video stream but no frame in it; record or copy it again")

    probe = _probe(path, packets)
    table = None if in_fields else _table_of_packets(packets, time_base)
    if table is None or not _agrees(table, probe):
        table = _table_by_decoding(path, packets, time_base, rate)
    first = probe.first or _first_decodable(path, packets, table)
    if first is None:
        raise PipelineError(
            f"{path}: none of its {len(packets)} frames can be decoded ({codec}); "
            "the file is damaged throughout, copy it again"
        )
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
        turn=turn,
        stored_size=upright.stored_size,
        threads=threads if table.sound else 1,
        stamp=_stamp(path),
    )


@dataclass(eq=False, kw_only=True)
class VideoFile(Video):
    """An open video file; see `Video`."""

    packets: Packets = field(repr=False)
    table: FrameTable = field(repr=False)
    turn: tuple[int, int, int, int]
    stored_size: tuple[int, int]
    threads: int | None
    stamp: tuple[int, int]
    _parked: "tuple[int, _RunFrames] | None" = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def read(self, segment: Segment, damage: list[Damage] | None = None) -> Iterator[Frame]:
        """The frames of `segment`; see `Video.read`.

        Reading segments in order goes on with the decoder where they share a run.
        """
        if _stamp(self.path) != self.stamp:
            raise PipelineError(f"{self.path}: has changed while it was read; start again")
        upright = Upright(self.stored_size, self.turn)
        frames = self._unpark(segment)
        found: dict[int, Damage] = {}
        missing = set(range(segment.first, segment.stop))
        for index, decoded in frames.until(segment.first, segment.stop):
            missing.discard(index)
            what = self._complaint(index, decoded, frames.run)
            if what:
                found[index] = Damage(index, float(self.table.times[index]), what, lost=False)
            yield Frame(
                index,
                float(self.table.times[index]),
                bool(self.table.key[index]),
                bool(decoded.is_corrupt),
                upright.image(decoded),
            )
        for index in missing:
            found[index] = Damage(index, float(self.table.times[index]), self._loss(index, frames.run))
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
            self.path, self.packets, self.table.namer, (run.anchor, stop), run.first, run.stop, self.threads
        )

    def _complaint(self, index: int, decoded: Any, run: DecoderRun) -> str:
        complaints = []
        if decoded.is_corrupt:
            complaints.append(run.reasons.get(self._packet(index), "corrupt: the decoder made up parts of it"))
        if (decoded.width, decoded.height) != self.stored_size:
            complaints.append(
                f"its size changed to {decoded.width}x{decoded.height}, scaled to "
                f"{self.stored_size[0]}x{self.stored_size[1]}"
            )
        return "; ".join(complaints)

    def _loss(self, index: int, run: DecoderRun) -> str:
        packet = self._packet(index)
        if packet >= len(self.packets) or packet < 0:
            return "behind the end of the file, which was cut short"
        return run.reasons.get(packet, "the decoder made no picture of it")

    def _packet(self, index: int) -> int:
        return -1 if self.table.packet is None else int(self.table.packet[index])

    def _add_trouble(self, segment: Segment, found: dict[int, Damage]) -> None:
        """Put errors of the container itself on the frame that follows them, or on the last one."""
        for rank, reason in self.packets.trouble:
            if self.table.packet is None:
                index = min(rank, len(self.table) - 1)
            else:
                behind = np.flatnonzero(self.table.packet >= rank)
                index = int(behind[0]) if len(behind) else len(self.table) - 1
            if segment.first <= index < segment.stop and index not in found:
                what = f"the file is damaged about here: {reason}"
                found[index] = Damage(index, float(self.table.times[index]), what, lost=False)


class _RunFrames:
    """A run that can stop between two segments and go on later."""

    def __init__(self, video: VideoFile, segment: Segment) -> None:
        self.segment_run = segment.run
        self.run = video.decoder_run(segment)
        self._frames: Any = iter(self.run)
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

    def close(self) -> None:
        """Let the decoder go."""
        self._frames.close()


@dataclass(frozen=True, eq=False)
class _Probe:
    frames: list[int | None]  # time stamps of the frames that the first packets gave
    fed: int
    sound: bool
    first: Any


def _probe(path: Path, packets: Packets) -> _Probe:
    fed = min(_PROBE_PACKETS, len(packets))
    ranks = iter(range(2**62))
    run = DecoderRun(path, packets, lambda: lambda _: next(ranks), (0, fed), 0, None, 1)
    times: list[int | None] = []
    sound, first = True, None
    for _, frame in run:
        times.append(frame.pts)
        sound &= not frame.is_corrupt
        first = first or frame
    return _Probe(times, fed, sound and not run.reasons, first)


def _table_of_packets(packets: Packets, time_base: Fraction) -> FrameTable | None:
    """The frames as the packets announce them: one each, told apart by time stamp; None where that fails."""
    shown = np.flatnonzero(packets.shown)
    pts = np.concatenate([packets.pts[shown], packets.cut_off])
    if not len(pts) or NO_TIME in pts or len(np.unique(pts)) < len(pts):
        return None
    order = np.argsort(pts)
    packet = np.concatenate([shown, np.full(len(packets.cut_off), -1)])[order]
    key = np.where(packet >= 0, packets.key[packet], False)
    times = np.array([float(int(value) * time_base) for value in pts[order]])
    return FrameTable(pts[order], times, key, packet, "container")


def _agrees(table: FrameTable, probe: _Probe) -> bool:
    """Whether the decoder makes of the first packets the frames that they announce, where they are sound."""
    if not probe.sound or not probe.frames:
        return True
    assert table.pts is not None
    assert table.packet is not None
    announced = [int(pts) for pts in table.pts[(table.packet >= 0) & (table.packet < probe.fed)]]
    return [pts for pts in announced if probe.frames[0] is None or pts >= probe.frames[0]] == probe.frames


def _table_by_decoding(path: Path, packets: Packets, time_base: Fraction, rate: Fraction) -> FrameTable:
    """The frames as the decoder makes them, for a file whose packets do not say."""
    ranks = iter(range(2**62))
    run = DecoderRun(path, packets, lambda: lambda _: next(ranks), (0, len(packets)), 0, None, 1)
    stamps: list[tuple[int | None, int | None]] = []
    key = []
    sound = True
    for _, frame in run:
        stamps.append((frame.pts, frame.dts))
        key.append(frame.key_frame)
        sound &= not frame.is_corrupt
    times, times_from = _times(stamps, time_base, rate)
    return FrameTable(None, times, np.array(key, np.bool_), None, times_from, sound and not run.reasons)


def _times(
    stamps: list[tuple[int | None, int | None]], time_base: Fraction, rate: Fraction
) -> tuple[NDArray[np.float64], str]:
    for kind in (0, 1):
        values = [stamp[kind] for stamp in stamps]
        known = [value for value in values if value is not None]
        if len(known) == len(values) and all(a < b for a, b in pairwise(known)):
            return np.array([float(value * time_base) for value in known]), "decoder"
    return np.array([float(rank / rate) for rank in range(len(stamps))]), "rate"


def _first_decodable(path: Path, packets: Packets, table: FrameTable) -> Any:
    """The first frame that any part of the file yields."""
    if not len(table):
        return None
    for anchor in np.flatnonzero(packets.clean):
        run = DecoderRun(path, packets, table.namer, (int(anchor), len(packets)), 0, None, 1)
        for _, frame in islice(iter(run), 1):
            return frame
    return None


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
