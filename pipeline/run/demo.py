"""The demo: two simulated flights over the same people, and a configuration that takes them through the chain."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import yaml

from detector.config import DetectorConfig
from pipeline.config.models import CameraConfig, DatasetConfig, FlightConfig, NamedVideo, ReidConfig, ThinConfig
from pipeline.engine.progress import Progress
from pipeline.simulate import simulate_flight
from pipeline.workspace.atomic import atomic_file
from reid.training.recipes import read_recipe

_CAST, _FLIGHTS = 20_000, (20_001, 20_002)  # seeds that no training flight had: the detector never saw these people
_FOV_DEG = 65.0
# Of the first flight; the next one follows 20 minutes later. Without times a report could not order the sightings.
_START, _APART = datetime(2024, 6, 15, 10, tzinfo=timezone(timedelta(hours=2))), timedelta(minutes=20)


def simulate_flights(folder: Path, people: int, seconds: float, progress: Progress) -> tuple[Path, ...]:
    """Two flights over the same people, each with its ground truth beside it; kept where they are there already."""
    videos = []
    for number, seed in enumerate(_FLIGHTS, 1):
        video = folder / f"flight{number:02d}.mp4"
        if not (video.exists() and truth_of(video).exists()):
            with progress(f"simulating {video.name}", round(seconds * 30)) as advance:
                simulate_flight(
                    video,
                    people=people,
                    seconds=seconds,
                    seed=seed,
                    cast_seed=_CAST,
                    altitude=20,
                    fov_deg=_FOV_DEG,
                    progress=advance,
                )
        videos.append(video)
    return tuple(videos)


def truth_of(video: Path) -> Path:
    """Where the simulator wrote the ground truth of `video`."""
    return video.with_suffix(".gt.txt")


def demo_config(folder: Path, videos: tuple[Path, ...], iterations: int) -> FlightConfig:
    """The demo's configuration; its recipe, a short `finetune`, is written to `folder`.

    Args:
        folder: of the demo.
        videos: see `simulate_flights`.
        iterations: of the training.

    """
    recipe = folder / "finetune.yaml"
    short = read_recipe("finetune", iterations=iterations, decay_from=iterations // 2)
    with atomic_file(recipe) as temporary:
        temporary.write_text(yaml.safe_dump(short.model_dump(mode="json"), sort_keys=False), "utf-8")
    return FlightConfig(
        videos=tuple(NamedVideo(path=video, start=_START + n * _APART) for n, video in enumerate(videos)),
        workspace=folder / "runs",
        camera=CameraConfig(fov_deg=_FOV_DEG),
        detector=DetectorConfig(weights="embedded", threshold=0.6),
        dataset=DatasetConfig(thin=ThinConfig(frames=3)),
        reid=ReidConfig(recipe=recipe),
    )
