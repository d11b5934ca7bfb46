"""Segments as tasks of Ray: the bytes of one run, also where a machine or the driver is lost."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.config.models import EngineConfig
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.run.flight import describe
from pipeline.run.flights import run_flights
from pipeline.run.ray_engine import PROXY, Resources, resources_of, run_flights_on_ray, tasks_of
from pipeline.video import Segment
from pipeline.video.records import Run
from pipeline.workspace.folders import open_flight
from tests.pipeline.cluster import emulated
from tests.pipeline.cluster.conftest import ROOT, config_of, contents, words_of


class TwoMachines:
    """A cluster of two machines with a core each, both on this one; the second one can be lost."""

    def __init__(self):
        from ray.cluster_utils import Cluster

        self._cluster, self._second = Cluster(), None
        self._begin(include_dashboard=False, no_monitor=True)
        self.address = self._cluster.address

    def complete(self):
        """Begin the second machine, if it is not there."""
        if self._second is None:
            self._second = self._begin()

    def lose_one(self):
        """End the second machine's processes, tasks and all."""
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None

    def end(self):
        self._cluster.shutdown()

    def _begin(self, **options):
        """Begin a machine. Ray waits 15 s for its own processes; which take longer on a busy computer."""
        for left in reversed(range(5)):
            try:
                return self._cluster.add_node(num_cpus=1, include_log_monitor=False, **options)
            except Exception:
                if not left:
                    raise


@pytest.fixture(scope="module")
def machines():
    pytest.importorskip("ray", reason="ray is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_USAGE_STATS_REPORT_URL", "http://127.0.0.1:9")
        for name, value in PROXY.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", watched_path())
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv(emulated.SLEEP, "20")
        machines = TwoMachines()
        yield machines
        machines.end()


@pytest.fixture
def cluster(machines):
    machines.complete()
    return machines


def watched_path():
    """PYTHONPATH with this repository, and with what counts connections."""
    return os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))


@contextmanager
def quiet(title, total):
    yield lambda count: None


def engine_of(cluster, **settings):
    return EngineConfig(name="ray", address=cluster.address, cpus=1, segments=2, **settings)


def test_the_bytes_are_those_of_one_run_though_a_machine_is_lost(cluster, clips, plain, tmp_path, monkeypatch):
    monkeypatch.setattr(emulated.Emulated, "used", False)
    lost, done, once = [], [], threading.Lock()  # each flight advances from a thread of its own

    @contextmanager
    def losing(title, total):
        def advance(count):
            with once:
                done.append(count)
                if sum(done) >= 84 // 3 and not lost:
                    lost.append(cluster.lose_one())
                    for flight in ("flight0", "flight1"):  # what it was writing, wherever it was
                        (tmp_path / flight / "crops" / "images" / ".part-lost").mkdir(parents=True, exist_ok=True)
                        (tmp_path / flight / "crops" / "images" / ".part-lost" / "0.jpg").write_bytes(b"half")

        yield advance

    config = config_of(clips, tmp_path, engine=engine_of(cluster))
    reported = []
    assert run_flights_on_ray(config, losing, reported.append, load=emulated.load) == {}
    assert lost
    assert sum(done) == 84
    assert len(reported) == 12
    assert [result.folder.parent.name for result in reported] == ["flight0"] * 6 + ["flight1"] * 6
    assert contents(tmp_path) == plain
    assert not emulated.Emulated.used  # no frame was seen in this process


def test_a_killed_driver_is_followed_by_another(cluster, clips, plain, tmp_path):
    command = [sys.executable, "-m", "tests.pipeline.cluster.emulated", "run", *words_of(clips, tmp_path)]
    command += ["--set", "engine.cpus=1", "--set", "engine.segments=2", "--until", "tracks"]
    command += ["--ray", cluster.address]
    environment = os.environ | {"PYTHONPATH": watched_path()}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as driver:
        until = time.monotonic() + 120
        while len(list(tmp_path.glob("*/detections/detections.parquet/part-*"))) < 3:
            assert time.monotonic() < until
            assert driver.poll() is None, driver.stderr.read()
            time.sleep(0.02)
        driver.send_signal(signal.SIGKILL)
    assert not list(tmp_path.rglob("manifest.json"))
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("→") == 12
    assert contents(tmp_path) == plain


def test_machines_of_two_kinds_are_refused_and_nothing_of_the_second_is_kept(cluster, clips, tmp_path):
    load = emulated.load_of_process
    config = config_of(clips, tmp_path, engine=engine_of(cluster))
    failed = run_flights_on_ray(config, quiet, lambda result: None, load=load)
    assert failed
    assert all("take machines of one kind, or set engine.mixed: true" in reason for reason in failed.values())
    kinds = set()
    for flight in ("flight0", "flight1"):
        with open_flight(tmp_path, clips / f"{flight}.mp4") as opened:
            stage = next(each for each in describe(config, opened) if each.name == "detect")
            kinds |= set(stage.tables[0].runtimes(range(0, 48, 4)))
    assert len(kinds) == 1
    mixed = config_of(clips, tmp_path, engine=engine_of(cluster, mixed=True))
    assert run_flights_on_ray(mixed, quiet, lambda result: None, load=load) == {}


