"""What workers gain: shards and Ray against one process, by a detector that only takes time.

The detector is emulated: it sleeps 7 ms a frame, as a process does that waits for its GPU, so that a machine with a
few cores shows what several GPUs would. Stages `frames` and `detect` of two clips are filled and finished. Not
measured are what a run pays once: the start and the end of the interpreters, the connection to the cluster, and, on
Ray, the import of uavpipe in each worker, for which a short clip is filled before.

    python benchmarks/scaling.py [--rounds 5] [--frames 1024] [--workers 1 2 4]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

ROOT = Path(__file__).parents[1]
SIZE, SEGMENT, MS = (640, 360), 128, 7


class Emulated:
    """A detector that takes a GPU's time, and answers with one box."""

    batch_size, workers, runtime = 4, 1, "emulated"

    def __init__(self) -> None:
        from detector.records import Detections

        self._found = Detections(np.array([[20, 20, 50, 90]], np.float32), np.ones(1, np.float32))

    def preprocess(self, image: Any) -> Any:
        """Nothing."""
        return image

    def predict(self, batch: Any) -> list[Any]:
        """One box an image, after the time."""
        time.sleep(MS / 1000 * len(batch))
        return [self._found] * len(batch)


def load(config: Any, source: Any) -> Emulated:
    """As `load_detector`."""
    return Emulated()


def write_clip(path: Path, frames: int) -> None:
    """A picture that moves, with a key frame where a segment begins."""
    ground = cv2.resize(np.random.default_rng(frames).integers(0, 256, (30, 50, 3), np.uint8), (3000, 600))
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "x264-params": f"keyint={SEGMENT}:min-keyint={SEGMENT}:scenecut=0"}
        stream = container.add_stream("libx264", rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(frames):
            left = number % 2000
            picture = np.ascontiguousarray(ground[: SIZE[1], left : left + SIZE[0]])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def config_of(workspace: Path, clips: list[Path], **engine: Any) -> Any:
    """The configuration of all runs."""
    from pipeline.config.models import EngineConfig, FlightConfig, FramesConfig

    return FlightConfig(
        workspace=workspace,
        videos=[str(clip) for clip in clips],
        frames=FramesConfig(segment_frames=SEGMENT),
        detector={"weights": "embedded"},
        engine=EngineConfig(**engine),
    )


def local(workspace: Path, clips: list[Path]) -> float:
    """Seconds of an ordinary run."""
    from pipeline.chain.table import DETECT
    from pipeline.engine.progress import progress_bar
    from pipeline.run.flight import run_segment_stages

    config = config_of(workspace, clips)
    began = time.perf_counter()
    for clip in clips:
        run_segment_stages(config, clip, DETECT, progress_bar, load)
    return time.perf_counter() - began


def shards(workspace: Path, clips: list[Path], count: int) -> float:
    """Seconds of `count` shards at once, and of the run that finishes."""
    command = [sys.executable, __file__, "--workspace", str(workspace), "--clips", *map(str, clips), "--shard"]
    running = [
        subprocess.Popen(
            [*command, f"{number}/{count}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        for number in range(1, count + 1)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()  # it has imported all
    began = time.perf_counter()
    for process in running:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()  # it has filled its segments
    filled = time.perf_counter() - began
    for process in running:
        process.wait()
    assert not any(process.returncode for process in running)
    return filled + local(workspace, clips)


def be_shard(workspace: Path, clips: list[Path], text: str) -> None:
    """A process of `shards`."""
    from pipeline.chain.table import DETECT
    from pipeline.engine.progress import progress_bar
    from pipeline.run.shards import Shard, run_shard

    config = config_of(workspace, clips)
    print("ready", flush=True)
    sys.stdin.readline()
    assert run_shard(config, Shard.parse(text), progress_bar, lambda filled: None, DETECT, load=load) == {}
    print("filled", flush=True)


def on_ray(workspace: Path, clips: list[Path], warm: Path, address: str, count: int, most: int) -> float:
    """Seconds of a run on `count` workers of a cluster with `most` cores."""
    from pipeline.chain.table import DETECT, FRAMES
    from pipeline.engine.progress import progress_bar
    from pipeline.run.flight import run_segment_stages
    from pipeline.run.ray_engine import Cluster

    config = config_of(workspace, clips, name="ray", address=address, cpus=most // count, segments=1)
    first = config_of(workspace / "warm", [warm], name="ray", address=address, cpus=most // count, segments=1)
    with Cluster(config) as cluster:
        run_segment_stages(first, warm, DETECT, progress_bar, load, FRAMES, execute=cluster.run_pass)
        began = time.perf_counter()
        for clip in clips:
            run_segment_stages(config, clip, DETECT, progress_bar, load, FRAMES, execute=cluster.run_pass)
        return time.perf_counter() - began


def main() -> None:
    """Measure in rounds, all kinds in each, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=1024, help="of each of two clips")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--no-ray", action="store_true")
    parser.add_argument("--workspace", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--clips", type=Path, nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--shard", help=argparse.SUPPRESS)
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    sys.modules["scaling"] = sys.modules["__main__"]  # the workers import `load` from this file
    load.__module__ = "scaling"
    if given.shard:
        be_shard(given.workspace, given.clips, given.shard)
        return
    with tempfile.TemporaryDirectory() as folder:
        home, seconds = Path(folder), defaultdict(list)
        clips = [home / "clip0.mp4", home / "clip1.mp4"]
        for clip in clips:
            write_clip(clip, given.frames)
        warm, most = home / "warm.mp4", max(given.workers)
        write_clip(warm, 4 * most * SEGMENT)
        local(home / "warm-up", [warm])
        cluster = None if given.no_ray else _begin_cluster(most)
        for number in range(given.rounds):
            kinds = [("local", 1)] + [(kind, count) for count in given.workers for kind in ("shards", "ray")]
            for kind, count in kinds:
                workspace = home / f"{kind}{count}-{number}"
                if kind == "local":
                    taken = local(workspace, clips)
                elif kind == "shards":
                    taken = shards(workspace, clips, count)
                elif cluster:
                    taken = on_ray(workspace, clips, warm, cluster.address, count, most)
                else:
                    continue
                seconds[kind, count].append(taken)
                print(
                    json.dumps({"round": number, "kind": kind, "workers": count, "s": round(taken, 2)}), flush=True
                )
        if cluster:
            cluster.shutdown()
    plain = statistics.median(seconds["local", 1])
    print(f"sleep alone: {2 * given.frames * MS / 1000:.2f} s; load average {os.getloadavg()}")
    for (kind, count), taken in seconds.items():
        middle = statistics.median(taken)
        print(f"{kind:7} {count}  {middle:6.2f} s  {plain / middle:5.2f} x  ({min(taken):.2f} to {max(taken):.2f})")


def _begin_cluster(cores: int) -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(Path(__file__).parent)))
    from ray.cluster_utils import Cluster

    return Cluster(initialize_head=True, head_node_args={"num_cpus": cores, "include_dashboard": False})


if __name__ == "__main__":
    main()
