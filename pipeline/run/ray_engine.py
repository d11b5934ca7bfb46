"""The segments of the flights as tasks of a Ray cluster: other processes, other machines. The only module with Ray.

The driver, this process, locks and prepares a flight, sends tasks, verifies the parts, ends the stages and links.
A task fills the segments of a few decoder runs: no frame leaves it, and the model is loaded once in each worker
process. What a lost worker or machine had begun is given to another one.
"""

import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from itertools import groupby
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from annotate.errors import AnnotateError
from detector.backends.protocol import PersonDetector
from detector.config import DetectorConfig
from detector.errors import DetectorError
from detector.models.weights import EMBEDDED, WeightsSource, source_of
from pipeline.chain.table import FRAMES, TRACKS, ChainStage, is_before
from pipeline.config.flights import require_flights
from pipeline.config.models import EngineConfig, FlightConfig
from pipeline.engine.fill import Work, fill
from pipeline.engine.progress import Progress
from pipeline.errors import PipelineError
from pipeline.run.flight import (
    Load,
    LoadDetector,
    load_detector,
    load_unchanged,
    run_linking,
    run_segment_stages,
)
from pipeline.video import Segment
from pipeline.workspace.stage import StageResult

_FLIGHTS = 8  # that are locked and filled at once
_AHEAD = 2  # tasks for each place to run one: while one runs, the next one waits on the machine
_TRIES = 3  # of a task, after the first, when its worker or machine is lost
_SHARE_OF_GPU = 0.25  # several processes on a GPU hide the time in which one does not use it
_POLL_S = 0.2
_NOWHERE = "http://127.0.0.1:9"
PROXY = {"http_proxy": _NOWHERE, "https_proxy": _NOWHERE, "no_proxy": "localhost,127.0.0.1"}
_CANCEL_S = 30.0
_SEEN_S = 60.0  # after which a network file system shows what another machine has written


log = logging.getLogger("uavpipe")


@dataclass(frozen=True)
class Filled:
    """What a task says at its end.

    Attributes:
        runtime: of the detector; empty: it was not needed.
        error: for the user; empty: none.

    """

    runtime: str = ""
    error: str = ""


@dataclass(frozen=True)
class Resources:
    """What a task takes of a machine, and how many tasks the cluster has room for.

    Attributes:
        cpus: cores.
        gpus: share of a GPU.
        places: tasks that run at once.

    """

    cpus: int
    gpus: float
    places: int


