"""Things that go wrong while the chain is at work, at random; after each, a rerun must make it good.

python -m tests.faults.harness [--rounds 100] [--seed 0]

A round begins with an empty workspace, or with a finished one. Something happens to it: the process is killed,
the disk is full, a part is damaged, cut or deleted, the clock jumps, or two processes run at once. Then the chain
is run again. It must end with the files of an undisturbed run, byte for byte, or refuse on one line. A traceback,
or other files, are a failure.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from annotate.store import LABELS, LabelStore
from tests.faults.chain import Ending, make_video, start, wait

_TABLES = {".parquet", ".jpg"}


class Rounds:
    """The rounds of one run.

    Args:
        folder: where the workspaces lie while it goes on.
        seed: of what happens.

    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._draw = folder, random.Random(seed)
        self._video = make_video(folder / "flight.mp4")
        self._workspace, self._finished = folder / "runs", folder / "finished"
        began = time.monotonic()
        ending = self._run()
        if ending.code:
            raise SystemExit(f"the undisturbed run failed:\n{ending.said}")
        self._seconds = time.monotonic() - began
        self._wanted = contents(self._workspace)
        self._workspace.rename(self._finished)

    def round(self) -> str:
        """One round; gives what happened and how it went: the last word is "same", "refused" or "FAILED"."""
        shutil.rmtree(self._workspace, ignore_errors=True)
        begin = self._draw.choice(("empty", "finished"))
        if begin == "finished":
            shutil.copytree(self._finished, self._workspace)
        faults: list[Callable[[], str]] = [self._kill, self._fill, self._two]
        if begin == "finished":
            faults = [self._damage, self._cut, self._delete, self._clock, self._two]
        what = [f"{begin}:"]
        for fault in self._draw.sample(faults, self._draw.choice((1, 1, 2))):
            what.append(fault())
            if what[-1].endswith("FAILED"):
                return " ".join(what)
        return " ".join([*what, "→", self._judge(self._run())])

    def _judge(self, ending: Ending) -> str:
        if ending.code == 1 and ending.said.count("uavpipe: ") >= 1 and "Traceback" not in ending.said:
            return f"{_last(ending)} refused"
        if ending.code:
            return f"{ending.said} code {ending.code} FAILED"
        now = contents(self._workspace)
        if now != self._wanted:
            other = sorted(
                name for name in now.keys() | self._wanted.keys() if now.get(name) != self._wanted.get(name)
            )
            return f"other content: {', '.join(other[:5])} FAILED"
        return "same"

    def _run(self, largest: int | None = None) -> Ending:
        said = self._folder / "said.txt"
        return wait(start(self._video, self._workspace, said, largest), said)

    # --- what happens

    def _kill(self) -> str:
        said, after = self._folder / "said.txt", self._draw.uniform(0, self._seconds)
        child = start(self._video, self._workspace, said)
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
        wait(child, said)
        return f"killed after {after:.2f} s"

    def _fill(self) -> str:
        largest = int(10 ** self._draw.uniform(1, 5))
        ending = self._run(largest)
        told = ending.code in (0, 1) and "Traceback" not in ending.said
        return f"no file beyond {largest} bytes: " + (_last(ending) if told else f"{ending.said} FAILED")

    def _two(self) -> str:
        said = [self._folder / "one.txt", self._folder / "two.txt"]
        children = []
        for path in said:
            children.append(start(self._video, self._workspace, path))
            time.sleep(self._draw.choice((0.0, self._draw.uniform(0, self._seconds))))
        endings = [wait(child, path) for child, path in zip(children, said, strict=True)]
        for ending in endings:
            if ending.code not in (0, 1) or "Traceback" in ending.said:
                return f"two at once: {ending.said} FAILED"
        return f"two at once: {' | '.join(map(_last, endings))}"

    def _damage(self) -> str:
        path = self._some_file(whole=False)
        data = bytearray(path.read_bytes())
        for _ in range(self._draw.choice((1, 8, 64))):
            data[self._draw.randrange(len(data))] ^= self._draw.randrange(1, 256)
        path.write_bytes(data)
        return f"damaged {self._name(path)}"

    def _cut(self) -> str:
        path = self._some_file(whole=True)
        os.truncate(path, self._draw.randrange(path.stat().st_size))
        return f"cut {self._name(path)} to {path.stat().st_size} bytes"

    def _delete(self) -> str:
        path = self._some([path for path in self._workspace.rglob("*") if path.name != ".lock"])
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return f"deleted {self._name(path)}"

    def _clock(self) -> str:
        """The times of all files are of another clock: years off, and in no order."""
        for path in [self._video, *self._workspace.rglob("*")]:
            moment = time.time() + self._draw.uniform(-1, 1) * 3e8
            os.utime(path, (moment, moment))
        return "clock moved"

    def _some_file(self, *, whole: bool) -> Path:
        """A file with content. Bytes changed inside a picture are not noticed: `whole` asks for pictures too."""
        files = [path for path in self._workspace.rglob("*") if path.is_file() and path.stat().st_size]
        return self._some([path for path in files if whole or path.suffix != ".jpg"])

    def _some(self, paths: list[Path]) -> Path:
        """One of `paths`: each kind of file as often as any other, however many there are."""
        kind = self._draw.choice(sorted({path.suffix for path in paths}))
        return self._draw.choice(sorted(path for path in paths if path.suffix == kind))

    def _name(self, path: Path) -> str:
        return path.relative_to(self._workspace).as_posix()


def contents(workspace: Path) -> dict[str, str]:
    """What must not depend on what happened: each table and picture by its hash, and the labels' log by its own."""
    files = (path for path in workspace.rglob("*") if path.suffix in _TABLES and path.is_file())
    found = {path.relative_to(workspace).as_posix(): _sha256(path) for path in files}
    if (workspace / LABELS).exists():
        with LabelStore(workspace / LABELS, create=False) as store:
            found[LABELS] = " ".join(f"{each.id}:{each.operation!r}" for each in store.entries)
    return found


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _last(ending: Ending) -> str:
    lines = [line for line in ending.said.splitlines() if line.startswith("uavpipe: ")]
    return f"({lines[-1]})" if ending.code and lines else "(done)"


def main() -> int:
    """Run the rounds; the exit status tells whether one failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        rounds = Rounds(Path(folder), arguments.seed)
        for number in range(1, arguments.rounds + 1):
            line = rounds.round()
            tally[line.rsplit(" ", 1)[-1]] += 1
            print(f"{number:4} {line.replace(folder, '')}", flush=True)
    print(", ".join(f"{count} {word}" for word, count in sorted(tally.items())))
    return int(tally["FAILED"] > 0)


if __name__ == "__main__":
    sys.exit(main())
