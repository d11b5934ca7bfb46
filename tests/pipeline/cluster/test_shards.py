"""Shards of a run: which segments they fill, what they leave of each other's work, and the bytes at the end."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.config.models import FlightConfig
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.run.flights import run_flights
from pipeline.run.shards import Shard, Share, run_shard, shares
from pipeline.video import Segment
from pipeline.video.records import Run
from pipeline.workspace.folders import open_flight
from tests.pipeline.cluster import emulated
from tests.pipeline.cluster.conftest import ROOT, config_of, contents, words_of


@pytest.fixture(autouse=True)
def emulated_detector(monkeypatch):
    monkeypatch.setattr("pipeline.run.flight.load_predictor", emulated.load)


def fill(config, number, count, **options):
    filled = []
    assert run_shard(config, Shard(number, count), progress_bar, filled.append, **options) == {}
    return filled


def start(clips, workspace, shard, sleep_ms):
    """A process with an emulated detector that fills `shard`."""
    command = [sys.executable, "-m", "tests.pipeline.cluster.emulated", "run", "--shard", shard]
    command += words_of(clips, workspace)
    environment = os.environ | {emulated.SLEEP: str(sleep_ms), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_each_segment_is_in_one_share_and_what_one_decoder_makes_stays_together(tmp_path):
    videos = []
    for name, size in {"a": 3000, "b": 1, "c": 2000, "d": 5000}.items():
        videos.append(tmp_path / f"{name}.mp4")
        videos[-1].write_bytes(bytes(size))
    config = FlightConfig(workspace=tmp_path, videos=[*videos, tmp_path / "gone.mp4"])
    # Runs of two segments of eight frames.
    segments = [Segment(n, 8 * n, 8 * n + 8, Run(n // 2, 16 * (n // 2), 16 * (n // 2) + 16)) for n in range(40)]
    for count in (1, 2, 3, 7, 100):
        taken = []
        for number in range(1, count + 1):
            mine = [
                (share.video.name, segment.number)
                for share in shares(config, Shard(number, count))
                for segment in share.segments(segments)
            ]
            taken.append(mine)
        whole = [each for mine in taken for each in mine]
        assert sorted(whole) == [(video.name, n) for video in sorted(config.flights) for n in range(40)]
        for mine in taken:
            assert all((name, number ^ 1) in mine for name, number in mine)
    # By size: of 10,002 bytes, one for the file that is gone, each of two shards has 5,001.
    first, second = ([share.video.name for share in shares(config, Shard(n, 2))] for n in (1, 2))
    assert first == ["a.mp4", "b.mp4", "c.mp4"]
    assert second == ["d.mp4", "gone.mp4"]


def test_three_shards_of_which_one_is_killed_end_with_the_bytes_of_one_run(clips, plain, tmp_path, monkeypatch):
    workspace = tmp_path / "runs"
    running = [start(clips, workspace, f"{number}/3", sleep_ms=60) for number in (1, 2, 3)]
    until = time.monotonic() + 100
    parts = workspace / "flight0" / "detections" / "detections.parquet"
    while not list(parts.glob("part-*")):
        assert time.monotonic() < until, running[0].communicate()[0]
        time.sleep(0.02)
    running[0].send_signal(signal.SIGKILL)
    for process in running[1:]:
        output = process.communicate(timeout=100)[0]
        assert process.returncode == 0, output
        assert "is done. When all 3 are:\n  uavpipe run " in output
    assert running[0].wait() == -signal.SIGKILL
    again = fill(config_of(clips, workspace), 1, 3)
    assert [each.of for each in again] == [12]
    assert not list(workspace.rglob("manifest.json"))

    monkeypatch.setattr("pipeline.run.flight.load_predictor", lambda *_: pytest.fail("something was not filled"))
    assert run_flights(config_of(clips, workspace), progress_bar, lambda result: None) == {}
    assert contents(workspace) == plain


def test_a_lost_shard_is_made_up_for_by_the_run_that_finishes(clips, plain, tmp_path):
    config = config_of(clips, tmp_path)
    fill(config, 2, 2)
    assert run_flights(config, progress_bar, lambda result: None) == {}
    assert contents(tmp_path) == plain
    assert [each.of for each in fill(config, 1, 1)] == [0, 0]  # finished: there is nothing left for a shard
    assert contents(tmp_path) == plain


def test_shards_share_a_flight_and_keep_ordinary_runs_out(clips, tmp_path):
    video = clips / "flight0.mp4"
    with open_flight(tmp_path, video, shared=True) as flight:
        fill(config_of(clips, tmp_path), 1, 2)
        result = run_flights(config_of(clips, tmp_path), progress_bar, lambda result: None)
        assert set(result) == {video}
        assert f"{flight.folder}: another uavpipe (process {os.getpid()} on " in result[video]
    with open_flight(tmp_path, video):
        failed = run_shard(config_of(clips, tmp_path), Shard(1, 2), progress_bar, lambda filled: None)
        assert "is at work here" in failed[video]


def test_a_shard_leaves_what_another_is_writing(clips, plain, tmp_path):
    config = config_of(clips, tmp_path)
    (share,) = (share for share in shares(config, Shard(1, 1)) if share.video.name == "flight0.mp4")
    assert share == Share(clips / "flight0.mp4", share.begin, share.end)
    with open_flight(tmp_path, share.video, shared=True) as flight:
        fill(config, 1, 3)
        half = flight.folder / "crops" / "images" / ".part-other-host-1-01234567-00000004"
        half.mkdir()
        fill(config, 2, 3)
        assert half.is_dir()
    fill(config, 3, 3)
    assert run_flights(config, progress_bar, lambda result: None) == {}
    assert contents(tmp_path) == plain  # it was swept


def test_what_another_process_has_finished_meanwhile_stays(clips, plain, tmp_path, monkeypatch):
    """As where a scheduler gives the work of a process that it thinks dead to another one."""
    config = config_of(clips, tmp_path)
    times = {}

    class Late(emulated.Emulated):
        """While it works on the first frames, another process fills all."""

        def predict(self, batch):
            if not times:
                times["begun"] = True
                monkeypatch.setattr("pipeline.run.flight.load_predictor", emulated.load)
                fill(config, 1, 1)
                times.update((path, path.stat().st_ino) for path in tmp_path.rglob("*") if path.is_file())
            return super().predict(batch)

    monkeypatch.setattr("pipeline.run.flight.load_predictor", lambda *_: Late())
    fill(config, 1, 1)
    written = {path: inode for path, inode in times.items() if isinstance(path, Path) and ".lock" not in path.name}
    assert len(written) > 100
    assert {path: path.stat().st_ino for path in written} == written
    assert not list(tmp_path.rglob(".part-*"))
    assert run_flights(config, progress_bar, lambda result: None) == {}
    assert contents(tmp_path) == plain


def test_a_mixture_of_devices_is_said_by_the_shard_that_makes_it(clips, tmp_path, monkeypatch, caplog):
    config = config_of(clips, tmp_path)
    fill(config, 1, 4)
    assert "in part computed" not in caplog.text
    monkeypatch.setattr("pipeline.run.flight.load_predictor", lambda *_: emulated.Emulated(runtime="another"))
    with caplog.at_level(logging.WARNING):
        fill(config, 2, 4)
    assert "in part computed by each of: another; emulated; last digits may differ" in caplog.text


def test_shards_of_machines_that_mean_other_precisions_are_refused(clips, tmp_path, monkeypatch):
    config = config_of(clips, tmp_path)
    monkeypatch.setattr("detector.precision.has_gpu", lambda: True)
    fill(config, 1, 2)
    monkeypatch.setattr("detector.precision.has_gpu", lambda: False)
    failed = run_shard(config, Shard(2, 2), progress_bar, lambda filled: None)
    (reason,) = {reason for video, reason in failed.items() if video.name == "flight0.mp4"}
    assert "was begun on another machine in fp16, and this one computes in fp32" in reason
    # With all parts there, the machine that finishes needs no GPU.
    monkeypatch.setattr("detector.precision.has_gpu", lambda: True)
    for number in (1, 2):
        run_shard(config, Shard(number, 2), progress_bar, lambda filled: None)
    monkeypatch.setattr("detector.precision.has_gpu", lambda: False)
    monkeypatch.setattr("pipeline.run.flight.load_predictor", lambda *_: pytest.fail("the model was loaded"))
    assert set(run_flights(config, progress_bar, lambda result: None)) == set()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--shard", "4/3"], "expected 1 to 3 of 3, not 4"),
        (["--shard", "0/3"], "expected 1 to 3 of 3, not 0"),
        (["--shard", "half"], "expected I/N, such as 2/8, not 'half'"),
        (["--shard", "1/2", "--dry-run"], "--shard fills segments of video"),
        (["--shard", "1/2", "--from", "dataset"], "--shard fills segments of video"),
    ],
)
def test_what_is_no_shard_is_refused(arguments, reason):
    result = CliRunner().invoke(main, ["run", "a.mp4", *arguments])
    assert result.exit_code == 2
    assert reason in result.output


def test_a_bad_flight_does_not_stop_a_shard(clips, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(bytes(1000))
    config = FlightConfig(workspace=tmp_path / "runs", videos=[tmp_path / "bad.mp4", clips / "flight0.mp4"])
    filled = []
    failed = run_shard(config, Shard(1, 1), progress_bar, filled.append)
    assert list(failed) == [tmp_path / "bad.mp4"]
    assert [each.folder.name for each in filled] == ["flight0"]
    with pytest.raises(PipelineError, match="no video"):
        run_shard(FlightConfig(workspace=tmp_path), Shard(1, 1), progress_bar, filled.append)
