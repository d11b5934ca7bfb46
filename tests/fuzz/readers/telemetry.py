"""Readers of `pipeline.telemetry`: subtitles beside a video and within it, tables, and terrain models."""

from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pandas as pd

from pipeline.telemetry import find_telemetry
from pipeline.telemetry.terrain import read_ground, remember_terrain
from pipeline.telemetry.wall_clock import find_wall_clock
from tests.fuzz.readers.reader import IMAGE, Reader, together, written
from tests.pipeline.video.samples import write_video

_WORDS = (
    "FrameCnt: 1, DiffTime: 33ms [latitude: 47.12345678] [longitude: -8.2] [rel_alt: 30.100 abs_alt: 530.1] "
    "[gb_yaw: 12.00 gb_pitch: -45.00 gb_roll: 0.00]",
    "2024-09-17 14:30:00.250 GPS(8.2,47.1,19) BAROMETER:30.1",
    "F/2.8, SS 206, ISO 100, EV 0, GPS (8.2, 47.1, 19), D 24.2m, H 30.1m, H.S 0.0m/s, V.S 0.0m/s",
)
_SRT = "".join(
    f"{second}\n00:00:0{second},000 --> 00:00:0{second + 1},000\n{words}\n\n" for second, words in enumerate(_WORDS)
)
_CSV = "time,altitude,latitude,longitude,heading,pitch\n0,30.1,47.1,8.2,359,-45\n1.5,31,,,1,\n"


def _ask(setting: str | Path, video: Path) -> None:
    source = find_telemetry(setting, video)
    assert source is not None
    source.fingerprint()
    source.telemetry.at(0.5)


def _date(video: Path) -> None:
    find_wall_clock(video)


def _film_with_subtitles(folder: Path) -> None:
    film, words = write_video(folder / "film.mp4", 4, (32, 32)), folder / "words.srt"
    words.write_text(_SRT)
    with av.open(str(film)) as source, av.open(str(words)) as text, av.open(str(folder / "v.mkv"), "w") as sink:
        inputs = (source.streams.video[0], text.streams.subtitles[0])
        outputs = [sink.add_stream_from_template(stream) for stream in inputs]
        for stream, output in zip(inputs, outputs, strict=True):
            for packet in stream.container.demux(stream):
                if packet.dts is not None:
                    packet.stream = output
                    sink.mux(packet)


def _beside(name: str, text: str) -> Reader:
    """As a file that the user names, and as one that happens to lie beside the video."""
    sample = together(written(name, text), written("a/1.jpg", IMAGE))

    def read(folder: Path) -> None:
        _ask("auto", folder / "a")
        _ask(folder / name, folder / "a")
        find_wall_clock(folder / "a")

    return Reader(name, sample, read)


def _hills(folder: Path) -> None:
    """A terrain model of 8 x 8 cells, and a flight that remembers it."""
    import rasterio

    options = {"driver": "GTiff", "dtype": "float32", "crs": "EPSG:4326", "count": 1, "height": 8, "width": 8}
    place = rasterio.Affine(0.001, 0, 8.196, 0, -0.001, 47.104)
    with rasterio.open(folder / "dem.tif", "w", transform=place, **options) as file:
        file.write(np.arange(64, dtype=np.float32).reshape(1, 8, 8))
    (folder / "f").mkdir()
    remember_terrain(folder / "f", folder / "dem.tif")


def _ground(folder: Path) -> None:
    read_ground(folder / "f", pd.DataFrame({"pts_s": [0.0], "latitude": 47.1, "longitude": 8.2}))


_TERRAIN = {"terrain model": Reader("dem.tif", _hills, _ground)}
TELEMETRY: dict[str, Reader] = {
    "telemetry, subtitles": _beside("a.SRT", _SRT),
    "telemetry, table": _beside("a.csv", _CSV),
    "telemetry within a video": Reader(
        "v.mkv", _film_with_subtitles, lambda folder: _ask("auto", folder / "v.mkv")
    ),
    "wall clock of a video": Reader("v.mkv", _film_with_subtitles, lambda folder: _date(folder / "v.mkv")),
} | (_TERRAIN if find_spec("rasterio") else {})
