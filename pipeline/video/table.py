"""The frame table of a video file: the frames that it announces, their times and their packets."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.video.decode import DecoderRun, Name
from pipeline.video.scan import NO_TIME, Packets

_PROBE_PACKETS = 24  # enough for a reordered group of pictures, few enough to decode at once


@dataclass(frozen=True, eq=False)
class FrameTable:
    """The announced frames in presentation order; n of them.

    Attributes:
        pts: int64 (n,), ascending, in units of the stream; None where only the rank identifies a frame.
        times: float64 (n,), seconds.
        key: bool (n,).
        packet: int64 (n,): rank of the frame's packet, −1 for a frame behind the end of the file; None like
            `pts`.
        times_from: see `Video`.
        sound: whether decoding it all once gave no error; only known where that had to be done.
    """

    pts: NDArray[np.int64] | None
    times: NDArray[np.float64]
    key: NDArray[np.bool_]
    packet: NDArray[np.int64] | None
    times_from: str
    sound: bool = True

    def __len__(self) -> int:
        return len(self.times)

    def packet_of(self, index: int) -> int:
        """Rank of the packet of frame `index`, −1 where there is none or it is not known."""
        return -1 if self.packet is None else int(self.packet[index])

    def frame_from(self, rank: int) -> int:
        """Index of the first frame whose packet is `rank` or later; the last frame where there is none."""
        behind = np.flatnonzero(self.packet >= rank) if self.packet is not None else np.arange(rank, len(self))
        return int(behind[0]) if len(behind) else len(self) - 1

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


@dataclass(frozen=True, eq=False)
class Probe:
    """What a decoder made of the first packets.

    Attributes:
        pts: time stamps of the frames, in the order in which they came.
        fed: number of packets it was given.
        sound: whether it had nothing to complain of.
        first: the first decoded frame, None where there was none.
    """

    pts: list[int | None]
    fed: int
    sound: bool
    first: Any


def probe_decoder(path: Path, packets: Packets) -> Probe:
    """Decode the first few packets."""
    fed = min(_PROBE_PACKETS, len(packets))
    run = _numbered_run(path, packets, fed)
    pts: list[int | None] = []
    sound, first = True, None
    for _, frame in run.frames():
        pts.append(frame.pts)
        sound &= not frame.is_corrupt
        first = first or frame
    return Probe(pts, fed, sound and not run.reasons, first)


def table_of_packets(packets: Packets, probe: Probe, time_base: Fraction) -> FrameTable | None:
    """The frames as the packets announce them: one each, identified by time stamp.

    Returns:
        None where packets lack time stamps or share them, or where the decoder makes other frames of sound
        packets than they announce, as it does of packets with half a picture.
    """
    shown = np.flatnonzero(packets.shown)
    pts = np.concatenate([packets.pts[shown], packets.cut_off])
    if not len(pts) or NO_TIME in pts or len(np.unique(pts)) < len(pts):
        return None
    order = np.argsort(pts)
    packet = np.concatenate([shown, np.full(len(packets.cut_off), -1)])[order]
    if probe.sound and probe.pts:
        announced = pts[order][(packet >= 0) & (packet < probe.fed)]
        # What comes before the first frame shown needed pictures from before the beginning of the file.
        if probe.pts != [int(value) for value in announced if value >= (probe.pts[0] or 0)]:
            return None
    key = np.where(packet >= 0, packets.key[packet], False)
    times = np.array([float(int(value) * time_base) for value in pts[order]])
    return FrameTable(pts[order], times, key, packet, "container")


def table_by_decoding(path: Path, packets: Packets, time_base: Fraction, rate: Fraction) -> FrameTable:
    """The frames as the decoder makes them of the whole file, where the packets do not say."""
    run = _numbered_run(path, packets, len(packets))
    stamps: list[tuple[int | None, int | None]] = []
    key = []
    sound = True
    for _, frame in run.frames():
        stamps.append((frame.pts, frame.dts))
        key.append(frame.key_frame)
        sound &= not frame.is_corrupt
    times, times_from = _times(stamps, time_base, rate)
    return FrameTable(None, times, np.array(key, np.bool_), None, times_from, sound and not run.reasons)


def _numbered_run(path: Path, packets: Packets, fed: int) -> DecoderRun:
    """A run over the first `fed` packets that numbers whatever frames come."""
    return DecoderRun(path, packets, _counter, (0, fed), 0, None)


def _counter() -> Name:
    numbers = count()
    return lambda _: next(numbers)


def _times(
    stamps: list[tuple[int | None, int | None]], time_base: Fraction, rate: Fraction
) -> tuple[NDArray[np.float64], str]:
    """Seconds (n,) of (pts, dts) pairs: by whichever is there throughout and ascends, else by the rate."""
    for values in zip(*stamps, strict=True):
        known = [value for value in values if value is not None]
        if len(known) == len(values) and all(a < b for a, b in pairwise(known)):
            return np.array([float(value * time_base) for value in known]), "decoder"
    return np.array([float(rank / rate) for rank in range(len(stamps))]), "rate"
