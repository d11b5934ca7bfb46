"""One decoder's run over the packets of a video, from a fresh start to its end, surviving damage.

Three decoders share the work. The strict one uses all threads and gives up at the first sign of damage. Then the
patient one goes over the run again, so that the frames do not depend on the number of threads: it uses one thread,
because only then are the made-up parts of damaged pictures the same each time, and every error belongs to the
packet just given. Before it delivers, two surveys collect the evidence of damage, as a frame's fault may show only
after it: one by the patient decoder, one by a pedantic one that complains where the patient one conceals.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.codec.context import Flags
from numpy.typing import NDArray

from pipeline.video.container import demux, open_container
from pipeline.video.scan import NO_TIME, Packets

_DEPTH = 16  # pictures that H.264 may hold back at most
_DELAY = 3  # frames of the strict decoder held back: damage may show only in what follows a frame
_HELD = 20  # decoded frames held back to put them in order; a few more than the decoder may have confused

Name = Callable[[Any], int | None]  # the index of a decoded frame; None for one that was not announced


class PacketReader:
    """Reads packets of a file from any rank on; the ranks are those of the first scan.

    Raises from `read`:
        PipelineError: the file cannot be opened any more.
    """

    def __init__(self, path: Path, packets: Packets) -> None:
        self._path, self._packets = path, packets

    def read(self, container: Any, stream: Any, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        """(rank, packet) for the ranks from `start` to `stop` - 1.

        Seeking is trusted only as far as the packets found are those of the scan; otherwise the file is read
        from its beginning.
        """
        rank = start
        for rank, packet in self._sought(container, stream, start):
            if rank >= stop:
                return
            if not self._is(rank, packet):
                break
            yield rank, packet
            start = rank + 1
        if start >= stop:
            return
        container, stream = open_container(self._path)
        with container:
            for rank, packet in enumerate(demux(container, stream, lambda _: None)):
                if rank >= stop:
                    return
                if rank >= start:
                    yield rank, packet

    def _sought(self, container: Any, stream: Any, start: int) -> Iterator[tuple[int, Any]]:
        packets = demux(container, stream, lambda _: None)
        if start == 0:
            yield from enumerate(packets)
            return
        target = min(t for t in (self._packets.pts[start], self._packets.dts[start]) if t != NO_TIME)
        try:
            container.seek(int(target), stream=stream)
        except av.error.FFmpegError:
            return
        first = next(packets, None)
        rank = None if first is None else self._rank_of(first)
        if rank is None or rank > start:
            return
        if rank == start:
            yield rank, first
        for following, packet in enumerate(packets, rank + 1):
            if following >= start:
                yield following, packet

    def _rank_of(self, packet: Any) -> int | None:
        found = np.flatnonzero((self._packets.size == packet.size) & (self._packets.pts == _pts(packet)))
        exact = found[self._packets.pos[found] == packet.pos] if packet.pos is not None else found
        return int(exact[0]) if len(exact) == 1 else None

    def _is(self, rank: int, packet: Any) -> bool:
        return (
            rank < len(self._packets)
            and int(self._packets.size[rank]) == packet.size
            and int(self._packets.pts[rank]) == _pts(packet)
        )


def _pts(packet: Any) -> int:
    return NO_TIME if packet.pts is None else int(packet.pts)


class _DamageSeenError(Exception):
    """The strict decoder saw something that only the patient one may judge."""


@dataclass(frozen=True)
class Evidence:
    """What was wrong in a run.

    Attributes:
        lost: indices of the frames that were not made.
        corrupt: indices of those that the decoder had to make up in part.
        complaints: by packet rank, what a decoder did not like about it.
    """

    lost: frozenset[int]
    corrupt: frozenset[int]
    complaints: dict[int, str]


class DecoderRun:
    """A decoder's way through a range of packets.

    Attributes:
        reasons: by packet rank, why the decoder could not take it.
        evidence: of damage; None as long as there is none. Complete before the first frame that it concerns.
    """

    def __init__(
        self,
        path: Path,
        packets: Packets,
        name: Callable[[], Name],
        span: tuple[int, int],
        first: int,
        stop: int | None,
        *,
        threads: int | None = 1,
        strict: bool = False,
        by_time: bool = False,
    ) -> None:
        """`span` is the range of packet ranks; `stop` None means to the last frame, however many there are.

        `name` makes a function that is called with each decoded frame in turn; `by_time` says that the order
        in which they come does not matter to it. `strict` says that the decoder owns up to damage, and may
        therefore use `threads`.
        """
        self._path, self._reader, self._name = path, PacketReader(path, packets), name
        self._fresh = _leading_nothing(packets)
        self.span, self._first, self._stop = span, first, stop
        self._threads, self._strict, self._by_time = threads, strict, by_time
        self.reasons: dict[int, str] = {}
        self.evidence: Evidence | None = None

    def frames(self) -> Generator[tuple[int, Any]]:
        """(index, decoded frame) for the frames that can be made, in ascending order of index."""
        expected = self._first
        if self._stop is not None:
            try:
                for index, frame in _delayed(self._sound_frames()):
                    yield index, frame
                    expected = index + 1
                if expected == self._stop:
                    return
            except (av.error.FFmpegError, _DamageSeenError):
                pass
            self.evidence = self._survey(self._stop)
        for index, frame in self._patient_frames():
            # A frame that comes after its time counts as lost: order is worth more.
            if index >= expected:
                yield index, frame
                expected = index + 1

    def _sound_frames(self) -> Iterator[tuple[int, Any]]:
        """The frames up to the first sign of damage, and no later than the run's last."""
        expected, stop = self._first, self._stop
        for index, frame in self._decode(None if self._strict else self.reasons, strict=self._strict):
            # The last frames may refer to one behind them, which the decoder then makes as well.
            if index < expected or (stop is not None and index >= stop):
                continue
            if index != expected or frame.is_corrupt or self.reasons:
                raise _DamageSeenError
            yield index, frame
            expected += 1

    def _patient_frames(self) -> Iterator[tuple[int, Any]]:
        return _ascending(self._decode(self.reasons), _HELD if self._by_time else 0)

    def _survey(self, stop: int) -> Evidence:
        complaints: dict[int, str] = {}
        for _ in self._decode(complaints, strict=True):
            pass
        lost, corrupt = set(range(self._first, stop)), set()
        expected = 0
        for index, frame in self._patient_frames():
            if index < expected:
                continue
            expected = index + 1
            lost.discard(index)
            if frame.is_corrupt:
                corrupt.add(index)
        return Evidence(frozenset(lost), frozenset(corrupt), complaints | self.reasons)

    def _decode(self, reasons: dict[int, str] | None, *, strict: bool = False) -> Iterator[tuple[int, Any]]:
        """Decode once; errors go into `reasons`, or are raised where it is None."""
        name = self._name()
        start, stop = self.span
        while start < stop:
            container, stream = open_container(self._path)
            with container:
                decoder = self._set_up(stream.codec_context, strict=strict, patient=reasons is not None)
                hurt = False
                for rank, packet in self._reader.read(container, stream, start, stop):
                    if hurt and self._fresh[rank]:
                        break  # to begin afresh: FFmpeg lets damage leave its traces even behind a key frame
                    frames = self._take(decoder, rank, packet, reasons)
                    hurt |= rank in (reasons or ()) or any(frame.is_corrupt for frame in frames)
                    yield from self._named(frames, name)
                else:
                    rank = stop
                yield from self._named(self._take(decoder, rank, None, reasons), name)
            start = rank

    def _set_up(self, decoder: Any, *, strict: bool, patient: bool) -> Any:
        decoder.flags |= Flags.output_corrupt  # a damaged picture is worth more than none
        if strict:
            decoder.options = {"err_detect": "explode"}
        if not patient:
            decoder.thread_type, decoder.thread_count = "AUTO", self._threads or 0
            return decoder
        decoder.thread_type, decoder.thread_count = "NONE", 1
        if self._by_time and decoder.name == "h264" and not strict:
            # Pictures whose order the damage confused are dropped, unless they were to wait anyway.
            decoder.reorder_depth = _DEPTH
        return decoder

    @staticmethod
    def _take(decoder: Any, rank: int, packet: Any, reasons: dict[int, str] | None) -> list[Any]:
        try:
            return list(decoder.decode(packet))
        except av.error.FFmpegError as error:
            if reasons is None:
                raise
            reasons[rank] = error.strerror or type(error).__name__
            return []

    @staticmethod
    def _named(frames: list[Any], name: Name) -> Iterator[tuple[int, Any]]:
        while frames:
            frame = frames.pop(0)
            index = name(frame)
            if index is not None:
                yield index, frame


def _leading_nothing(packets: Packets) -> NDArray[np.bool_]:
    """For each packet, bool (n,): a decoder may start there, and nothing behind it is presented before it."""
    least_from = np.minimum.accumulate(packets.pts[::-1])[::-1]
    return np.asarray(packets.clean & (least_from >= packets.pts), dtype=np.bool_)


def _delayed(frames: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    """`frames`, each after the next few were made without complaint."""
    waiting: deque[tuple[int, Any]] = deque()
    for item in frames:
        waiting.append(item)
        del item
        if len(waiting) > _DELAY:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()


def _ascending(frames: Iterator[tuple[int, Any]], held: int) -> Iterator[tuple[int, Any]]:
    """`frames` by index, as far as holding back `held` of them can bring about."""
    waiting: dict[int, Any] = {}
    for index, frame in frames:
        waiting[index] = frame
        del frame
        if len(waiting) > held:
            least = min(waiting)
            yield least, waiting.pop(least)
    for index in sorted(waiting):
        yield index, waiting.pop(index)
