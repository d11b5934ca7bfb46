"""Scan of the packets of a container: what is known of its frames without decoding any."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.video.container import demux
from pipeline.video.gaps import find_gaps, trailing_gap
from pipeline.video.nal import read_picture

NO_TIME = -(2**63)  # marks a missing time stamp
_MOST_UNTIMED = 0.1  # of all packets


@dataclass(frozen=True, eq=False)
class Packets:
    """The packets of a video stream in the order of the file; n of them.

    Attributes:
        pts, dts, pos, size: int64 (n,); time stamps in units of the stream, place and size in bytes.
        key: bool (n,), marked as key frames.
        clean: bool (n,), a fresh decoder may start there.
        entry: int64 (n,), after how many reference pictures frames are right again; see `Picture`.
        disposable: bool (n,), no other picture refers to it.
        shown: bool (n,), announce a frame; False for those that an edit list hides and the like.
        trouble: errors of the container: (rank of the next packet, reason).
        cut_off: int64 (m,), ascending: pts, estimated, of the frames behind the end of a file cut short.
    """

    pts: NDArray[np.int64]
    dts: NDArray[np.int64]
    pos: NDArray[np.int64]
    size: NDArray[np.int64]
    key: NDArray[np.bool_]
    clean: NDArray[np.bool_]
    entry: NDArray[np.int64]
    disposable: NDArray[np.bool_]
    shown: NDArray[np.bool_]
    trouble: Sequence[tuple[int, str]]
    cut_off: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pts)


def scan_packets(container: Any, stream: Any, path: Path) -> Packets:
    """Read every packet of `stream` once, keeping what is said about it but none of its data."""
    numbers = {name: array("q") for name in ("pts", "dts", "pos", "size")}
    flags = {name: bytearray() for name in ("key", "clean", "disposable", "shown")}
    entry = array("q")
    spans = array("q")  # of all streams: place, size, place, size, …
    end_s = 0.0
    trouble: list[tuple[int, str]] = []
    codec, extradata = stream.codec_context.name, stream.codec_context.extradata
    for packet in demux(container, None, lambda what: trouble.append((len(flags["key"]), what))):
        spans.extend((-1 if packet.pos is None else packet.pos, packet.size))
        if packet.pts is not None:
            end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if packet.stream_index != stream.index:
            continue
        for name, values in numbers.items():
            value = getattr(packet, name)
            values.append(NO_TIME if value is None else value)
        key = packet.is_keyframe
        flags["key"].append(key)
        picture = read_picture(codec, extradata, key, bytes(packet))
        flags["clean"].append(picture.clean)
        flags["disposable"].append(picture.disposable)
        entry.append(picture.entry)
        flags["shown"].append(not packet.is_discard and not _is_hidden(codec, packet))
    columns: dict[str, Any] = {name: np.array(values, np.int64) for name, values in numbers.items()}
    columns["entry"] = np.array(entry, np.int64)
    columns |= {name: np.frombuffer(bytes(values), np.bool_) for name, values in flags.items()}
    columns["clean"] = columns["clean"] & _nothing_before_is_shown_after(columns["pts"])
    _leave_out_untimed(columns, trouble)
    file_size = path.stat().st_size
    cut_off = _cut_off(container, stream, columns, file_size)
    trouble += _gaps(container, stream, columns, np.array(spans, np.int64).reshape(-1, 2), end_s, file_size)
    return Packets(**columns, trouble=tuple(trouble), cut_off=cut_off)


def _leave_out_untimed(columns: dict[str, Any], trouble: list[tuple[int, str]]) -> None:
    """Do not count on the few packets that have no time stamp: shreds of damaged ones, where nearly all have."""
    untimed = np.flatnonzero(columns["shown"] & (columns["pts"] == NO_TIME))
    if 0 < len(untimed) <= _MOST_UNTIMED * len(columns["pts"]):
        columns["shown"] = columns["shown"] & (columns["pts"] != NO_TIME)
        trouble += [(int(rank), "a packet without a time stamp was left out") for rank in untimed]


def _gaps(
    container: Any,
    stream: Any,
    columns: dict[str, Any],
    spans: NDArray[np.int64],
    end_s: float,
    file_size: int,
) -> list[tuple[int, str]]:
    """Signs that the container lost whole packets: (rank of the next packet, reason)."""
    pos, pts = columns["pos"], columns["pts"]
    kind = container.format.name
    in_fragments = "mov" in kind and not stream.frames
    if not columns["shown"].any() or (spans[:, 0] < 0).any() or NO_TIME in pts[columns["shown"]]:
        return []
    found: list[tuple[int, str]] = []
    if "mov" not in kind or in_fragments:
        counted = kind == "avi" and len(stream.index_entries) > len(pos)
        found += find_gaps(spans, pos, pts, columns["shown"], times_count_packets=counted)
    promised = container.duration / 1e6 if "matroska" in kind and container.duration else None
    tail = trailing_gap(int(spans.sum(axis=1).max()), file_size, end_s, promised, in_fragments)
    return [*found, (len(pos), tail)] if tail else found


def _is_hidden(codec: str, packet: Any) -> bool:
    # VP8 keeps pictures that are only referred to in packets of their own; a bit of the first byte says so.
    return codec == "vp8" and not memoryview(packet)[0] & 0x10


def _nothing_before_is_shown_after(pts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """For each packet, bool (n,): none before it has a later time stamp."""
    highest_before = np.concatenate([[NO_TIME], np.maximum.accumulate(pts)[:-1]]) if len(pts) else pts
    return np.asarray(highest_before < pts, dtype=np.bool_)


def _cut_off(container: Any, stream: Any, columns: dict[str, Any], file_size: int) -> NDArray[np.int64]:
    """Estimated pts (m,) of the frames that an mp4's index places behind the end of the file."""
    none = np.empty(0, np.int64)
    pts, dts = columns["pts"], columns["dts"]
    if "mov" not in container.format.name or not len(pts) or NO_TIME in pts or NO_TIME in dts:
        return none
    entries = [
        entry.timestamp
        for entry in stream.index_entries[len(pts) :]
        if entry.size and not entry.is_discard and entry.pos + entry.size > file_size
    ]
    if not entries:
        return none
    # Frames are presented at the times at which they are decoded, put off by the delay of the reordering.
    tail = np.array(entries, np.int64) + (pts.min() - dts.min())
    expected = np.setdiff1d(np.concatenate([dts + (pts.min() - dts.min()), tail]), pts)
    if len(expected) == len(tail):
        return expected
    return np.asarray(np.maximum(tail, pts.max() + 1 + np.arange(len(tail))), dtype=np.int64)
