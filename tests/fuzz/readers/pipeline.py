"""Readers of `pipeline`: configurations and recipes, ground truth, videos."""

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from detector.config import TrainConfig as DetectorRecipe
from detector.training.recipes import recipe_file as detector_recipe
from pipeline.config.flights import require_flights
from pipeline.config.models import FlightConfig, load_config
from pipeline.config.yaml import apply_settings, parse_yaml, read_yaml_mapping, validate
from pipeline.groundtruth.read import read_truth
from pipeline.telemetry import find_telemetry
from pipeline.video import open_video
from reid.config import TrainConfig as ReidRecipe
from reid.training.recipes import recipe_file as reid_recipe
from reid.training.table1 import Table1Config
from tests.fuzz.readers.detector import VID
from tests.fuzz.readers.reader import IMAGE, Reader, reads, together, written
from tests.pipeline.video.samples import write_video

_CONFIG = """\
videos: [a.mp4, 'b.mp4']
workspace: runs
detector: {threshold: 0.6, resize: {width: 320, height: 320}, weights: auto}
crops:
  every: 5
  padding: 0.1
tracks: {method: botsort, split_below: null}
"""
_RUN = """\
video: a
telemetry: a.SRT
camera: {fov_deg: 73.7, pitch_deg: -45}
crops: {person_m: [1.0, 2.4]}
dataset: {protocol: tracklet, thin: {frames: 5}}
reid: {recipe: drone.yaml}
"""


def _setting(path: Path) -> None:
    content = parse_yaml(path.read_text("utf-8", errors="replace"), str(path))
    if isinstance(content, dict):
        validate(content, FlightConfig, str(path))


def _run(folder: Path) -> None:
    """What `uavpipe run` reads before it opens a video."""
    config = load_config(folder / "c.yaml")
    named = [*config.flights, *([config.telemetry] if isinstance(config.telemetry, Path) else [])]
    if config.flights and all(path.is_relative_to(folder) for path in named):  # others are not ours to read
        for video in require_flights(config):
            source = find_telemetry(config.telemetry, video)
            if source is not None:
                _ = source.telemetry


def _recipe(model: type[BaseModel]) -> Callable[[Path], object]:
    return lambda path: validate(apply_settings(read_yaml_mapping(path), ()), model, str(path))


def _decode(path: Path) -> None:
    video = open_video(path, segment_frames=4, threads=1)
    for segment in video.segments:
        for _ in video.read(segment, []):
            pass


PIPELINE: dict[str, Reader] = {
    "configuration": reads(load_config, "c.yaml", _CONFIG),
    "run's configuration": Reader(
        "c.yaml",
        together(
            written("c.yaml", _RUN),
            written("a.SRT", "1\n00:00:00,000 --> 00:00:01,000\n[rel_alt: 30.100]\n"),
            written("a/1.jpg", IMAGE),
        ),
        _run,
    ),
    "setting": reads(_setting, "s", "detector: {floor: 0.1}"),
    "recipe of a detector": reads(_recipe(DetectorRecipe), "r.yaml", detector_recipe(Path("small")).read_bytes()),
    "recipe of a re-id network": reads(_recipe(ReidRecipe), "r.yaml", reid_recipe(Path("drone")).read_bytes()),
    "recipe of Table 1": reads(_recipe(Table1Config), "r.yaml", reid_recipe(Path("table1")).read_bytes()),
    "truth, MOTChallenge": reads(read_truth, "t.txt", "1,1,10,20,30,40,1,1,0.9\n2,1,10,20,30,40,1,1,1\n"),
    "truth, VisDrone": reads(read_truth, "t.txt", VID),
    "truth, one target": reads(read_truth, "t.txt", "10,20,30,40\nNaN,NaN,NaN,NaN\n"),
    "video": Reader(
        "v.mp4", lambda folder: write_video(folder / "v.mp4", 8, (32, 32)), lambda folder: _decode(folder / "v.mp4")
    ),
    "folder of images": Reader(
        "v/1.jpg",
        together(written("v/1.jpg", IMAGE), written("v/2.jpg", IMAGE)),
        lambda folder: _decode(folder / "v"),
    ),
}
