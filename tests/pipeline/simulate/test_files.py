import json

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.groundtruth.read import read_truth
from pipeline.simulate import render_flight_stills, render_stills, simulate_flight


def test_a_flight_is_the_same_each_time_and_its_files_fit_together(tmp_path):
    settings = {"people": 5, "seconds": 1.0, "seed": 4, "size": (192, 108), "fps": 10, "altitude": 15}
    first, second = (simulate_flight(tmp_path / name / "a.mp4", **settings) for name in ("one", "two"))
    for one, two in zip(vars(first).values(), vars(second).values(), strict=True):
        assert one.read_bytes() == two.read_bytes()
    with av.open(str(first.video)) as container:
        times = [frame.time for frame in container.decode(video=0)]
        assert container.streams.video[0].codec_context.colorspace == 5  # of BT.601: no player has to guess
    np.testing.assert_allclose(times, np.arange(10) / 10, atol=1e-6)
    people = read_truth(first.truth)
    assert set(people) == set(range(10))
    assert sum(len(truth.boxes) for truth in people.values()) > 10
    for truth in people.values():
        assert (truth.boxes[:, :2] >= 0).all()
        assert (truth.boxes[:, 2:] <= (192.01, 108.01)).all()
    rows = np.loadtxt(first.camera, delimiter=",", skiprows=1)
    assert rows.shape == (10, 26)
    ground, motion = rows[:, 8:17].reshape(-1, 3, 3), rows[:, 17:].reshape(-1, 3, 3)
    for before, now, step in zip(ground, ground[1:], motion[1:], strict=False):
        moved = step @ before
        np.testing.assert_allclose(moved / moved[2, 2], now / now[2, 2], rtol=1e-5, atol=1e-6)


def test_another_seed_is_another_flight_of_the_same_cast(tmp_path):
    settings = {"people": 3, "seconds": 0.2, "size": (128, 72), "fps": 10, "cast_seed": 9}
    one = simulate_flight(tmp_path / "a.mp4", seed=1, **settings)
    two = simulate_flight(tmp_path / "b.mp4", seed=2, **settings)
    assert one.camera.read_text() != two.camera.read_text()


def test_pictures_of_flights_come_with_coco_annotations(tmp_path):
    render_flight_stills(tmp_path, 5, seed=2, size=(320, 180))
    content = json.loads((tmp_path / "annotations.json").read_text())
    assert [image["file_name"] for image in content["images"]] == [
        f"{flight:06d}_{frame}.jpg" for flight in (0, 1) for frame in range(4)
    ]
    assert {image["width"] for image in content["images"]} == {320}
    assert all(11 < image["altitude_m"] < 39 for image in content["images"])
    people = [row for row in content["annotations"] if not row["iscrowd"]]
    assert len(people) > 8
    for row in people:
        left, top, width, height = row["bbox"]
        assert left >= 0
        assert top >= 0
        assert left + width <= 320.01
        assert top + height <= 180.01
        assert row["visibility"] >= 0.25


def test_stills_come_with_coco_annotations(tmp_path):
    from detector.annotations.coco import read_coco
    from detector.config import DataSource

    render_stills(tmp_path, 6, seed=2, size=(160, 96))
    images = read_coco(DataSource(annotations=tmp_path / "annotations.json", images=tmp_path / "images"))
    assert len(images) == 6
    assert all(image.altitude > 3.5 for image in images)  # a camera is 4 m or more above what it looks at
    assert sum(len(image.boxes) for image in images) > 0


def test_a_still_depends_on_seed_and_number_alone(tmp_path):
    render_stills(tmp_path / "few", 2, seed=5, size=(160, 96))
    render_stills(tmp_path / "many", 4, seed=5, size=(160, 96), workers=2)
    for name in ("000000.jpg", "000001.jpg"):
        assert (tmp_path / "few/images" / name).read_bytes() == (tmp_path / "many/images" / name).read_bytes()


def test_annotations_stay_inside_the_picture_and_mark_what_cannot_be_asked_for(tmp_path):
    render_stills(tmp_path, 12, seed=3, size=(240, 136))
    truth = json.loads((tmp_path / "annotations.json").read_text())
    assert {image["width"] for image in truth["images"]} == {240}
    assert cv2.imread(str(tmp_path / "images" / truth["images"][0]["file_name"])).shape == (136, 240, 3)
    assert {person["iscrowd"] for person in truth["annotations"]} == {0, 1}
    for person in truth["annotations"]:
        left, top, width, height = person["bbox"]
        assert left >= 0
        assert top >= 0
        assert left + width <= 240.01
        assert top + height <= 136.01
        assert 0 < person["visibility"] <= 1
        assert person["iscrowd"] == (person["visibility"] < 0.25 or height < 8)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"people": -1}, "people must be"),
        ({"size": (191, 108)}, "size must be even"),
        ({"seconds": 0.0}, "seconds must give"),
        ({"altitude": 1.0}, "altitude must be 3 to 200"),
        ({"fps": float("nan")}, "fps must be"),
        ({"seconds": float("inf")}, "seconds must give"),
        ({"altitude": float("nan")}, "altitude must be"),
    ],
)
def test_an_argument_out_of_range_is_named(tmp_path, change, expected):
    with pytest.raises(PipelineError, match=expected):
        simulate_flight(tmp_path / "a.mp4", **change)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PipelineError, match="output: cannot make the folder"):
        simulate_flight(tmp_path / "file" / "a.mp4", seconds=0.1)
    with pytest.raises(PipelineError, match="folder: cannot make the folder"):
        render_stills(tmp_path / "file", 1, seed=1)


def test_a_flight_that_is_stopped_leaves_no_half_of_itself(tmp_path):
    def stop(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_flight(tmp_path / "a.mp4", seconds=0.5, size=(128, 72), progress=stop)
    assert not list(tmp_path.iterdir())


def test_identities_are_cast_numbers_whoever_is_in_the_picture(tmp_path):
    files = simulate_flight(tmp_path / "a.mp4", people=8, seconds=0.3, seed=6, size=(192, 108), fps=10)
    rows = np.loadtxt(files.truth, delimiter=",", ndmin=2)
    assert len(rows) > 8
    assert set(rows[:, 1]) <= set(range(1, 9))
    assert ((rows[:, 8] > 0) & (rows[:, 8] <= 1)).all()
    assert (rows[:, 4:6] > 0).all()
