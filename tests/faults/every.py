"""SQLite's way: the n-th write, fsync, rename or large allocation of a small run fails, for every n.

python -m tests.faults.every [--kinds write,fsync,rename,allocation] [--step 1] [--first 1]

After each failure the run must have ended with one line, or have managed without; and the run given again must end
with the files of an undisturbed one, byte for byte. A traceback, or other files, are a failure. An allocation that
fails inside a library may end the process by a signal, which nobody can catch: that is listed as "killed".
"""

import argparse
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.faults.chain import Ending, make_short_video, short_run, start, wait
from tests.faults.harness import contents, told

KINDS = ("write", "fsync", "rename", "allocation")  # as in shim.c
_LOADED = "UAVPIPE_SHIM"
_SOURCE = Path(__file__).with_name("shim.c")


def build(folder: Path) -> Path | None:
    """The library that lets calls fail, made in `folder`; None without a C compiler, or on other systems."""
    library = folder / "shim.so"
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or sys.platform != "linux":
        return None
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"]
    return library if subprocess.run(command, capture_output=True).returncode == 0 else None


class Every:
    """Runs in which one call fails; the library of shim.c is loaded.

    Args:
        folder: holds the workspace.

    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._workspace = folder, folder / "runs"
        self._video = make_short_video(folder / "flight.mp4")
        self._shim = ctypes.CDLL(None)
        self._shim.fault_arm.argtypes = (ctypes.c_char_p, ctypes.c_int, ctypes.c_long)
        self._shim.fault_count.restype = ctypes.c_long
        ending = self._run("write", 0)
        if ending.code:
            raise SystemExit(f"the undisturbed run failed:\n{ending.said}")
        self.counts = dict(zip(KINDS, map(int, (folder / "counts").read_text().split()), strict=True))
        self._wanted = contents(self._workspace)

    def fail(self, kind: str, n: int) -> str:
        """Let the `n`-th call of `kind` fail, then run again; the last word is "same", "killed" or "FAILED"."""
        shutil.rmtree(self._workspace)
        ending = self._run(kind, n)
        killed = kind == "allocation" and (ending.code < 0 or "terminate called" in ending.said)
        first = f"signal {-ending.code}" if killed else told(ending)
        if first.endswith("FAILED"):
            return first
        again = self._run(kind, 0)
        if again.code:
            return f"{first} → {again.said} FAILED"
        if contents(self._workspace) != self._wanted:
            return f"{first} → other content FAILED"
        return f"{first} → {'killed' if killed else 'same'}"

    def _run(self, kind: str, n: int) -> Ending:
        said = self._folder / "said.txt"

        def job() -> None:
            self._shim.fault_arm(os.fsencode(self._workspace), KINDS.index(kind), n)
            short_run(self._video, self._workspace)
            counts = [self._shim.fault_count(number) for number in range(len(KINDS))]
            (self._folder / "counts").write_text(" ".join(map(str, counts)))

        return wait(start(job, said), said)


def rounds(folder: Path, kinds: list[str], first: int, step: int) -> Iterator[tuple[str, str]]:
    """Every `step`-th n of each kind, from `first` on: what fails, and how it went."""
    every = Every(folder)
    for kind in kinds:
        for n in range(first, every.counts[kind] + 1, step):
            yield f"{kind} {n} of {every.counts[kind]}", every.fail(kind, n)


def main() -> int:
    """Run them; the exit status tells whether one failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--step", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if _LOADED not in os.environ:
            library = build(Path(folder))
            if library is None:
                print("skipped: a C compiler and Linux are needed")
                return 0
            environment = os.environ | {"LD_PRELOAD": str(library), _LOADED: "1"}
            return subprocess.run(
                [sys.executable, "-m", "tests.faults.every", *sys.argv[1:]], env=environment
            ).returncode
        tally: Counter[str] = Counter()
        for what, outcome in rounds(Path(folder), arguments.kinds.split(","), arguments.first, arguments.step):
            tally[outcome.rsplit(" ", 1)[-1]] += 1
            print(f"{what}: {outcome.replace(folder, '')}", flush=True)
    print(", ".join(f"{count} {word}" for word, count in sorted(tally.items())))
    return int(tally["FAILED"] > 0)


if __name__ == "__main__":
    sys.exit(main())
