import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from annotate.operations import Mark, NewIdentity, Rename, SetMark
from annotate.project import Project
from detector.config import DetectorConfig, Resize
from pipeline.chain.table import CROPS, FRAMES, SEGMENT_STAGES, TRACKS
from pipeline.config.models import CropsConfig, FlightConfig, FramesConfig, TracksConfig
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.report import write_report
from pipeline.run.flight import run_overlay, run_stages
from pipeline.simulate import simulate_flight
from pipeline.workspace.tables import read_table
from tests.pipeline.video.samples import packet_ranges, write_holes

# A low floor and threshold: what is tested here is the chain, not how good the detector is.
SMALL = DetectorConfig(weights="embedded", resize=Resize(width=320, height=320), floor=0.02, threshold=0.3)
LENGTH = 24  # frames
BY_EIGHT = FramesConfig(segment_frames=8)


@pytest.fixture(scope="module")
def flight(tmp_path_factory):
    path = tmp_path_factory.mktemp("flight") / "flight01.mp4"
    # One key frame every second is one every 8 frames here: a boundary of segments each.
    simulate_flight(path, people=6, seconds=LENGTH // 8, seed=3, size=(320, 180), fps=8, altitude=12)
    return path


def config(workspace: Path, **sections) -> FlightConfig:
    return FlightConfig(workspace=workspace, **({"detector": SMALL, "frames": BY_EIGHT} | sections))


def tables(workspace: Path) -> dict[str, bytes]:
    """Every file of the workspace that must not depend on how often the run was interrupted."""
    kept = [path for path in workspace.rglob("*") if path.suffix in (".parquet", ".jpg") and path.is_file()]
    return {path.relative_to(workspace).as_posix(): path.read_bytes() for path in kept}


def keys(rows: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(rows["frame"], rows["rank"], strict=True))


@pytest.fixture(scope="module")
def undisturbed(flight, tmp_path_factory):
    workspace = tmp_path_factory.mktemp("undisturbed")
    results = run_stages(config(workspace), flight, CROPS, progress_bar)
    return workspace, results


def test_one_pass_fills_all_three_tables(undisturbed):
    workspace, results = undisturbed
    folder = workspace / "flight01"
    frames = read_table(folder / "frames" / "frames.parquet")
    boxes = read_table(folder / "detections" / "detections.parquet")
    crops = read_table(folder / "crops" / "crops.parquet")
    assert frames["frame"].tolist() == list(range(LENGTH))
    np.testing.assert_allclose(frames["pts_s"], np.arange(LENGTH) / 8, atol=1e-6)
    assert not frames[["lost", "corrupt"]].any(axis=None)
    assert [result.counts["frames"] for result in results[:1]] == [LENGTH]
    assert len(boxes) > 0
    assert (boxes["score"] >= 0.02).all()
    assert len(crops) == ((boxes["score"] >= 0.3) & (boxes["y2"] - boxes["y1"] >= 16)).sum()


def test_a_crop_is_what_the_frame_shows_there(undisturbed, flight):
    from pipeline.video import open_video

    folder = undisturbed[0] / "flight01" / "crops"
    row = read_table(folder / "crops.parquet").iloc[-1]
    frame = next(f for f in open_video(flight).read_all() if f.index == row["frame"])
    expected = frame.image[row["top"] : row["bottom"], row["left"] : row["right"]]
    saved = cv2.cvtColor(cv2.imread(str(folder / row["crop"])), cv2.COLOR_BGR2RGB)
    assert saved.shape == expected.shape
    assert np.abs(saved.astype(int) - expected.astype(int)).mean() < 8  # JPEG


def test_a_second_run_does_nothing(undisturbed, flight, monkeypatch):
    workspace, _ = undisturbed
    before = {path: path.stat().st_mtime_ns for path in workspace.rglob("*") if path.suffix == ".parquet"}
    monkeypatch.setattr("pipeline.run.flight.open_redacted", lambda *a, **k: pytest.fail("the video was opened"))
    results = run_stages(config(workspace), flight, CROPS, progress_bar)
    assert [result.skipped for result in results] == [True, True, True]
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_another_threshold_makes_new_crops_without_the_model(flight, tmp_path, monkeypatch):
    run_stages(config(tmp_path), flight, CROPS, progress_bar)
    monkeypatch.setattr("pipeline.run.flight.load_predictor", lambda *a: pytest.fail("the model was loaded"))
    higher = SMALL.model_copy(update={"threshold": 0.6})
    frames, detect, crops = run_stages(config(tmp_path, detector=higher), flight, CROPS, progress_bar)
    assert (frames.skipped, detect.skipped, crops.skipped) == (True, True, False)
    folder = tmp_path / "flight01" / "crops"
    rows = read_table(folder / "crops.parquet")
    boxes = read_table(folder.parent / "detections" / "detections.parquet")
    wanted = boxes[(boxes["score"] >= 0.6) & (boxes["y2"] - boxes["y1"] >= 16)]
    assert 0 < len(wanted) < (boxes["score"] >= 0.3).sum()
    assert keys(rows) == keys(wanted)
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}
    assert on_disk == set(rows["crop"])


