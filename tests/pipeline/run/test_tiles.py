import json
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from types import SimpleNamespace

import numpy as np
import pytest

import uavpipe
from detector.config import DetectorConfig, Resize, Tiles
from pipeline.chain.table import DETECT
from pipeline.config.models import CameraConfig, EngineConfig, FlightConfig, FramesConfig
from pipeline.engine.progress import progress_bar
from pipeline.run import tiles
from pipeline.run.flight import run_stages
from pipeline.run.plan import plan_flights
from pipeline.run.ray_engine import run_flights_on_ray
from pipeline.run.shards import Shard, run_shard
from pipeline.simulate import simulate_flight
from pipeline.telemetry.ground_plane import View
from tests.pipeline.cluster.emulated import Emulated

AUTO = DetectorConfig(weights="embedded", resize=Resize(width=192, height=192), threshold=0.3, tiles="auto")


@pytest.fixture(scope="module")
def flight(tmp_path_factory):
    path = tmp_path_factory.mktemp("flight") / "flight01.mp4"
    simulate_flight(path, people=6, seconds=3, seed=3, size=(320, 180), fps=4, altitude=12)
    return path


def config(workspace, **sections):
    sections = {"detector": AUTO, "frames": FramesConfig(segment_frames=4)} | sections
    return FlightConfig(workspace=workspace, **sections)


@pytest.fixture
def decisions(monkeypatch):
    """Every decision that is made; the first look is not taken, but small persons are assumed."""
    from detector.backends.tile_choice import Choice

    made = []

    def choose(video, *others):
        made.append(video.path)
        time.sleep(0.1)  # so that another shard would decide, too, if it did not wait
        return Choice(Tiles(size=180), 3.0, "as assumed")

    monkeypatch.setattr(tiles, "choose_tiles", choose)
    return made


def boxes(workspace):
    parts = sorted((workspace / "flight01" / "detections" / "detections.parquet").glob("*.parquet"))
    return [part.read_bytes() for part in parts]


def test_tiles_are_decided_once_and_are_the_settings_of_the_stage(flight, tmp_path, decisions, caplog):
    (_, result) = run_stages(config(tmp_path), flight, DETECT, progress_bar)
    assert not result.skipped
    assert "flight01: detector.tiles: auto: tiles of 180 px and the whole image, 3.0 × the model" in caplog.text
    manifest = json.loads((tmp_path / "flight01" / "detections" / "manifest.json").read_text())
    assert manifest["section"]["tiles"] == Tiles(size=180).model_dump()
    assert json.loads((tmp_path / "flight01" / "detections" / "tiles.json").read_text())["why"] == "as assumed"
    again = run_stages(config(tmp_path), flight, DETECT, progress_bar)
    assert [each.skipped for each in again] == [True, True]
    assert len(decisions) == 1
    # As if they had been configured.
    named = AUTO.model_copy(update={"tiles": Tiles(size=180)})
    assert all(each.skipped for each in run_stages(config(tmp_path, detector=named), flight, DETECT, progress_bar))
    assert not any(each.reason for each in plan_flights(config(tmp_path, video=flight), DETECT))


def test_shards_and_a_resumed_run_detect_as_was_decided_first(flight, tmp_path, decisions):
    whole, shards = tmp_path / "whole", tmp_path / "shards"
    run_stages(config(whole), flight, DETECT, progress_bar)

    def fill(number):
        return run_shard(config(shards, video=flight), Shard(number, 2), progress_bar, print, last=DETECT)

    with ThreadPoolExecutor(2) as both:
        assert list(both.map(fill, (2, 1))) == [{}, {}]
    assert len(decisions) == 2
    run_stages(config(shards), flight, DETECT, progress_bar)
    assert len(decisions) == 2
    assert boxes(shards) == boxes(whole)


class RayHere:
    """Stands for Ray: a task is what would be sent, and is done in this process when its answer is asked for."""

    def init(self, **options):
        pass

    def shutdown(self):
        pass

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": 1}}]

    def put(self, content):
        return pickle.dumps(content)

    def remote(self, **options):
        return lambda task: SimpleNamespace(remote=lambda sent, *rest: partial(task, pickle.loads(sent), *rest))

    def wait(self, tasks, timeout):
        return tasks, []

    def get(self, task):
        return task()


def load_and_tell(config, source):
    loaded.append(config.tiles)
    return Emulated()


loaded = []


def test_tasks_of_ray_detect_as_their_driver_decided(flight, tmp_path, decisions, monkeypatch):
    monkeypatch.setattr("pipeline.run.ray_engine._import_ray", RayHere)
    on_ray = config(tmp_path, video=flight, engine=EngineConfig(name="ray", segments=1))
    assert run_flights_on_ray(on_ray, progress_bar, lambda result: None, DETECT, load=load_and_tell) == {}
    assert len(decisions) == 1
    assert loaded
    assert set(loaded) == {Tiles(size=180)}


def test_another_detector_is_decided_for_again(flight, tmp_path, decisions):
    run_stages(config(tmp_path), flight, DETECT, progress_bar)
    run_stages(config(tmp_path, detector=AUTO.model_copy(update={"floor": 0.1})), flight, DETECT, progress_bar)
    assert len(decisions) == 2


def test_a_first_look_decides_by_frames_of_the_whole_flight(flight, tmp_path, caplog):
    run_stages(config(tmp_path), flight, DETECT, progress_bar)
    assert "in 1 frame " in caplog.text
    assert tiles._numbers(895) == [int((n + 0.5) * 895 / 18) for n in range(18)]
    assert len(tiles._numbers(100_000)) == 32


def test_where_the_camera_is_known_the_telemetry_decides_without_a_look(flight, tmp_path, caplog):
    known = config(tmp_path, camera=CameraConfig(fov_deg=70))
    run_stages(known, flight, DETECT, progress_bar)
    assert "auto: " in caplog.text
    assert "by the telemetry, persons are" in caplog.text
    assert "frames with" not in caplog.text


def test_a_persons_height_by_the_telemetry_is_that_of_the_simulated_persons(flight):
    rows = flight.with_suffix(".camera.csv").read_text().splitlines()
    cameras = [dict(zip(rows[0].split(","), map(float, row.split(",")), strict=True)) for row in rows[1:]]
    ratios = []
    for line in flight.with_suffix(".gt.txt").read_text().splitlines():
        frame, _, _, top, _, height, *_, visibility = (float(value) for value in line.split(","))
        camera = cameras[int(frame) - 1]
        fov = 2 * np.degrees(np.arctan(320 / 2 / camera["focal_px"]))
        view = View(camera["altitude_m"], -np.degrees(camera["pitch_rad"]), fov, 320, 180)
        expected = view.person_pixels(top + height)
        if visibility > 0.9 and top > 2 and top + height < 178 and expected:
            ratios.append(height / expected)
    assert len(ratios) > 10
    assert median(ratios) == pytest.approx(1, abs=0.15)


def test_detect_in_python_decides_for_a_video_and_refuses_for_an_image(flight):
    settings = {"weights": "embedded", "resize": {"width": 192, "height": 192}, "tiles": "auto"}
    assert len(list(uavpipe.detect(flight, **settings))) == 12
    with pytest.raises(uavpipe.UavpipeError, match="decided for a whole flight"):
        uavpipe.detect(np.zeros((90, 160, 3), np.uint8), **settings)
