"""The whole chain on a small flight in a process of its own: the commands, as somebody would type them."""

import os
import resource
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import click
import matplotlib.backends.backend_svg  # noqa: F401
import trackers  # noqa: F401 - imported here, once, so that no child spends seconds on it, as the next lines

import detector.backends.torchvision  # noqa: F401
import reid.embedder  # noqa: F401
from annotate.log.store import LABELS, LabelStore
from annotate.operations import Assign, Mark, NewIdentity
from annotate.project import Project
from annotate.records import read_tracklets
from pipeline.cli import main
from pipeline.cli.errors import one_line_errors
from pipeline.simulate import simulate_flight

NOW = datetime(2030, 1, 1, tzinfo=UTC)  # of all decisions, so that equal labels are equal bytes
PEOPLE = 3
FORGOTTEN = 2  # the identity
_listeners: dict[int, Thread] = {}  # of the children that are at work
# Low thresholds: what is tested is the chain, not how good the detector is.
_SETTINGS = (
    "frames.segment_frames=4",
    "detector={weights: embedded, device: cpu, floor: 0.01, threshold: 0.05, resize: {width: 320, height: 320}}",
    "tracks={begin: 0.1, high: 0.1, split_below: null}",
    "crops.min_height=4",
    "dataset={min_crops: 1, protocol: tracklet, gap_s: 0}",
    "report.clip_s=1",
)


@dataclass(frozen=True)
class Ending:
    """How a process ended: `code` as the shell has it, below 0 a signal; and the last it said."""

    code: int
    said: str


def make_video(path: Path) -> Path:
    """A second and a half of a simulated flight: three segments of 4 frames."""
    simulate_flight(path, people=6, seconds=1.5, seed=3, size=(320, 180), fps=8, altitude=12)
    return path


def run(video: Path, workspace: Path) -> None:
    """From the video to the report, with somebody who labels in between; and a clip to share."""
    arguments = ["run", str(video), "--workspace", str(workspace), "--verify"]
    for setting in _SETTINGS:
        arguments += ["--set", setting]
    _uavpipe(*arguments, "--until", "tracks")
    _label(workspace, video.stem)
    _uavpipe(*arguments)
    _uavpipe("anonymize", str(workspace / video.stem), "--blur-people")


def make_short_video(path: Path) -> Path:
    """Half a second: one segment."""
    simulate_flight(path, people=3, seconds=0.5, seed=3, size=(160, 96), fps=8, altitude=12)
    return path


def short_run(video: Path, workspace: Path) -> None:
    """From the video to the data set, with somebody who labels in between."""
    arguments = ["run", str(video), "--workspace", str(workspace)]
    for setting in (*_SETTINGS, "detector.resize={width: 160, height: 160}"):
        arguments += ["--set", setting]
    _uavpipe(*arguments, "--until", "tracks")
    _label(workspace, video.stem)
    _uavpipe("dataset", "--workspace", str(workspace), "--set", _SETTINGS[-2])


def relink(video: Path, workspace: Path) -> None:
    """Link again with another setting, as somebody might who has labelled already."""
    settings = [word for setting in (*_SETTINGS, "tracks.min_length=5") for word in ("--set", setting)]
    _uavpipe("tracks", str(video), "--workspace", str(workspace), *settings)


def forget(video: Path, workspace: Path) -> None:
    """Take one identity out, where it is not out already, and check the workspace."""
    try:
        _uavpipe("forget", str(FORGOTTEN), "--workspace", str(workspace), "--yes")
    except click.ClickException as error:
        if f"there is no identity {FORGOTTEN}" not in error.message:
            raise
    _uavpipe("verify", "--workspace", str(workspace))


def answer(video: Path, workspace: Path) -> None:
    """Label, and stop as a machine without power does, while another program reads the labels.

    SQLite cannot move the decisions from its WAL into the database meanwhile.
    """
    LabelStore(workspace / LABELS).close()
    with closing(sqlite3.connect(workspace / LABELS, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM operations").fetchone()
        _label(workspace, video.stem)
        os.kill(os.getpid(), signal.SIGKILL)


def recover(video: Path, workspace: Path) -> None:
    """Rebuild the labels from their text."""
    _uavpipe("annotate", "log", "--recover", "--workspace", str(workspace))


def _uavpipe(*arguments: str) -> None:
    code = main(arguments, standalone_mode=False)
    if code:
        raise SystemExit(code)


def _label(workspace: Path, flight: str) -> None:
    """Tracklets in turn are persons 1, 2 and 3; what was decided before is asked again and changes nothing."""
    with LabelStore(workspace / LABELS, now=lambda: NOW) as store:
        store.add_flight(flight, read_tracklets(workspace, flight))
        Project(workspace).close()  # crops that are gone are told, as the labelling app tells it
        for place, name in enumerate(sorted(store.state.tracklets)):
            same = Assign(tracklets=(name,), identity=place % PEOPLE + 1)
            store.apply(NewIdentity(tracklets=(name,)) if place < PEOPLE else same, user="script", id=f"d{place}")
            if store.state.labels[name] is Mark.OPEN:  # it was gone for a while, when other settings linked
                store.apply(same, user="script", id=f"again-{len(store.entries)}")


def start(
    job: Callable[[], None],
    said: Path,
    *,
    largest: int | None = None,
    memory: int | None = None,
    ahead: float = 0.0,
) -> int:
    """Begin `job` in a child process, and give its id.

    Args:
        job: what it does.
        said: takes what it prints.
        largest: files that would grow beyond so many bytes cannot be written; None: any may.
        memory: bytes that it may have beyond those of this process; None: any.
        ahead: seconds by which Python's `time.time` is ahead there.

    """
    said.write_bytes(b"")
    heard, spoken = os.pipe()  # not the file itself: it may be limited to a few bytes
    child = os.fork()
    if child:
        os.close(spoken)
        _listeners[child] = Thread(target=_listen, args=(heard, said), daemon=True)
        _listeners[child].start()
        return child
    code = 70
    try:
        os.dup2(spoken, 1)
        os.dup2(spoken, 2)
        if largest is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        if memory is not None:
            now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (now + memory, now + memory))
        if ahead:
            real = time.time
            time.time = lambda: real() + ahead
        with one_line_errors():
            job()
        code = 0
    except click.ClickException as error:
        error.show()
        code = 1
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _listen(heard: int, said: Path) -> None:
    """Write to `said` what comes out of the pipe `heard`, at once, to its end."""
    with open(heard, "rb", buffering=0) as pipe, said.open("ab", buffering=0) as file:
        while content := pipe.read(1 << 16):
            file.write(content)


def wait(child: int, said: Path) -> Ending:
    """How `child` ended."""
    _, status = os.waitpid(child, 0)
    _listeners.pop(child).join()
    return Ending(os.waitstatus_to_exitcode(status), said.read_text("utf-8", "replace"))
