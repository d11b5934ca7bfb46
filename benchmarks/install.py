"""What an installation costs: seconds and disk from nothing, then the start, the import, and the first crops.

python benchmarks/install.py VIDEO [--extra detect --extra all]  # the core is always measured

Needs a network, or an index that pip is configured for. Nothing is taken from pip's cache.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
_TRIES = 5


def seconds(*command: str | Path, cwd: Path) -> float:
    """How long `command` takes."""
    begun = time.monotonic()
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def size_of(folder: Path) -> int:
    """Bytes of the files in `folder`, those that are linked apart."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def measure(wheel: Path, extra: str, video: Path, scratch: Path) -> None:
    """Install `wheel` with `extra` into a new environment, and print a row on it."""
    home = scratch / (extra or "core")
    begun = time.monotonic()
    venv.create(home, with_pip=True)
    program = home / "bin"
    options = ["--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    what = f"{wheel}[{extra}]" if extra else str(wheel)
    subprocess.run([program / "pip", "install", *options, what], check=True)
    installed = time.monotonic() - begun
    start = min(seconds(program / "uavpipe", "--help", cwd=scratch) for _ in range(_TRIES))
    tables = min(
        seconds(program / "python", "-c", "import uavpipe; uavpipe.open", cwd=scratch) for _ in range(_TRIES)
    )
    crops = "-"
    if (home / "bin" / "torchrun").exists():
        workspace = home / "runs"
        took = seconds(program / "uavpipe", "crops", video, "--workspace", workspace, "-q", cwd=scratch)
        crops = f"{took:.0f} s, {sum(1 for _ in workspace.rglob('*.jpg'))} crops"
    print(
        f"| {extra or 'core'} | {size_of(home) / 1e9:.1f} GB | {installed:.0f} s | {start:.2f} s | {tables:.1f} s "
        f"| {crops} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--extra", action="append", default=[])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", scratch, ROOT]
        subprocess.run(build, check=True)
        (wheel,) = scratch.glob("*.whl")
        print(f"wheel: {wheel.stat().st_size / 1e6:.1f} MB\n")
        print("| extra | disk | to install | `--help` | `import uavpipe; uavpipe.open` | `uavpipe crops` |")
        print("|---|---|---|---|---|---|")
        for extra in ("", *arguments.extra):
            measure(wheel, extra, arguments.video.resolve(), scratch)


if __name__ == "__main__":
    main()
