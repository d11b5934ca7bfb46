"""The chain up to the tracklets in one pass over a video, against its detect stage alone.

    whole flight  uavpipe run VIDEO --until tracks: decode once | model | detections, crops, motion, looks | link
    detect alone  uavpipe detect VIDEO
    forwards      the bare model on tensors that are ready, as many at once as the stage lets run (a bound)
    decode        bare decoding to RGB (a bound)

The commands are timed as one types them, start and loading of the model included; CPU time is of the whole
process. All run in turn, several rounds, and the medians are printed, since a shared machine drifts.

    python benchmarks/whole_flight.py [VIDEO] [--rounds 3] [--set detector.backend=openvino]
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from detector.backends.load import load_predictor
from pipeline.config.models import load_config
from pipeline.engine.threads import ordered_map
from pipeline.simulate import simulate_flight
from pipeline.video import Video, open_video

_SAMPLE = 32  # frames whose forwards are timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path, nargs="?", help="default: a simulated flight, 4 s of 1080p")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", dest="settings", action="append", default=[], help="as of uavpipe")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = given.video or Path(folder) / "flight.mp4"
        if not given.video:
            simulate_flight(video, seconds=4, seed=5)
        settings = ["detector.weights=embedded", *given.settings]
        report(measure(variants(video, settings), given.rounds), open_video(video))


def variants(video: Path, settings: Sequence[str]) -> dict[str, Callable[[], int]]:
    """What is timed; each gives the number of frames it handled."""
    frames = open_video(video).frame_count
    detector = load_predictor(load_config(None, settings).detector)
    some = islice(open_video(video).read_all(), _SAMPLE)
    prepared = [detector.preprocess(frame.image) for frame in some]
    size = detector.batch_size
    batches = [prepared[start : start + size] for start in range(0, len(prepared), size)]

    def forwards() -> int:
        workers = detector.workers
        return sum(len(found) for found in ordered_map(detector.predict, batches, workers, workers))

    def command(*words: str) -> int:
        with tempfile.TemporaryDirectory() as workspace:
            words = (*words, str(video), "--workspace", workspace)
            asked = [word for setting in settings for word in ("--set", setting)]
            subprocess.run([sys.executable, "-m", "pipeline", *words, *asked], check=True, capture_output=True)
        return frames

    return {
        "whole flight": lambda: command("run", "--until", "tracks"),
        "detect alone": lambda: command("detect"),
        "forwards": forwards,
        "decode": lambda: sum(1 for _ in open_video(video).read_all()),
    }


def measure(works: dict[str, Callable[[], int]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Wall and CPU seconds a frame of each, in turn."""
    works["forwards"]()  # warm up
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            wall, cpu = time.perf_counter(), cpu_seconds()
            frames = work()
            runs[name].append(((time.perf_counter() - wall) / frames, (cpu_seconds() - cpu) / frames))
            print(f"{name}: {runs[name][-1][0] * 1e3:.1f} ms a frame", file=sys.stderr)
    return runs


def cpu_seconds() -> float:
    """Of this process and the commands it ran."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def report(runs: dict[str, list[tuple[float, float]]], video: Video) -> None:
    wall, cpu = (
        {name: statistics.median(pair[which] for pair in those) for name, those in runs.items()} for which in (0, 1)
    )
    pairs = list(zip(runs["whole flight"], runs["detect alone"], strict=True))
    print(f"{video.frame_count} frames, {len(os.sched_getaffinity(0))} cores, {len(pairs)} rounds")
    print("| | ms a frame | CPU ms a frame |\n|---|---|---|")
    for name in runs:
        print(f"| {name} | {wall[name] * 1e3:.1f} | {cpu[name] * 1e3:.1f} |")
    for which, what in enumerate(("time", "CPU time")):
        ratios = [whole[which] / alone[which] for whole, alone in pairs]
        rounds = ", ".join(f"{ratio:.3f}" for ratio in ratios)
        print(f"{what}, whole flight ÷ detect alone: {statistics.median(ratios):.3f} (by round {rounds})")


if __name__ == "__main__":
    main()
