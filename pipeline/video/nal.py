"""Pictures of H.264 and HEVC by their bytes: where a decoder may begin, and which pictures no other refers to."""

from collections.abc import Iterator
from typing import NamedTuple

_IDR, _SEI = 5, 6  # types of H.264's units
_SLICES_H264 = range(1, 6)
_SLICES_HEVC = range(32)
_IRAP_HEVC = range(16, 22)
_LAST_PLAIN_HEVC = 14  # even types up to this one are pictures that others of their layer do not refer to
_RECOVERY_POINT = 6  # type of a message in H.264's SEI


class Picture(NamedTuple):
    """What a packet says about the picture in it.

    Attributes:
        clean: a fresh decoder that starts here makes all frames presented from here on, and no later frame refers
            back over it.
        entry: number of further reference pictures after which the frames presented from here on are right, even
            if all before were lost: 0 for key frames, more where they are refreshed bit by bit; -1: never.
        disposable: no other picture refers to it.
    """

    clean: bool
    entry: int
    disposable: bool


def read_picture(codec: str, extradata: bytes | None, key: bool, packet: bytes) -> Picture:
    """The picture of a packet; `key` says that the container marks it as a key frame.

    H.264 marks open-GOP and intra-refresh entry points as key frames too; only IDR pictures reset the decoder.
    HEVC's IRAP pictures all do; what they lead is presented before them. Key frames of other codecs do.
    """
    if codec not in ("h264", "hevc"):
        return Picture(key, 0 if key else -1, False)
    entry = -1
    for start in _unit_starts(codec, extradata or b"", packet):
        kind = packet[start] & 31 if codec == "h264" else packet[start] >> 1 & 63
        if codec == "hevc" and kind in _SLICES_HEVC:
            clean = key and kind in _IRAP_HEVC
            return Picture(clean, 0 if clean else -1, kind <= _LAST_PLAIN_HEVC and kind % 2 == 0)
        if codec == "h264" and kind in _SLICES_H264:
            clean = key and kind == _IDR
            return Picture(clean, 0 if clean else entry, not packet[start] & 0x60)
        if codec == "h264" and kind == _SEI:
            entry = max(entry, _recovery_frames(packet[start + 1 : start + 256]))
    return Picture(False, -1, False)


def _unit_starts(codec: str, extradata: bytes, packet: bytes) -> Iterator[int]:
    at_length = 4 if codec == "h264" else 21
    if len(extradata) > at_length and extradata[0] == 1:  # avcC or hvcC: each unit follows its length
        width = (extradata[at_length] & 3) + 1
        at = 0
        while at + width < len(packet):
            length = int.from_bytes(packet[at : at + width], "big")
            if not length:  # zeros where a unit was: a damaged file
                return
            yield at + width
            at += width + length
        return
    at = packet.find(b"\0\0\1")  # Annex B: each unit follows a start code
    while at >= 0 and at + 3 < len(packet):
        yield at + 3
        at = packet.find(b"\0\0\1", at + 3)


def _recovery_frames(messages: bytes) -> int:
    """`recovery_frame_cnt` of a recovery point among SEI `messages` (H.264, D.2.8); -1 where there is none."""
    at = 0
    while at + 2 < len(messages):
        kind, at = _summed(messages, at)
        size, at = _summed(messages, at)
        if kind == _RECOVERY_POINT:
            return _exp_golomb(messages[at : at + 5])
        at += size
    return -1


def _summed(messages: bytes, at: int) -> tuple[int, int]:
    """A number coded as bytes of 255 and a last one, and the place behind it."""
    value = 0
    while at < len(messages):
        value += messages[at]
        at += 1
        if messages[at - 1] != 255:
            break
    return value, at


def _exp_golomb(coded: bytes) -> int:
    """The first ue(v) (H.264, 9.1) of `coded`; -1 if it does not end there."""
    bits = "".join(f"{byte:08b}" for byte in coded)
    zeros = bits.find("1")
    digits = bits[zeros : 2 * zeros + 1] if zeros >= 0 else ""
    return int(digits, 2) - 1 if len(digits) == zeros + 1 else -1
