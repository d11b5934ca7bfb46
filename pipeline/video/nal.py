"""Whether a decoder may begin at a key packet, from the packet's own NAL units (H.264, HEVC)."""

from collections.abc import Iterator
from typing import Any

_H264_IDR = 5
_HEVC_IRAP = range(16, 22)  # BLA, IDR, CRA: pictures that only leading ones precede in output need nothing before


def stands_alone(codec: str, extradata: bytes, packet: Any) -> bool:
    """Whether the pictures shown from `packet` (a key packet) on can be decoded without what came before.

    H.264 also calls pictures "key" from which an intra refresh only starts; those do not count. In other codecs
    every key packet stands alone.
    """
    if codec not in ("h264", "hevc"):
        return True
    units = _units(bytes(packet), extradata, hevc=codec == "hevc")
    if codec == "h264":
        return any(unit & 0x1F == _H264_IDR for unit in units)
    return any(unit >> 1 & 0x3F in _HEVC_IRAP for unit in units)


def _units(data: bytes, extradata: bytes, *, hevc: bool) -> Iterator[int]:
    """The first byte of each NAL unit in `data`."""
    if extradata[:1] == b"\x01":  # avcC, hvcC: each unit behind its length
        place = 21 if hevc else 4
        width = (extradata[place] & 3) + 1 if len(extradata) > place else 4
        start = 0
        while start + width < len(data):
            yield data[start + width]
            start += width + int.from_bytes(data[start : start + width], "big")
    else:  # Annex B: each unit behind a start code
        start = data.find(b"\x00\x00\x01")
        while 0 <= start < len(data) - 3:
            yield data[start + 3]
            start = data.find(b"\x00\x00\x01", start + 3)
