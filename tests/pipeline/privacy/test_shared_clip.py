import numpy as np
import pytest

from detector.config import DetectorConfig, Resize
from pipeline.boxes import Tracked
from pipeline.chain.table import TRACKS
from pipeline.config.models import FlightConfig
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.privacy.redact import follow, paint_over, pixelate
from pipeline.privacy.shared_clip import anonymize
from pipeline.run.flight import run_stages
from pipeline.simulate import simulate_flight
from pipeline.video import open_video
from pipeline.workspace.tables import read_table

SMALL = DetectorConfig(weights="embedded", resize=Resize(width=320, height=320), floor=0.02, threshold=0.3)

SURE = 0.1


def noise(width, height):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_a_person_becomes_a_few_cells_and_the_rest_stays():
    image = noise(100, 100)
    hidden = pixelate(image, np.array([[20, 30, 40, 80]], np.float32))
    # 15 % of the sides are added: columns 17 to 42, rows 22 to 87.
    inside = hidden[22:88, 17:43]
    assert len(np.unique(inside.reshape(-1, 3), axis=0)) <= 18
    outside = np.ones((100, 100), bool)
    outside[22:88, 17:43] = False
    assert (hidden[outside] == image[outside]).all()
    assert (hidden[20 + 10 : 80, 20:40] != image[30:80, 20:40]).any(axis=2).mean() > 0.95


def test_a_head_is_one_colour_and_the_feet_stay():
    image = noise(100, 100)
    hidden = pixelate(image, np.array([[20, 30, 40, 80]], np.float32), heads=True)
    assert len(np.unique(hidden[30:45, 20:40].reshape(-1, 3), axis=0)) == 1
    assert (hidden[50:] == image[50:]).all()


def test_boxes_at_and_beyond_the_edge():
    image = noise(20, 20)
    boxes = np.array([[-5, -5, 3, 3], [18, 18, 40, 40], [30, 30, 40, 40], [-9, -9, -5, -5]], np.float32)
    assert pixelate(image, boxes).shape == image.shape
    assert (paint_over(image, boxes)[:3, :3] == 128).all()
    assert (paint_over(image, boxes)[6:14, 6:14] == image[6:14, 6:14]).all()


def test_between_two_detections_a_tracklet_goes_on():
    box = np.array([[0, 0, 10, 20]], np.float32)
    number = np.array([7])
    tracked = {10: Tracked(box, number), 14: Tracked(box + 8, number)}
    times = {frame: frame / 10 for frame in range(30)}
    found = follow(tracked, times)
    np.testing.assert_allclose(found[12], box + 4)
    np.testing.assert_allclose(found[5], box)  # half a second before
    assert 4 not in found
    np.testing.assert_allclose(found[19], box + 8)
    assert 20 not in found


@pytest.fixture(scope="module")
def flight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flight")
    files = simulate_flight(
        folder / "flight01.mp4", people=5, seconds=2, seed=3, size=(320, 180), fps=8, altitude=12
    )
    run_stages(FlightConfig(workspace=folder / "runs", detector=SMALL), files.video, TRACKS, progress_bar)
    return files, folder / "runs" / "flight01"


def test_a_clip_keeps_nothing_of_people_but_their_colours(flight, tmp_path):
    files, folder = flight
    output = tmp_path / "clip.mp4"
    assert anonymize(folder, output, "people", score=SURE, max_width=1280) == 16
    assert detail_kept(files.video, output, folder) < 0.4
    other = tmp_path / "heads.mp4"
    anonymize(folder, other, "faces", score=SURE, max_width=1280)
    assert 0.5 < detail_kept(files.video, other, folder) < 0.95


def detail_kept(video, clip, folder):
    """How the steps from pixel to pixel within the people agree in both: 1 for the same pictures."""
    rows = read_table(folder / "detections" / "detections.parquet")
    rows = rows[rows["score"] >= SURE]
    assert len(rows)
    steps = []
    for before, after in zip(open_video(video).read_all(), open_video(clip).read_all(), strict=True):
        assert before.pts_s == pytest.approx(after.pts_s)
        for x1, y1, x2, y2 in rows.loc[rows["frame"] == before.index, ["x1", "y1", "x2", "y2"]].astype(int).values:
            parts = (each.image[max(y1, 0) : y2, max(x1, 0) : x2].astype(float) for each in (before, after))
            both = [np.diff(part, axis=1) for part in parts]
            steps.append(np.stack([each.ravel() for each in both]))
    return np.corrcoef(np.concatenate(steps, axis=1))[0, 1]


def test_what_cannot_be_exported_says_so(flight, tmp_path):
    files, folder = flight
    with pytest.raises(PipelineError, match="is the flight's own video"):
        anonymize(folder, files.video, "faces", score=0.3, max_width=1280)
    with pytest.raises(PipelineError, match="no finished detections"):
        anonymize(tmp_path, tmp_path / "a.mp4", "faces", score=0.3, max_width=1280)
