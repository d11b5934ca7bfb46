"""Peak memory of the chain over a short and a long 1080p clip: it must not grow with the length.

python benchmarks/memory.py [--short 300] [--long 3000]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import av

from pipeline.simulate import simulate_flight

_FPS = 30
_CHILD = """
import resource, sys
from pipeline.cli import main
try:
    main(sys.argv[1:])
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def repeat(clip: Path, path: Path, times: int, seconds: float) -> None:
    """Write `clip` of `seconds` to `path` again and again, packets as they are."""
    with av.open(str(path), "w") as sink:
        stream = None
        for turn in range(times):
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                stream = stream or sink.add_stream_from_template(video)
                for packet in source.demux(video):
                    if packet.dts is None:
                        continue
                    shift = round(turn * seconds / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = stream
                    sink.mux(packet)


def peak_mib(video: Path, workspace: Path) -> float:
    """Peak resident memory of `uavpipe crops`, MiB; a small input to the model keeps a long clip affordable."""
    command = [sys.executable, "-c", _CHILD, "crops", str(video), "--workspace", str(workspace)]
    command += ["--set", "detector.weights=embedded", "--set", "detector.resize={width: 320, height: 320}"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(shown.splitlines()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", type=int, default=300)
    parser.add_argument("--long", type=int, default=3000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, peaks = Path(name), []
        short, long = folder / "short.mp4", folder / "long.mp4"
        seconds = arguments.short / _FPS
        simulate_flight(short, seconds=seconds, fps=_FPS, seed=5)
        repeat(short, long, arguments.long // arguments.short, seconds)
        for video in (short, long):
            peaks.append(peak_mib(video, folder / "runs"))
            print(f"{video.stem}: peak {peaks[-1]:.0f} MiB", flush=True)
    print(f"{arguments.long} / {arguments.short} frames: {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