def test_tracklets_run_on_over_segments(flight, tmp_path):
    easy = TracksConfig(new_track_score=0.2, high_score=0.2, split_below=None)
    results = run_stages(config(tmp_path, tracks=easy), flight, TRACKS, progress_bar)
    assert [result.stage for result in results] == [stage.name for stage in (*SEGMENT_STAGES, TRACKS)]
    table = pd.read_parquet(tmp_path / "flight01" / "tracks" / "tracklets.parquet")
    assert not table.duplicated(["frame", "rank"]).any()
    assert not table.duplicated(["frame", "tracklet"]).any()
    spans = table.groupby("tracklet")["frame"].agg(["min", "max"]) // 8  # eight frames a segment
    assert (spans["max"] > spans["min"]).any()
    again = run_stages(config(tmp_path, tracks=easy), flight, TRACKS, progress_bar)
    assert [result.skipped for result in again] == [True] * len(results)
    harder = easy.model_copy(update={"min_length": 5})
    again = run_stages(config(tmp_path, tracks=harder), flight, TRACKS, progress_bar)
    assert [result.stage for result in again if not result.skipped] == ["tracks"]


def test_every_nth_frame_and_least_height(flight, tmp_path):
    section = CropsConfig(stride=4, min_height=20, padding=0)
    run_stages(config(tmp_path, crops=section), flight, CROPS, progress_bar)
    rows = read_table(tmp_path / "flight01" / "crops" / "crops.parquet")
    boxes = read_table(tmp_path / "flight01" / "detections" / "detections.parquet")
    sure = boxes[boxes["score"] >= 0.3]
    nth, high = sure["frame"] % 4 == 0, sure["y2"] - sure["y1"] >= 20
    assert 0 < (nth & high).sum() < min(nth.sum(), high.sum())
    assert keys(rows) == keys(sure[nth & high])


def test_a_crop_that_is_missing_or_cut_off_is_made_again(flight, tmp_path, undisturbed):
    run_stages(config(tmp_path), flight, CROPS, progress_bar)
    lost, cut, *_ = (tmp_path / "flight01" / "crops" / "images").rglob("*.jpg")
    lost.unlink()
    cut.write_bytes(cut.read_bytes()[:100])
    run_stages(config(tmp_path), flight, CROPS, progress_bar)
    assert tables(tmp_path) == tables(undisturbed[0])


def test_a_crop_that_was_changed_inside_is_made_again_where_asked(flight, tmp_path, undisturbed):
    run_stages(config(tmp_path), flight, CROPS, progress_bar)
    changed = next((tmp_path / "flight01" / "crops" / "images").rglob("*.jpg"))
    before = changed.read_bytes()
    changed.write_bytes(before[:100] + bytes(8) + before[108:])
    assert run_stages(config(tmp_path), flight, CROPS, progress_bar)[-1].skipped  # its length says nothing
    for skipped in (False, True):
        verified = config(tmp_path, crops=CropsConfig(verify=True))
        assert run_stages(verified, flight, CROPS, progress_bar)[-1].skipped == skipped
        assert changed.read_bytes() == before
    assert tables(tmp_path) == tables(undisturbed[0])


def test_a_damaged_part_is_made_again(flight, tmp_path, undisturbed):
    run_stages(config(tmp_path), flight, CROPS, progress_bar)
    for name in ("frames/frames", "detections/detections", "crops/crops"):
        part = sorted((tmp_path / "flight01" / f"{name}.parquet").glob("part-*"))[1]
        data = bytearray(part.read_bytes())
        data[len(data) // 4] ^= 1
        part.write_bytes(data)  # as long as before
    run_stages(config(tmp_path), flight, CROPS, progress_bar)
    assert tables(tmp_path) == tables(undisturbed[0])


def _start(flight: Path, workspace: Path) -> subprocess.Popen:
    settings = ["frames.segment_frames=8", "detector.weights=embedded", "detector.floor=0.02"]
    settings += ["detector.threshold=0.3", "detector.resize={width: 320, height: 320}"]
    options = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "crops", str(flight)]
    return subprocess.Popen([*command, "--workspace", str(workspace), *options], stderr=subprocess.PIPE, text=True)


def test_killed_at_any_moment_a_rerun_ends_with_the_same_bytes(flight, tmp_path, undisturbed):
    parts = tmp_path / "flight01" / "detections" / "detections.parquet"
    finished: dict[Path, int] = {}
    for wanted in (1, 2):  # kill once so many segments are finished
        run = _start(flight, tmp_path)
        while run.poll() is None and len(list(parts.glob("part-*"))) < wanted:
            time.sleep(0.002)
        run.send_signal(signal.SIGKILL)
        run.wait()
        for path, stamp in finished.items():
            assert path.stat().st_mtime_ns == stamp, f"{path.name} was finished and computed again"
        finished = {path: path.stat().st_mtime_ns for path in parts.glob("part-*")}
        for path in tmp_path.rglob("*.parquet"):
            if path.is_file() and not path.name.startswith("."):
                pd.read_parquet(path)  # whole, whenever the kill came
    run = _start(flight, tmp_path)
    assert run.wait() == 0, run.stderr.read()
    assert tables(tmp_path) == tables(undisturbed[0])
    assert not list(tmp_path.rglob(".part-*"))


