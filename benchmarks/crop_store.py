"""The stage `crops` with a file for each crop against a tar file for each segment (`crops.store`).

python benchmarks/crop_store.py --frames 256 --boxes 20 --rounds 3

A made-up video and made-up boxes, so that nothing but decoding, cutting and writing is measured.
"""

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

from annotate.exchange.admit import Reading
from detector.config import DetectorConfig
from pipeline.chain.table import CROPS, FRAMES
from pipeline.config.models import CropsConfig, FlightConfig
from pipeline.engine.progress import progress_bar
from pipeline.run.flight import run_stages
from pipeline.run.import_detections import import_detections
from pipeline.stages.crop_store import read_picture
from pipeline.workspace.tables import read_table

_WIDTH, _HEIGHT, _FPS = 1280, 720, 30
_BOX = 32, 80  # width and height, px


def fly(video: Path, frames: int) -> None:
    """Write a pan over blurred noise."""
    ground = cv2.resize(np.random.default_rng(0).integers(0, 256, (180, 400, 3), np.uint8), (3200, 1440))
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=_FPS, options={"g": "64", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        for number in range(frames):
            left = number * 2 % (3200 - _WIDTH)
            image = np.ascontiguousarray(ground[300 : 300 + _HEIGHT, left : left + _WIDTH])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())


def detect(table: Path, frames: int, boxes: int) -> None:
    """Write `boxes` detections for each frame."""
    rng = np.random.default_rng(1)
    rows = ["frame,x1,y1,x2,y2,score"]
    for frame in range(frames):
        for x, y in rng.uniform((0, 0), (_WIDTH - _BOX[0], _HEIGHT - _BOX[1]), (boxes, 2)):
            rows.append(f"{frame},{x:.1f},{y:.1f},{x + _BOX[0]:.1f},{y + _BOX[1]:.1f},0.9")
    table.write_text("\n".join(rows))


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of `work`."""
    before, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - wall, cpu


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=256)
    parser.add_argument("--boxes", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="on the file system to measure; default: the temporary folder")
    given = parser.parse_args()
    stores = ("files", "tar")
    took: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        video, boxes = folder / "flight.mp4", folder / "boxes.csv"
        fly(video, given.frames)
        detect(boxes, given.frames, given.boxes)
        configs = {
            store: FlightConfig(
                workspace=folder / store,
                detector=DetectorConfig(weights="embedded"),
                crops=CropsConfig(store=store),
            )
            for store in stores
        }
        for config in configs.values():
            import_detections(config, video, boxes, Reading(), progress_bar)
            run_stages(config, video, FRAMES, progress_bar)
        for turn in range(given.rounds):
            for store in stores if turn % 2 else stores[::-1]:
                stage = folder / store / "flight" / CROPS.folder
                shutil.rmtree(stage, ignore_errors=True)
                cut = measured(lambda config=configs[store]: run_stages(config, video, CROPS, progress_bar))
                paths = [stage / crop for crop in read_table(stage / CROPS.file)["crop"]]
                np.random.default_rng(turn).shuffle(paths)
                read = measured(lambda paths=paths: [read_picture(path) for path in paths])
                took.setdefault((store, "cut"), []).append(cut)
                took.setdefault((store, "read"), []).append(read)
        for store in stores:
            stage = folder / store / "flight" / CROPS.folder
            files = [path for path in stage.rglob("*") if path.is_file()]
            print(f"{store}: {len(read_table(stage / CROPS.file)):,} crops in {len(files):,} files")
            for what in ("cut", "read"):
                wall, cpu = (statistics.median(each[at] for each in took[store, what]) for at in (0, 1))
                print(f"  {what}: {wall:.2f} s, {cpu:.2f} s of CPU")


if __name__ == "__main__":
    main()
