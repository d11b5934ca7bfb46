"""Things that go wrong while the chain is at work, at random; after each, a rerun must make it good.

python -m tests.faults.harness [--rounds 100] [--seed 0]

A round begins with an empty workspace, or with a finished one, in which `uavpipe run` is at work, or `uavpipe
forget`. Something happens to it: the process is killed, the disk is full, a part is damaged, cut or deleted, the
clock jumps, or two processes run at once. Then the command is given again. It must end with the files of an
undisturbed run, byte for byte, or refuse on one line. A traceback, or other files, are a failure.
"""

import argparse
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from annotate.log.store import LABELS, LabelStore
from tests.faults.chain import Ending, answer, forget, make_video, recover, relink, run, start, wait

_TABLES = {".parquet", ".jpg"}
_LOG = "the labels' log"
_REFUSES = ("uavpipe: ", "failed: ", "    mend: ")
_NO_THREAD = "cannot allocate memory for thread-local data: ABORT"  # glibc's, which ends the process then


@dataclass(frozen=True)
class Job:
    """What is disturbed: a command, how long it takes undisturbed, and the contents that it leaves then."""

    command: Callable[[Path, Path], None]
    seconds: float
    wanted: dict[str, str]


class Rounds:
    """The rounds of one run.

    Args:
        folder: where the workspaces lie while it goes on.
        seed: of what happens.
        only: names of faults; empty: all.

    """

    def __init__(self, folder: Path, seed: int, only: frozenset[str] = frozenset()) -> None:
        self._only = only
        self._folder, self._draw = folder, random.Random(seed)
        self._video = make_video(folder / "flight.mp4")
        self._workspace, self._finished = folder / "runs", folder / "finished"
        self.mounts = _may_mount(folder)
        self._jobs = [self._undisturbed(run), self._undisturbed(forget)]
        self._job, self._relinked = self._jobs[0], False

    def _undisturbed(self, command: Callable[[Path, Path], None]) -> "Job":
        self._job = Job(command, 0.0, {})
        if self._finished.exists():
            shutil.copytree(self._finished, self._workspace)
        began = time.monotonic()
        ending = self._run()
        if ending.code:
            raise SystemExit(f"the undisturbed {command.__name__} failed:\n{ending.said}")
        job = Job(command, time.monotonic() - began, contents(self._workspace))
        if not self._finished.exists():
            self._workspace.rename(self._finished)
        shutil.rmtree(self._workspace, ignore_errors=True)
        return job

    def round(self) -> str:
        """One round; gives what happened and how it went: the last word is "same", "refused" or "FAILED"."""
        try:
            return self._round()
        finally:
            if self._workspace.is_mount():
                _mount("umount", str(self._workspace))
            shutil.rmtree(self._workspace, ignore_errors=True)

    def _round(self) -> str:
        begin = self._draw.choice(("empty", "finished", "finished", "forget"))
        self._job, self._relinked = self._jobs[begin == "forget"], False
        if begin != "empty":
            shutil.copytree(self._finished, self._workspace)
        faults: list[Callable[[], str]] = [self._kill, self._fill, self._two]
        if begin == "finished":
            faults = [
                self._damage,
                self._cut,
                self._delete,
                self._clock,
                self._two,
                self._relink,
                self._lose_labels,
            ]
        faults += [self._memory, self._vanish]
        if begin != "empty":
            faults += [self._link, self._stray, self._undeletable]
        if begin == "empty" and self.mounts:
            faults.append(self._full)
        if self._only:
            faults = [fault for fault in faults if fault.__name__ in self._only] or faults
        what = [f"{begin}:"]
        for fault in self._draw.sample(faults, min(self._draw.choice((1, 1, 2)), len(faults))):
            what.append(fault())
            if what[-1].endswith("FAILED"):
                return " ".join(what)
        return " ".join([*what, "→", self._judge(self._run())])

    def _judge(self, ending: Ending) -> str:
        if refused(ending):
            return f"{_last(ending)} refused"
        if ending.code:
            return f"{ending.said} code {ending.code} FAILED"
        now, wanted = contents(self._workspace), self._job.wanted
        if self._relinked:  # history stays: labels and crops are the same, who gave the labels is not
            now, wanted = (_without_history(each) for each in (now, wanted))
        if now != wanted:
            other = sorted(name for name in now.keys() | wanted.keys() if now.get(name) != wanted.get(name))
            return f"other content: {', '.join(other[:5])} FAILED"
        return "same"

    def _start(self, said: Path, largest: int | None = None, ahead: float = 0.0) -> int:
        return start(lambda: self._job.command(self._video, self._workspace), said, largest=largest, ahead=ahead)

    def _run(self, largest: int | None = None, ahead: float = 0.0) -> Ending:
        said = self._folder / "said.txt"
        return wait(self._start(said, largest, ahead), said)

    def _child(self, command: Callable[[Path, Path], None]) -> Ending:
        said = self._folder / "said.txt"
        return wait(start(lambda: command(self._video, self._workspace), said), said)

    # --- what happens

    def _kill(self) -> str:
        said, after = self._folder / "said.txt", self._draw.uniform(0, self._job.seconds)
        child = self._start(said)
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
        wait(child, said)
        return f"killed after {after:.2f} s"

    def _fill(self) -> str:
        largest = int(10 ** self._draw.uniform(1, 5))
        ending = self._run(largest)
        return f"no file beyond {largest} bytes: {told(ending)}"

    def _full(self) -> str:
        """A disk that is really full, until somebody makes room."""
        size = int(10 ** self._draw.uniform(4.5, 6.5))
        self._workspace.mkdir(exist_ok=True)
        _mount("mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(self._workspace))
        ending = self._run()
        _mount("mount", "-o", "remount,size=1g", str(self._workspace))
        return f"a disk of {size} bytes: {told(ending)}"

    def _two(self) -> str:
        said = [self._folder / "one.txt", self._folder / "two.txt"]
        children = []
        for path in said:
            children.append(self._start(path))
            time.sleep(self._draw.choice((0.0, self._draw.uniform(0, self._job.seconds))))
        endings = [wait(child, path) for child, path in zip(children, said, strict=True)]
        heard = sorted(map(told, endings), key=lambda each: each.endswith("FAILED"))  # the last word counts
        return f"two at once: {' | '.join(heard)}"

    def _damage(self) -> str:
        path = self._some_file()
        data = bytearray(path.read_bytes())
        for _ in range(self._draw.choice((1, 8, 64))):
            data[self._draw.randrange(len(data))] ^= self._draw.randrange(1, 256)
        path.write_bytes(data)
        return f"damaged {self._name(path)}"

    def _cut(self) -> str:
        path = self._some_file()
        os.truncate(path, self._draw.randrange(path.stat().st_size))
        return f"cut {self._name(path)} to {path.stat().st_size} bytes"

    def _delete(self) -> str:
        path = self._some([path for path in self._workspace.rglob("*") if path.name != ".lock"])
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return f"deleted {self._name(path)}"

    def _clock(self) -> str:
        """The times of all files are of other clocks, years off and in no order; and so is the process's clock."""
        for path in [self._video, *self._workspace.rglob("*")]:
            moment = time.time() + self._draw.uniform(-1, 1) * 3e8
            os.utime(path, (moment, moment))
        ahead = self._draw.uniform(-1, 1) * 3e8
        return f"clocks moved, ours by {ahead / 86_400:.0f} days: {told(self._run(ahead=ahead))}"

    def _memory(self) -> str:
        memory = int(10 ** self._draw.uniform(6, 9))
        said = self._folder / "said.txt"
        child = start(lambda: self._job.command(self._video, self._workspace), said, memory=memory)
        ending = wait(child, said)
        if ending.code < 0:  # native code ends the process so where it gets no memory
            return f"{memory} more bytes of memory: signal {-ending.code}"
        return f"{memory} more bytes of memory: {told(ending)}"

    def _vanish(self) -> str:
        """A part is deleted while the command is at work."""
        said = self._folder / "said.txt"
        child = self._start(said)
        time.sleep(self._draw.uniform(0, self._job.seconds))
        parts = sorted(self._workspace.rglob("part-*.parquet"))
        gone = self._draw.choice(parts) if parts else None
        if gone:
            gone.unlink(missing_ok=True)
        return f"vanished meanwhile: {gone and self._name(gone)}: {told(wait(child, said))}"

    def _link(self) -> str:
        """A folder is moved to another disk, and a link put in its place."""
        folders = [path for path in self._workspace.rglob("*") if path.is_dir() and not path.is_symlink()]
        path = self._draw.choice(sorted(folders))
        name, elsewhere = self._name(path), self._folder / f"elsewhere-{self._draw.random()}"
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
        return f"moved {name} behind a link"

    def _stray(self) -> str:
        """A file of the desktop, or a note, is put among ours."""
        folder = self._draw.choice(sorted(path for path in self._workspace.rglob("*") if path.is_dir()))
        name = self._draw.choice((".DS_Store", "Thumbs.db", "desktop.ini", "._a.jpg", ".nfs0001", "notes.txt"))
        (folder / name).write_bytes(b"\0\0\0\1Bud1")
        return f"put {self._name(folder / name)}"

    def _undeletable(self) -> str:
        """A file cannot be deleted or replaced while the command runs; afterwards it can."""
        path = self._some_file()
        name = self._name(path)
        if shutil.which("chattr") is None or subprocess.run(["chattr", "+i", path], capture_output=True).returncode:
            return "no file can be made undeletable here"
        try:
            ending = self._run()
        finally:
            subprocess.run(["chattr", "-R", "-i", self._workspace], capture_output=True)  # it may have moved
        return f"undeletable {name}: {told(ending)}"

    def _lose_labels(self) -> str:
        """Decisions were answered, the machine stopped, and files of SQLite are gone: told, and recovered."""
        for path in self._workspace.glob(f"{LABELS}*"):
            path.unlink()
        self._child(answer)
        labels = self._workspace / LABELS
        lost = [labels.with_name(f"{LABELS}-wal"), labels.with_name(f"{LABELS}-shm")]
        lost += [labels] * self._draw.choice((0, 1))
        for path in lost:
            path.unlink()
        ending = self._run()
        if not refused(ending):
            return f"lost {', '.join(map(self._name, lost))}: not told: {ending.said} FAILED"
        return f"lost {', '.join(map(self._name, lost))}: {_last(ending)}, recovered: {told(self._child(recover))}"

    def _relink(self) -> str:
        self._relinked = True
        return f"linked again by other settings: {told(self._child(relink))}"

    def _some_file(self) -> Path:
        return self._some([path for path in self._workspace.rglob("*") if path.is_file() and path.stat().st_size])

    def _some(self, paths: list[Path]) -> Path:
        """One of `paths`: each kind of file as often as any other, however many there are."""
        kind = self._draw.choice(sorted({path.suffix for path in paths}))
        return self._draw.choice(sorted(path for path in paths if path.suffix == kind))

    def _name(self, path: Path) -> str:
        return path.relative_to(self._workspace).as_posix()


def contents(workspace: Path) -> dict[str, str]:
    """What must not depend on what happened: each table and picture by its hash, the labels and their log."""
    walk = os.walk(workspace, followlinks=True)
    paths = (Path(folder, name) for folder, _, names in walk for name in names)
    files = (path for path in paths if path.suffix in _TABLES and not path.name.startswith("."))
    found = {path.relative_to(workspace).as_posix(): _sha256(path) for path in files}
    if (workspace / LABELS).exists():
        with LabelStore(workspace / LABELS, write=False) as store:
            found[LABELS] = repr(
                sorted((store.state.tracklets[each], label) for each, label in store.state.labels.items())
            )
            found[_LOG] = " ".join(f"{each.id}:{each.operation!r}" for each in store.entries)
    return found


def _without_history(found: dict[str, str]) -> dict[str, str]:
    """`found` without what names who labelled and when, or is made from that."""
    history = re.compile(rf"{_LOG}|dataset/.*\.parquet|reid/.*|report/.*")
    return {name: content for name, content in found.items() if not history.fullmatch(name)}


def _may_mount(folder: Path) -> bool:
    """Whether disks can be made here: for root, where mounting is allowed."""
    place = folder / "disk"
    place.mkdir()
    try:
        _mount("mount", "-t", "tmpfs", "none", str(place))
        _mount("umount", str(place))
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _mount(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def refused(ending: Ending) -> bool:
    """Whether it ended with the one line of a refusal."""
    return ending.code == 1 and bool(_refusals(ending)) and "Traceback" not in ending.said


def _refusals(ending: Ending) -> list[str]:
    return [line for line in ending.said.splitlines() if line.startswith(_REFUSES)]


def told(ending: Ending) -> str:
    if ending.said.rstrip().endswith(_NO_THREAD):
        return "(ended by the C library)"
    return _last(ending) if not ending.code or refused(ending) else f"{ending.said} code {ending.code} FAILED"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _last(ending: Ending) -> str:
    return f"({_refusals(ending)[-1]})" if ending.code else "(done)"


def main() -> int:
    """Run the rounds; the exit status tells whether one failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="faults, by their names here, with commas between")
    arguments = parser.parse_args()
    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        only = frozenset(f"_{name}" for name in arguments.only.split(",") if name)
        rounds = Rounds(Path(folder), arguments.seed, only)
        if not rounds.mounts:
            print("no disk that is really full: mounting one needs root")
        for number in range(1, arguments.rounds + 1):
            line = rounds.round()
            tally[line.rsplit(" ", 1)[-1]] += 1
            print(f"{number:4} {line.replace(folder, '')}", flush=True)
    print(", ".join(f"{count} {word}" for word, count in sorted(tally.items())))
    return int(tally["FAILED"] > 0)


if __name__ == "__main__":
    sys.exit(main())
