"""Frames that may be wrong though their own packets are not: those predicted from damaged or lost ones."""

from collections.abc import Mapping

from pipeline.video.scan import Packets
from pipeline.video.table import FrameTable


def frames_in_doubt(
    packets: Packets, table: FrameTable, bad: Mapping[int, str], span: tuple[int, int]
) -> dict[int, str]:
    """Index of each frame that is in doubt, with the reason.

    Whatever follows a bad packet in the order of decoding is in doubt, up to the next picture at which a decoder
    may begin afresh; what that picture leads (is presented before it) still is. A bad packet to whose picture
    no other refers puts only itself in doubt.

    Args:
        packets: of the stream.
        table: its frames.
        bad: by rank of the packet, what is wrong there; or by index of the frame, where `table` knows no packets.
        span: the first rank, and the rank behind the last, of the packets of one decoder run.

    """
    if not bad:
        return {}
    if table.packet is None:
        return _in_order(table, bad)
    index_of = {int(rank): index for index, rank in enumerate(table.packet) if span[0] <= rank < span[1]}
    found: dict[int, str] = {}
    doubt, led, led_until = "", "", 0  # what is wrong now, and with the pictures presented before a fresh start
    references, right_at = 0, -1  # reference pictures so far, and those after which a refresh is complete
    for rank in range(*span):
        entry, disposable = int(packets.entry[rank]), bool(packets.disposable[rank])
        if doubt and entry >= 0 and right_at < 0:
            right_at = references + entry
        if doubt and 0 <= right_at <= references:
            doubt, led, led_until = "", doubt, int(packets.pts[rank])
        if rank in bad:
            what = f"damaged, or follows damage: {bad[rank]}"
            if not disposable:
                doubt, right_at = what, -1
        elif doubt:
            what = doubt
        else:
            what = led if packets.pts[rank] < led_until else ""
        if what and rank in index_of:
            found[index_of[rank]] = what
        references += not disposable
    return found


def _in_order(table: FrameTable, bad: Mapping[int, str]) -> dict[int, str]:
    """The frames from each bad one to the next key frame."""
    found: dict[int, str] = {}
    doubt = ""
    for index in range(min(bad), len(table)):
        if index in bad:
            doubt = bad[index]
        elif table.key[index]:
            doubt = ""
        if doubt:
            found[index] = f"damaged, or follows damage: {doubt}"
    return found