def test_what_fails_in_a_task_is_the_flights(cluster, clips, tmp_path):
    config = config_of(clips, tmp_path, engine=engine_of(cluster))
    with open_flight(tmp_path, clips / "flight1.mp4"):
        failed = run_flights_on_ray(config, quiet, lambda result: None, load=emulated.load_broken)
    assert list(failed) == [clips / "flight0.mp4", clips / "flight1.mp4"]
    assert "small.safetensors: damaged (on " in failed[clips / "flight0.mp4"]
    assert "is at work here" in failed[clips / "flight1.mp4"]


def test_ctrl_c_ends_the_tasks_and_keeps_the_parts(cluster, clips, plain, tmp_path):
    def stop(result):
        raise KeyboardInterrupt

    config = config_of(clips, tmp_path, engine=engine_of(cluster))
    with pytest.raises(KeyboardInterrupt):
        run_flights_on_ray(config, quiet, stop, load=emulated.load)
    parts = {path: path.stat().st_ino for path in tmp_path.rglob("part-*.parquet")}
    assert parts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.run.flight.load_predictor", emulated.load)
        assert run_flights(config, progress_bar, lambda result: None) == {}
    assert {path: path.stat().st_ino for path in parts} == parts
    assert contents(tmp_path) == plain


def test_ray_reports_nothing_to_its_maker():
    pytest.importorskip("ray", reason="ray is not installed")
    code = "import pipeline.run.ray_engine as e; e._import_ray()\n"
    code += "from ray._common.usage.usage_lib import usage_stats_enabled; print(usage_stats_enabled())"
    environment = {name: value for name, value in os.environ.items() if "RAY" not in name}
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["False"]


def test_one_module_alone_imports_ray():
    imports = [
        path.name
        for package in ("pipeline", "annotate", "detector", "reid")
        for path in (ROOT / package).rglob("*.py")
        if any(line.split()[:2] in (["import", "ray"], ["from", "ray"]) for line in path.read_text().splitlines())
    ]
    assert imports == ["ray_engine.py"]


def test_without_ray_one_line_says_how_to_get_it(clips, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    result = CliRunner().invoke(main, ["run", *words_of(clips, tmp_path), "--ray"])
    assert result.exit_code == 1
    assert result.output == "uavpipe: engine ray: needs the package ray; pip install 'uavpipe[ray]'\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--ray", "--shard", "1/2"], "--shard and --ray are two ways"),
        (["--ray", str(ROOT)], "expected the address of a Ray cluster; give --ray last"),
        (["--set", "engine.name=spark"], "engine.name: input should be 'local' or 'ray', not 'spark'"),
    ],
)
def test_what_cannot_be_is_refused(arguments, reason):
    result = CliRunner().invoke(main, ["run", "a.mp4", *arguments])
    assert result.exit_code in (1, 2)
    assert reason in result.output


def node(cpus, gpus=0, alive=True):
    return {"Alive": alive, "Resources": {"CPU": cpus, "memory": 1} | ({"GPU": gpus} if gpus else {})}


@pytest.mark.parametrize(
    ("settings", "nodes", "expected"),
    [
        ({}, [node(8), node(16)], Resources(8, 0.0, 3)),  # the machine with 16 cores takes two tasks of 8
        ({"cpus": 4}, [node(0), node(8), node(6)], Resources(4, 0.0, 3)),
        ({}, [node(32, 2), node(64)], Resources(4, 0.25, 8)),  # four on a GPU, and none where there is no GPU
        ({"gpus": 1.0}, [node(16, 1), node(8, 1)], Resources(8, 1.0, 2)),
        ({"gpus": 0.0}, [node(16, 1)], Resources(16, 0.0, 1)),
        ({"cpus": 2}, [node(8, alive=False), node(2)], Resources(2, 0.0, 1)),
    ],
)
def test_what_a_task_takes_and_how_many_run_at_once(settings, nodes, expected):
    assert resources_of(EngineConfig(name="ray", **settings), nodes) == expected


@pytest.mark.parametrize(
    ("settings", "nodes"), [({"gpus": 0.5}, [node(8)]), ({"cpus": 9}, [node(8)]), ({}, [node(0)])]
)
def test_a_cluster_without_room_for_a_task_is_refused(settings, nodes):
    with pytest.raises(PipelineError, match="no machine of the Ray cluster has"):
        resources_of(EngineConfig(name="ray", **settings), nodes)


def test_what_one_decoder_makes_is_one_task():
    long, short = Run(0, 0, 48), [Run(48 + n, 48 + 8 * n, 56 + 8 * n) for n in range(5)]
    segments = [Segment(n, 8 * n, 8 * n + 8, long if n < 6 else short[n - 6]) for n in range(11)]
    assert list(tasks_of(segments, 2)) == [[0, 1, 2, 3, 4, 5], [6, 7], [8, 9], [10]]
    assert list(tasks_of(segments, 8)) == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10]]
    assert list(tasks_of([], 8)) == []