def run_flights_on_ray(
    config: FlightConfig,
    progress: Progress,
    report: Callable[[StageResult], None],
    last: ChainStage = TRACKS,
    first: ChainStage = FRAMES,
    load: Load = load_detector,
) -> dict[Path, str]:
    """As `run_flights`, with the segments filled on the cluster that `config.engine` names.

    Raises:
        PipelineError: as `run_flights`; or Ray is not installed, there is no such cluster, or it has no machine for
            a task.

    """
    videos = require_flights(config)
    failed: dict[Path, str] = {}
    with (
        Cluster(config) as cluster,
        progress(f"{len(videos)} flights on Ray", None) as advance,
        ThreadPoolExecutor(_FLIGHTS, thread_name_prefix="flight") as threads,
    ):

        @contextmanager
        def one_bar(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
            yield advance  # several flights are filled at once, and a terminal has room for one bar

        def run(video: Path) -> list[StageResult]:
            results = run_segment_stages(config, video, last, one_bar, load, first, execute=cluster.run_pass)
            return results if is_before(last, TRACKS) else [*results, *run_linking(config, video, first)]

        running = {video: threads.submit(run, video) for video in videos}
        try:
            for video, done in running.items():
                try:
                    for result in done.result():
                        report(result)
                except (PipelineError, DetectorError, AnnotateError) as error:
                    failed[video] = str(error)
        except BaseException:
            cluster.stop()
            threads.shutdown(wait=True, cancel_futures=True)
            raise
    return failed


class Cluster:
    """The connection to a cluster, as long as the `with` lasts."""

    def __init__(self, config: FlightConfig) -> None:
        self._engine = config.engine
        self._alone = not (config.engine.address or os.environ.get("RAY_ADDRESS"))
        self._ray = _import_ray()
        self._stopped = threading.Event()
        self._judging = threading.Lock()
        self._runtime = ""  # of the first task that detected

    def __enter__(self) -> Self:
        address = self._engine.address
        try:
            own: dict[str, Any] = (
                {"include_dashboard": False, "_node_ip_address": "127.0.0.1"} if self._alone else {}
            )
            with _no_way_out() if self._alone else nullcontext():
                self._ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
        except Exception as error:  # of many kinds, Exception itself among them
            where = f"at {address}" if address else "to be begun here"
            raise PipelineError(f"no Ray cluster {where}: {_first_line(error)}") from None
        try:
            needs = resources_of(self._engine, self._ray.nodes())
        except BaseException:
            self._ray.shutdown()
            raise
        self._room = threading.Semaphore(_AHEAD * needs.places)
        # max_calls: else the process ends after each task that has a GPU, and with it the model.
        self._task = self._ray.remote(
            num_cpus=needs.cpus,
            num_gpus=needs.gpus,
            max_calls=0,
            max_retries=_TRIES,
            scheduling_strategy="SPREAD",
        )(fill_segments)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray.shutdown()

    def stop(self) -> None:
        """Let nothing more begin."""
        self._stopped.set()

    def run_pass(self, work: Work, advance: Callable[[int], None]) -> None:
        """As `run_pass` of a pass in this process.

        Raises:
            PipelineError: also where a machine computes otherwise than the first one, or was lost too often.

        """
        started = time.monotonic()
        for stage in work.stages:
            stage.folder.begin()
        sent = self._ray.put((_resolved(work), str(Path.cwd()), version("uavpipe")))
        running: dict[Any, list[int]] = {}
        try:
            for numbers in tasks_of(work.video.segments, self._engine.segments):
                while not self._room.acquire(timeout=_POLL_S):
                    self._finish_some(running, work, advance, 0)
                running[self._task.remote(sent, numbers)] = numbers
            while running:
                self._finish_some(running, work, advance, _POLL_S)
        finally:  # of an error: what still runs may write until it has ended
            self._cancel(running, work)
        _wait_for_parts(work)
        for stage in work.stages:
            with suppress(OSError):  # a machine that was taken for lost may still be writing
                stage.folder.sweep()
            stage.end(work.video.segments, time.monotonic() - started)

    def _finish_some(
        self, running: dict[Any, list[int]], work: Work, advance: Callable[[int], None], wait_s: float
    ) -> None:
        if self._stopped.is_set():
            raise PipelineError("stopped")
        if not running:
            return
        for task in self._ray.wait(list(running), timeout=wait_s)[0]:
            numbers = running.pop(task)
            self._room.release()
            self._check(self._answer(task), numbers, work)
            advance(sum(work.video.segments[each].stop - work.video.segments[each].first for each in numbers))

    def _answer(self, task: Any) -> Filled:
        try:
            answer: Filled = self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.RayError as error:
            raise PipelineError(
                f"Ray lost a task {1 + _TRIES} times: {_first_line(error)}; finished parts are kept: run again"
            ) from None
        return answer

    def _check(self, answer: Filled, numbers: Sequence[int], work: Work) -> None:
        if answer.error:
            raise PipelineError(answer.error)
        with self._judging:
            self._runtime = self._runtime or answer.runtime
        if answer.runtime in ("", self._runtime) or self._engine.mixed:
            return
        self._remove_others(numbers, work)
        raise PipelineError(
            f"{work.stages[0].folder.path.parent}: one machine computes as '{answer.runtime}', another as "
            f"'{self._runtime}', and last digits would differ; take machines of one kind, or set engine.mixed: true"
        )

    def _remove_others(self, numbers: Sequence[int], work: Work) -> None:
        """Remove the parts of segments `numbers` of which a machine of another kind made the detections."""
        detecting = [stage.tables[-1] for stage in work.stages if stage.makes_detections]
        for first in (work.video.segments[number].first for number in numbers):
            if any(set(table.runtimes([first])) - {self._runtime} for table in detecting):
                for table in (table for stage in work.stages for table in stage.tables):
                    table.part(first).unlink(missing_ok=True)

    def _cancel(self, running: dict[Any, list[int]], work: Work) -> None:
        for task in running:
            self._ray.cancel(task)
            self._room.release()
        if running:
            self._ray.wait(list(running), num_returns=len(running), timeout=_CANCEL_S)
        if self._runtime and not self._engine.mixed:
            for numbers in running.values():
                self._remove_others(numbers, work)


def resources_of(engine: EngineConfig, nodes: Sequence[Mapping[str, Any]]) -> Resources:
    """What a task takes of `nodes`, as Ray lists them.

    By default a quarter of a GPU where there are some, with the cores that belong to it; else all cores of a
    machine: a task uses as many as it has.

    Raises:
        PipelineError: none of them has as much.

    """
    alive = [Counter(node["Resources"]) for node in nodes if node["Alive"]]
    there = [node for node in alive if node["CPU"] >= 1]
    with_gpu = [node for node in there if node["GPU"] > 0]
    gpus = engine.gpus if engine.gpus is not None else (_SHARE_OF_GPU if with_gpu else 0.0)
    able = with_gpu if gpus else there
    fit = [node["CPU"] * min(1.0, gpus / node["GPU"]) if gpus else node["CPU"] for node in able]
    cpus = engine.cpus or max(1, int(min(fit, default=1)))
    places = sum(int(min(node["CPU"] / cpus, node["GPU"] / gpus if gpus else inf)) for node in able)
    if not places:
        raise PipelineError(
            f"no machine of the Ray cluster has {cpus} cores and {gpus:g} GPU for a task; set engine.cpus and "
            "engine.gpus"
        )
    return Resources(cpus, gpus, places)


def tasks_of(segments: Sequence[Segment], size: int) -> Iterator[list[int]]:
    """The numbers of the segments of each task: whole decoder runs, about `size` segments."""
    task: list[int] = []
    for _, group in groupby(segments, key=lambda segment: segment.run):
        run = [segment.number for segment in group]
        if task and len(task) + len(run) > size:
            yield task
            task = []
        task += run
    if task:
        yield task


def fill_segments(sent: tuple[Work, str, str], numbers: Sequence[int]) -> Filled:
    """The task: fill the segments with these `numbers`, in a process of the cluster.

    Args:
        sent: the work, the driver's folder, against which its paths are, and its version of uavpipe.
        numbers: of segments.

    """
    work, folder, driver = sent
    used: list[str] = []

    def load() -> PersonDetector:
        given = work.load_detector
        assert isinstance(given, LoadDetector)
        given.stage.check_precision()
        detector = _kept(given.config, given.stage.inputs["weights"], given.load)
        used.append(detector.runtime)
        return detector

    try:
        _settle(folder, driver)
        fill(replace(work, load_detector=load), [work.video.segments[number] for number in numbers], _ignore)
    except (PipelineError, DetectorError) as error:
        return Filled(error=f"{error} (on {socket.gethostname()})")
    return Filled("".join(used))


_kept = lru_cache(maxsize=1)(load_unchanged)  # in a worker process: for its next task


def _settle(folder: str, driver: str) -> None:
    if version("uavpipe") != driver:
        raise PipelineError(f"uavpipe {version('uavpipe')}, and the driver's is {driver}; install one everywhere")
    try:
        os.chdir(folder)
    except OSError as error:
        raise PipelineError(
            f"{folder}: {error.strerror}; all machines need this folder, the videos and the workspace under the "
            "same paths"
        ) from None


def _ignore(count: int) -> None:
    """Progress is counted by the driver."""


def _resolved(work: Work) -> Work:
    """`work` with the weights that the configuration means on this machine, by their path."""
    given = work.load_detector
    if not isinstance(given, LoadDetector) or not any(stage.makes_detections for stage in work.stages):
        return work
    source = _source(given.config)
    path = "embedded" if source.path == EMBEDDED else str(source.path.resolve())
    return replace(work, load_detector=replace(given, config=given.config.model_copy(update={"weights": path})))


@lru_cache(maxsize=1)
def _source(config: DetectorConfig) -> WeightsSource:
    source = source_of(config)
    if source.warning:
        log.warning("%s", source.warning)
    return source


def _wait_for_parts(work: Work) -> None:
    """Wait until this machine sees what the others have written.

    Raises:
        PipelineError: a part is not there.

    """
    until = time.monotonic() + _SEEN_S
    for stage in work.stages:
        for segment in work.video.segments:
            while not stage.is_done(segment):
                if time.monotonic() > until:
                    part = stage.tables[-1].part(segment.first)
                    raise PipelineError(f"{part}: a task finished it, and it is not seen here; run again")
                time.sleep(1)


def _import_ray() -> Any:
    """Ray, which reports its use to its maker unless it is told not to."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_USAGE_STATS_REPORT_URL", _NOWHERE)  # else a cluster reports that it is disabled
    try:
        import ray
    except ImportError:
        raise PipelineError("engine ray: needs the package ray; pip install 'uavpipe[ray]'") from None
    return ray


@contextmanager
def _no_way_out() -> Iterator[None]:
    """Within, what Ray starts has a proxy that is not there: it asks for the cloud that it might be in."""
    before = {name: os.environ.get(name) for name in PROXY}
    os.environ.update(PROXY)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
