"""Clean key frames of H.264 and HEVC: a fresh decoder may start there, as no later frame refers back over them."""

from collections.abc import Iterator

_IDR = 5
_SLICES_H264 = range(1, 6)
_SLICES_HEVC = range(32)
_IRAP_HEVC = range(16, 22)


def is_clean_key(codec: str, extradata: bytes | None, packet: bytes) -> bool:
    """Whether a decoder that starts with the key packet `packet` makes all frames presented from it on.

    H.264 marks open-GOP and intra-refresh entry points as key frames too; only IDR pictures reset the decoder.
    HEVC's IRAP pictures all do; what they lead is presented before them. Key frames of other codecs do.
    """
    if codec not in ("h264", "hevc"):
        return True
    first_slice = next(_slice_types(codec, extradata or b"", packet), None)
    return first_slice == _IDR if codec == "h264" else first_slice in _IRAP_HEVC


def _slice_types(codec: str, extradata: bytes, packet: bytes) -> Iterator[int]:
    slices = _SLICES_H264 if codec == "h264" else _SLICES_HEVC
    for start in _unit_starts(codec, extradata, packet):
        kind = packet[start] & 31 if codec == "h264" else packet[start] >> 1 & 63
        if kind in slices:
            yield kind


def _unit_starts(codec: str, extradata: bytes, packet: bytes) -> Iterator[int]:
    at_length = 4 if codec == "h264" else 21
    if len(extradata) > at_length and extradata[0] == 1:  # avcC or hvcC: each unit follows its length
        width = (extradata[at_length] & 3) + 1
        at = 0
        while at + width < len(packet):
            yield at + width
            at += width + int.from_bytes(packet[at : at + width], "big")
        return
    at = packet.find(b"\0\0\1")  # Annex B: each unit follows a start code
    while at >= 0 and at + 3 < len(packet):
        yield at + 3
        at = packet.find(b"\0\0\1", at + 3)
