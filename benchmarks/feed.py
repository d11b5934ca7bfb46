"""Frames/s that the pass gives a fast detector, and where the CPU time goes: what a GPU would wait for.

The detector is emulated: it sleeps 4 ms a frame, as a thread does that waits for a GPU, and answers with the same
38 boxes, 20 of them from the threshold up. All else is the real pass of `uavpipe tracks` up to the tables.

    python benchmarks/feed.py [VIDEO] [--rounds 5] [--cores 2] [--resize bilinear] [--repository OTHER_CHECKOUT]
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

BOXES, CROPS = 38, 20
SIZE = (1920, 1080)
Pass = dict[str, Any]


class Emulated:
    """A detector that takes a GPU's time and no CPU but that of its preprocessing."""

    batch_size, workers, runtime = 16, 1, "emulated"

    def __init__(self, resize: str, seconds: float) -> None:
        from detector.backends.images import scaled
        from detector.config import Resize
        from detector.models.presets import ARCHITECTURES
        from detector.records import Detections

        detectron2 = Resize(short_side=800, max_side=1333, filter="bilinear")
        rule = detectron2 if resize == "bilinear" else ARCHITECTURES["small"].resize
        self._scaled, self._rule, self._seconds = scaled, rule, seconds
        rng = np.random.default_rng(5)
        tall = rng.uniform(50, 110, BOXES)
        left, top = rng.uniform(0, SIZE[0] - 60, BOXES), rng.uniform(0, SIZE[1] - 110, BOXES)
        boxes = np.stack([left, top, left + 0.45 * tall, top + tall], axis=1).astype(np.float32)
        scores = np.linspace(0.99, 0.8, CROPS).tolist() + np.linspace(0.7, 0.2, BOXES - CROPS).tolist()
        self._found = Detections(boxes, np.array(scores, np.float32))

    def preprocess(self, image: Any) -> Any:
        """As an imported detectron2 checkpoint's, or the small preset's."""
        return self._scaled(image, self._rule)

    def predict(self, batch: Sequence[Any]) -> list[Any]:
        """The same boxes each time, when a GPU would have them."""
        time.sleep(self._seconds * len(batch))
        return [self._found] * len(batch)


def enlarge(source: Path, path: Path, frames: int) -> None:
    """Write up to `frames` frames of `source`, again from its begin where it is shorter, as 1080p."""
    with av.open(str(path), "w") as sink:
        stream = sink.add_stream("libx264", rate=30, options={"preset": "veryfast", "g": "60", "b": "8M"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        count = 0
        while count < frames:
            with av.open(str(source)) as container:
                for frame in container.decode(video=0):
                    if count < frames:
                        picture = frame.reformat(*SIZE, format="yuv420p")
                        picture.pts, picture.time_base = count, Fraction(1, 30)
                        sink.mux(stream.encode(picture))
                        count += 1
        sink.mux(stream.encode())


def one_pass(video: Path, resize: str, seconds: float, settings: Sequence[str]) -> Pass:
    """Wall and CPU seconds of one pass in this process, in all and by step."""
    import trackers  # noqa: F401 - a second, which is none of the pass

    from pipeline.chain.table import TRACKS
    from pipeline.config.models import load_config
    from pipeline.run import flight
    from pipeline.stages.appearance import AppearanceStage
    from pipeline.stages.crops import CropsStage
    from pipeline.stages.detect import DetectStage
    from pipeline.stages.frames import FramesStage
    from pipeline.stages.motion import MotionStage
    from pipeline.video.pixels import Upright

    spent: Counter[str] = Counter()
    lock = threading.Lock()

    def timed(owner: Any, method: str, step: str) -> None:
        plain = getattr(owner, method)

        def call(*arguments: Any) -> Any:
            began = time.thread_time()
            try:
                return plain(*arguments)
            finally:
                with lock:
                    spent[step] += time.thread_time() - began

        setattr(owner, method, call)

    for stage in (FramesStage, DetectStage, CropsStage, MotionStage, AppearanceStage):
        for method in ("add", "finish"):
            timed(stage.writer, method, f"{stage.__name__.removesuffix('Stage').lower()}")
    timed(Upright, "image", "to RGB")
    timed(Emulated, "preprocess", "preprocess")
    detector = Emulated(resize, seconds)
    with tempfile.TemporaryDirectory() as workspace:
        config = load_config(None, [f"workspace={workspace}", "detector.weights=embedded", *settings])
        began, cpu = time.perf_counter(), time.process_time()
        results = flight.run_segment_stages(config, video, TRACKS, _no_bar, load=lambda *_: detector)
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    frames = results[0].counts["frames"]
    spent["decoder, OpenCV's own threads, the rest"] = cpu - sum(spent.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"frames": frames, "wall": wall, "cpu": cpu, "spent": dict(spent), "peak": peak}


@contextmanager
def _no_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    yield lambda count: None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path, nargs="?", help="default: a simulated flight")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--resize", choices=("small", "bilinear"), default="small", help="bilinear: as detectron2")
    parser.add_argument("--ms", type=float, default=4.0, help="of the emulated model for a frame")
    parser.add_argument("--repository", type=Path, action="append", default=[], help="also measure this checkout")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--set", dest="settings", action="append", default=[], help="as of uavpipe")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(one_pass(given.video, given.resize, given.ms / 1e3, given.settings)))
        return
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "flight.mp4"
        source = given.video
        if source is None:
            from pipeline.simulate import simulate_flight

            source = Path(folder) / "simulated.mp4"
            simulate_flight(source, seconds=4, seed=5)
        enlarge(source, video, given.frames)
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.cores])
        here = Path(__file__).parents[1]
        runs = measure(video, [*given.repository, here], given)
    for repository, those in runs.items():
        report(repository, those)


def measure(video: Path, repositories: Sequence[Path], given: argparse.Namespace) -> dict[Path, list[Pass]]:
    """The passes of each checkout, in turn, each in a process of its own."""
    runs: dict[Path, list[Pass]] = {repository: [] for repository in repositories}
    for _ in range(given.rounds):
        for repository in repositories:
            command = [sys.executable, __file__, str(video), "--once"]
            command += ["--resize", given.resize, "--ms", str(given.ms)]
            command += [word for setting in given.settings for word in ("--set", setting)]
            environment = {**os.environ, "PYTHONPATH": str(repository.resolve())}
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            runs[repository].append(json.loads(done.stdout))
            last = runs[repository][-1]
            print(f"{repository}: {last['frames'] / last['wall']:.1f} frames/s", file=sys.stderr)
    return runs


def report(repository: Path, runs: Sequence[Pass]) -> None:
    """Print the medians of `runs`."""
    print(f"\n{repository}: {len(runs)} rounds of {runs[0]['frames']} frames, medians")
    print("| | |\n|---|---|")
    for name, value in _rows(runs):
        print(f"| {name} | {value:.1f} |")


def _rows(runs: Sequence[Pass]) -> Iterator[tuple[str, float]]:
    frames = runs[0]["frames"]
    yield "frames/s", statistics.median(frames / run["wall"] for run in runs)
    yield "CPU ms a frame", statistics.median(run["cpu"] / frames * 1e3 for run in runs)
    yield "peak memory, MiB", statistics.median(run["peak"] for run in runs)
    for step in runs[0]["spent"]:
        yield (
            f"CPU ms a frame: {step}",
            statistics.median(run["spent"].get(step, 0.0) / frames * 1e3 for run in runs),
        )


if __name__ == "__main__":
    main()