def test_the_overlay_has_every_frame_at_its_time(flight, tmp_path):
    import av

    result = run_overlay(config(tmp_path), flight, progress_bar)
    with av.open(str(result.folder / "overlay.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(LENGTH) / 8, atol=1e-3)
    assert run_overlay(config(tmp_path), flight, progress_bar).skipped


def test_the_overlay_is_drawn_again_when_names_change(flight, tmp_path):
    run_stages(config(tmp_path), flight, TRACKS, progress_bar)
    run_overlay(config(tmp_path), flight, progress_bar)
    project = Project(tmp_path)
    name = next(iter(project.store.state.tracklets))
    project.store.apply(SetMark(tracklets=(name,), mark=Mark.SKIPPED), user="ann", id="a")
    assert run_overlay(config(tmp_path), flight, progress_bar).skipped  # no name is drawn for it
    project.store.apply(NewIdentity(tracklets=(name,), name="Ann"), user="ann", id="b")
    assert not run_overlay(config(tmp_path), flight, progress_bar).skipped
    assert run_overlay(config(tmp_path), flight, progress_bar).skipped
    project.store.apply(Rename(identity=1, name="Anna"), user="ann", id="c")
    assert not run_overlay(config(tmp_path), flight, progress_bar).skipped
    project.close()


def test_too_much_damage_is_an_error_and_nothing_is_lost(flight, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(6):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((64, 96, 3), 40 * number, np.uint8))
    (folder / "3.png").write_bytes(b"no image")
    section = FramesConfig(max_bad_frames=0)
    with pytest.raises(PipelineError, match="1 frames lost and 0 corrupt, 0 suspect in all, more than"):
        run_stages(config(tmp_path / "runs", frames=section), folder, FRAMES, progress_bar)
    rows = read_table(tmp_path / "runs" / "images" / "frames" / "frames.parquet")
    assert rows.loc[rows["lost"], "frame"].tolist() == [3]
    run_stages(config(tmp_path / "runs", frames=FramesConfig(max_bad_frames=1)), folder, FRAMES, progress_bar)


def test_suspect_frames_give_no_crops_unless_they_are_asked_for(flight, undisturbed, tmp_path):
    key = sorted(index for index, _, _ in packet_ranges(flight) if index % 8 == 0)
    hit = next(index for index in key if index >= 8) + 1
    _, first, last = next(each for each in packet_ranges(flight) if each[0] == hit)
    damaged = write_holes(flight, tmp_path / "flight01.mp4", [(first, last)], seed=1)
    results = {each.stage: each for each in run_stages(config(tmp_path / "a"), damaged, TRACKS, progress_bar)}
    folder = tmp_path / "a" / "flight01"
    frames = read_table(folder / FRAMES.output)
    suspect = set(frames.loc[frames["suspect"], "frame"])
    assert suspect
    assert suspect <= set(range(hit - 1, hit + 8))  # up to the next key frame
    assert results["frames"].counts["suspect"] == len(suspect)
    crops = read_table(folder / CROPS.output)
    assert len(crops)
    assert not crops["frame"].isin(suspect).any()
    whole = read_table(undisturbed[0] / "flight01" / CROPS.output)
    apart = whole[~whole["frame"].isin({*suspect, *frames.loc[frames["lost"], "frame"]})]
    assert keys(crops) == keys(apart)
    tracklets = pd.read_parquet(folder / TRACKS.output)
    assert tracklets.loc[tracklets["frame"].isin(suspect), "suspect"].all()

    with_them = config(tmp_path / "b", crops=CropsConfig(suspect=True))
    run_stages(with_them, damaged, CROPS, progress_bar)
    crops = read_table(tmp_path / "b" / "flight01" / CROPS.output)
    assert crops["frame"].isin(suspect).equals(crops["suspect"])
    assert crops["suspect"].any()

    limited = config(tmp_path / "a", frames=BY_EIGHT.model_copy(update={"max_bad_frames": 1}))
    with pytest.raises(PipelineError, match=f"{len(suspect)} suspect in all, more than frames.max_bad_frames=1"):
        run_stages(limited, damaged, FRAMES, progress_bar)


def test_a_flight_over_nobody_goes_all_the_way(tmp_path):
    video = tmp_path / "night"
    video.mkdir()
    for number in range(3):
        cv2.imwrite(str(video / f"{number}.png"), np.zeros((90, 160, 3), np.uint8))
    settings = config(tmp_path / "runs", detector=SMALL.model_copy(update={"floor": 0.99, "threshold": 0.99}))
    results = {result.stage: result.counts for result in run_stages(settings, video, TRACKS, progress_bar)}
    assert (results["detect"]["boxes"], results["crops"]["crops"], results["tracks"]["tracklets"]) == (0, 0, 0)
    assert run_overlay(settings, video, progress_bar).counts == {"frames": 3}
    page = write_report(settings.workspace, settings.report, progress_bar).read_text()
    assert 'id="flight-night"' in page
