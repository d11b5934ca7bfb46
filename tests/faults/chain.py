"""The whole chain on a small flight in a process of its own: frames to tracklets, labels by a script, data set."""

import os
import resource
import signal
import sys
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import matplotlib.backends.backend_svg  # noqa: F401
import trackers  # noqa: F401 - imported here, once, so that no child spends seconds on it, as the next line

import detector.predictor  # noqa: F401
from annotate.operations import Assign, NewIdentity
from annotate.project import Project
from annotate.store import LABELS, LabelStore
from detector.config import DetectorConfig, Resize
from pipeline.cli.errors import one_line_errors
from pipeline.config import DatasetConfig, FlightConfig, FramesConfig, TracksConfig
from pipeline.dataset.stage import bring_up_dataset
from pipeline.progress import progress_bar
from pipeline.simulate import simulate_flight
from pipeline.stages import bring_up_tracks

NOW = datetime(2030, 1, 1, tzinfo=UTC)  # of all decisions, so that equal labels are equal bytes
PEOPLE = 3


@dataclass(frozen=True)
class Ending:
    """How a process ended: `code` as the shell has it, below 0 a signal; and the last it said."""

    code: int
    said: str


def make_video(path: Path) -> Path:
    """Three seconds of a simulated flight: three segments of 8 frames."""
    simulate_flight(path, people=6, seconds=3, seed=3, size=(320, 180), fps=8, altitude=12)
    return path


def run(video: Path, workspace: Path) -> None:
    """Everything, as commands do it one after the other."""
    config = FlightConfig(
        workspace=workspace,
        # Low thresholds: what is tested is the chain, not how good the detector is.
        detector=DetectorConfig(
            weights="embedded", resize=Resize(width=320, height=320), floor=0.02, threshold=0.3, device="cpu"
        ),
        frames=FramesConfig(segment_frames=8),
        tracks=TracksConfig(begin=0.2, high=0.2, split_below=None),
    )
    bring_up_tracks(config, video, progress_bar)
    _label(workspace)
    bring_up_dataset(workspace, DatasetConfig(min_crops=1, protocol="tracklet", gap_s=0))


def _label(workspace: Path) -> None:
    """Tracklets in turn are persons 1, 2 and 3; what was decided before is asked again and changes nothing."""
    Project(workspace).close()  # crops that are gone are told, as the labelling app tells it
    with LabelStore(workspace / LABELS, now=lambda: NOW) as store:
        for place, name in enumerate(sorted(store.state.tracklets)):
            if place < PEOPLE:
                store.apply(NewIdentity(tracklets=(name,)), user="script", id=f"d{place}")
            else:
                store.apply(Assign(tracklets=(name,), identity=place % PEOPLE + 1), user="script", id=f"d{place}")


def start(video: Path, workspace: Path, said: Path, largest: int | None = None) -> int:
    """Begin `run` in a child process, and give its id.

    Args:
        video: the flight.
        workspace: where it works.
        said: takes what it prints.
        largest: files that would grow beyond so many bytes cannot be written; None: any may.

    """
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        with said.open("w") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        if largest is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        with one_line_errors():
            run(video, workspace)
        code = 0
    except click.ClickException as error:
        error.show()
        code = 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(child: int, said: Path) -> Ending:
    """How `child` ended."""
    _, status = os.waitpid(child, 0)
    return Ending(os.waitstatus_to_exitcode(status), said.read_text("utf-8", "replace"))
