"""Peak memory of the detect stage over a short and a long clip: it must not grow with the length.

python benchmarks/memory.py [--short 300] [--long 3000]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from pipeline.simulate import simulate_flight

_CHILD = """
import resource, sys
from pipeline.cli import main
try:
    main(sys.argv[1:])
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_mib(video: Path, workspace: Path) -> float:
    """Peak resident memory of `uavpipe crops`, MiB; a small input keeps a long clip affordable."""
    command = [sys.executable, "-c", _CHILD, "crops", str(video), "--workspace", str(workspace)]
    command += ["--set", "detector.weights=embedded", "--set", "detector.resize={width: 320, height: 320}"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(shown.splitlines()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", type=int, default=300)
    parser.add_argument("--long", type=int, default=3000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, peaks = Path(name), []
        for frames in (arguments.short, arguments.long):
            video = folder / f"{frames}.mp4"
            simulate_flight(video, seconds=frames / 30, seed=5, size=(640, 360))
            peaks.append(peak_mib(video, folder / "runs"))
            print(f"{frames} frames: peak {peaks[-1]:.0f} MiB")
    print(f"long / short: {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
