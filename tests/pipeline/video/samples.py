"""Makers of small video files for the tests: same arguments, same bytes."""

import os
import random
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def picture(index: int, width: int, height: int) -> NDArray[np.uint8]:
    """uint8 (height, width, 3) RGB: moving waves with noise, so that no frame equals another."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [
        np.sin((x + 3 * index) / 17),
        np.cos((y + 2 * index) / 11),
        np.sin((x + y - 4 * index) / 23),
    ]
    noise = np.random.default_rng(index % 5).normal(0, 9, (height, width, 3))
    return np.clip(128 + 90 * np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)


def write_video(
    path: Path,
    frames: int = 60,
    size: tuple[int, int] = (160, 90),
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pixel_format: str = "yuv420p",
    rate: int = 25,
    times: Sequence[Fraction] | None = None,
    time_base: Fraction | None = None,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    flags: int = 0,
) -> Path:
    """Encode `frames` pictures of `size` (width, height) to `path`, at `times` (seconds) or at `rate`.

    `flags` are FFmpeg's AV_CODEC_FLAG_*, for example `interlaced_dct`.
    """
    width, height = size
    base = time_base or Fraction(1, rate)
    options_of_container = container_options or {}
    with (
        _kept_priority(),
        av.open(str(path), "w", format=container, container_options=options_of_container) as output,
    ):
        stream = output.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.options = {"threads": "1", **(options or {})}
        stream.codec_context.time_base = base
        stream.codec_context.flags |= flags
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index, width, height), format="rgb24")
            frame.time_base = base
            frame.pts = round(times[index] / base) if times else index
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


@contextmanager
def _kept_priority() -> Iterator[None]:
    """Root's process that encodes with SVT-AV1 becomes one of real time, before which all others wait: not ours."""
    if not hasattr(os, "sched_setscheduler"):  # macOS, Windows
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def packet_ranges(path: Path) -> list[tuple[int, int, int]]:
    """(index of the frame, first byte, byte behind the last) of every packet, in the order of the file."""
    with av.open(str(path)) as container:
        packets = [(p.pts, p.pos, p.size) for p in container.demux(video=0) if p.size]
    rank = {pts: index for index, pts in enumerate(sorted(pts for pts, _, _ in packets))}
    return [(rank[pts], pos, pos + size) for pts, pos, size in packets]


def plain_decode(path: Path) -> list[NDArray[np.uint8]]:
    """Every frame as PyAV gives it: uint8 (H, W, 3) RGB; HD without a tag by BT.709."""
    images = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.colorspace == 2 and frame.height >= 720:
                frame.colorspace = 1
            images.append(frame.to_ndarray(format="rgb24"))
    return images


def write_rotated(source: Path, target: Path, degrees: int) -> Path:
    """Copy the mp4 `source` with a display matrix that asks for a turn of `degrees` clockwise."""
    a, b, c, d = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    data = bytearray(source.read_bytes())
    matrix = data.find(b"tkhd") + 44  # behind version, flags, times, track, duration, layer and volume
    data[matrix : matrix + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    target.write_bytes(data)
    return target


def write_holes(source: Path, target: Path, holes: Sequence[tuple[int, int]], seed: int | None) -> Path:
    """Copy `source` with the bytes of each (start, stop) of `holes` overwritten: by noise, or by zeros for None."""
    data = bytearray(source.read_bytes())
    noise = random.Random(seed)
    for start, stop in holes:
        data[start:stop] = bytes(stop - start) if seed is None else noise.randbytes(stop - start)
    target.write_bytes(data)
    return target
