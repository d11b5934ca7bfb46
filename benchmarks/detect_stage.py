"""The detect and crops stages over a 1080p clip, against their parts and against how it is usually done.

    ours         run_stages(…, CROPS): decode | preprocess | model | write, overlapped
    forwards     the bare model on tensors that are ready (a bound)
    decode       bare decoding to RGB (a bound)
    opencv loop  cv2.VideoCapture -> one frame -> model -> cv2.imwrite of each crop
    supervision  the same with supervision's frames generator

Every variant finds the same persons with the same weights. They run in turn, several rounds, and the medians
are printed, since a shared machine drifts. On a CPU the parts share the cores, so that the bound is their summed
CPU time divided by the number of cores; on a GPU it is the slower of forwards and decode.

    python benchmarks/detect_stage.py [--frames 60] [--rounds 3] [--device auto]
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import supervision
import torch

from detector.backends.torchvision import Predictor
from detector.config import DetectorConfig
from pipeline.boxes import pixel_window
from pipeline.chain.table import CROPS
from pipeline.config.models import FlightConfig
from pipeline.engine.progress import progress_bar
from pipeline.run.flight import run_stages
from pipeline.simulate import simulate_flight
from pipeline.video import open_video

CORES = len(os.sched_getaffinity(0))


def measure(work: Callable[[], int]) -> tuple[float, float]:
    """Wall seconds and CPU seconds of `work`, which gives the number of frames it handled."""
    wall, cpu = time.perf_counter(), time.process_time()
    frames = work()
    assert frames > 0
    return (time.perf_counter() - wall) / frames, (time.process_time() - cpu) / frames


def ours(video: Path, config: DetectorConfig) -> int:
    with tempfile.TemporaryDirectory() as folder:
        flight = FlightConfig(workspace=Path(folder), detector=config)
        return int(run_stages(flight, video, CROPS, progress_bar)[0].counts["frames"])


def forwards(predictor: Predictor, prepared: list) -> int:
    if predictor.device.type == "cpu":
        from pipeline.engine.threads import ordered_map

        return len(list(ordered_map(lambda one: predictor.predict([one]), prepared, predictor.workers, 4)))
    for first in range(0, len(prepared), predictor.batch_size):
        predictor.predict(prepared[first : first + predictor.batch_size])
    torch.cuda.synchronize()
    return len(prepared)


def decode(video: Path) -> int:
    return sum(1 for _ in open_video(video).read_all())


def usual_loop(images, predictor: Predictor, threshold: float) -> int:
    torch.set_num_threads(CORES)  # the usual loop has one forward at a time, spread over all cores
    alone = predictor.workers
    predictor.workers = 1
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, bgr in enumerate(images):
            (found,) = predictor.predict([predictor.preprocess(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))])
            for rank, box in enumerate(found.above(threshold).boxes):
                left, top, right, bottom = pixel_window(box, 0.05, bgr.shape[1], bgr.shape[0])
                cv2.imwrite(f"{folder}/{number}_{rank}.jpg", bgr[top:bottom, left:right])
            count += 1
    predictor.workers = alone
    return count


def opencv_frames(video: Path):
    capture = cv2.VideoCapture(str(video))
    while True:
        read, frame = capture.read()
        if not read:
            return
        yield frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    config = DetectorConfig(weights="embedded", device=arguments.device, threshold=0.5)
    predictor = Predictor.load(config)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "flight.mp4"
        simulate_flight(video, seconds=arguments.frames / 30, seed=5)
        prepared = [predictor.preprocess(frame.image) for frame in open_video(video).read_all()]
        variants: dict[str, Callable[[], int]] = {
            "ours": lambda: ours(video, config),
            "forwards": lambda: forwards(predictor, prepared),
            "decode": lambda: decode(video),
            "opencv loop": lambda: usual_loop(opencv_frames(video), predictor, config.threshold),
            "supervision": lambda: usual_loop(
                supervision.get_video_frames_generator(str(video)), predictor, config.threshold
            ),
        }
        forwards(predictor, prepared[:4])  # warm up
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
        for _ in range(arguments.rounds):
            for name, work in variants.items():
                runs[name].append(measure(work))
    report(runs, predictor)


def report(runs: dict[str, list[tuple[float, float]]], predictor: Predictor) -> None:
    wall = {name: statistics.median(one for one, _ in those) for name, those in runs.items()}
    cpu = {name: statistics.median(one for _, one in those) for name, those in runs.items()}
    if predictor.device.type == "cuda":
        bound = max(wall["forwards"], wall["decode"])
    else:
        bound = (cpu["forwards"] + cpu["decode"]) / CORES
    print(f"{predictor.device}, {CORES} cores, torch {torch.__version__}, medians of {len(runs['ours'])} rounds")
    print("| variant | ms a frame | frames/s | CPU ms a frame | ours takes |\n|---|---|---|---|---|")
    for name in runs:
        print(
            f"| {name} | {wall[name] * 1e3:.1f} | {1 / wall[name]:.1f} | {cpu[name] * 1e3:.1f} "
            f"| {wall['ours'] / wall[name]:.2f} × |"
        )
    print(f"| bound | {bound * 1e3:.1f} | {1 / bound:.1f} | | {wall['ours'] / bound:.2f} × |")


if __name__ == "__main__":
    main()
