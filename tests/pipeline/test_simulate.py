import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.score import read_truth
from pipeline.simulate import render_stills, simulate_flight
from pipeline.simulate.camera import Camera
from pipeline.simulate.effects import Look as CameraLook
from pipeline.simulate.ground import Ground
from pipeline.simulate.people import Pose, cast_member
from pipeline.simulate.scene import Person, Scene
from pipeline.simulate.shapes import Light, Part

PLAIN = CameraLook(np.tile(np.arange(256, dtype=np.uint8)[:, None], 3), 0, 0, 0, 0, 0, 0, grey=False)
NO_SUN = Light(np.array([1.0, 0.0]), 0.0, 0.0)


def camera(pitch=45.0, height=12.0):
    return Camera(np.array([0.0, 0.0, height]), 0.3, np.radians(pitch), 0.02, 400.0, 320, 180)


def scene(*things):
    return Scene(Ground(np.full((64, 64, 3), 255, np.uint8), 200.0), NO_SUN, things, PLAIN, 0.0)


def standing(number=1, x=10.0, y=3.1, **pose):
    return Person(number, cast_member(4, number), Pose(x, y, 1.0, **pose))


def render(stage, people, view=None):
    return stage.render(view or camera(), people, np.random.default_rng(0))


def test_the_centre_of_the_picture_lies_where_the_camera_looks():
    view = camera(pitch=45)
    middle = np.array([[(320 - 1) / 2, (180 - 1) / 2]])
    expected = 12.0 * np.array([np.cos(0.3), np.sin(0.3)])  # 45 degrees down from 12 m: 12 m ahead
    np.testing.assert_allclose(view.on_ground(middle)[0], expected, atol=1e-9)


def test_the_homography_agrees_with_the_projection():
    view = camera(pitch=60)
    ground = np.array([[3.0, 1.0], [6.0, -2.0], [9.0, 4.0]])
    pixels, _ = view.project(np.concatenate([ground, np.zeros((3, 1))], axis=1))
    np.testing.assert_allclose(view.on_ground(pixels), ground, atol=1e-9)


@pytest.mark.parametrize("pitch", [35, 55, 80])
def test_a_true_box_is_tight_around_what_changed(pitch):
    view = camera(pitch=pitch)
    x, y = view.on_ground(np.array([[160.0, 90.0]]))[0]
    person = standing(x=x, y=y)
    empty, none = render(scene(), [], view)
    image, (box,) = render(scene(), [person], view)
    rows, columns = np.nonzero((image != empty).any(axis=2))
    assert none == []
    assert box.visibility == 1.0
    found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    np.testing.assert_allclose((box.x1, box.y1, box.x2, box.y2), found, atol=1.5)


def test_feet_stand_on_the_ground_point():
    person = standing(stride=0.0)
    _, (box,) = render(scene(), [person])
    (foot,), _ = camera().project(np.array([[person.pose.x, person.pose.y, 0.0]]))
    assert box.x1 < foot[0] < box.x2
    assert abs(box.y2 - foot[1]) < 0.12 * (box.y2 - box.y1)


def test_an_obstacle_hides_part_of_a_person():
    person = standing()
    corners = np.array([[x, y, z] for x in (9.2, 9.4) for y in (0.0, 6.0) for z in (0.0, 1.2)])
    wall = Part(corners, np.full(8, 0.01), (90, 90, 90))
    _, (free,) = render(scene(), [person])
    _, (hidden,) = render(scene([wall]), [person])
    assert free.visibility == 1.0
    assert 0.05 < hidden.visibility < 0.95
    assert (free.x1, free.y1, free.x2, free.y2) == (hidden.x1, hidden.y1, hidden.x2, hidden.y2)


def test_the_nearer_of_two_people_hides_the_other():
    far, near = standing(1, x=10.4), standing(2, x=9.9, y=2.95)
    visible = {box.number: box.visibility for box in render(scene(), [far, near])[1]}
    assert visible[2] == 1.0
    assert visible[1] < 1.0


def test_cast_members_keep_their_looks_and_differ():
    assert cast_member(7, 3) == cast_member(7, 3)
    assert len({cast_member(7, number).top for number in range(30)}) == 30


def test_a_flight_is_the_same_each_time_and_its_files_fit_together(tmp_path):
    settings = {"people": 5, "seconds": 1.0, "seed": 4, "size": (192, 108), "fps": 10, "altitude": 15}
    first, second = (simulate_flight(tmp_path / name / "a.mp4", **settings) for name in ("one", "two"))
    for one, two in zip(vars(first).values(), vars(second).values(), strict=True):
        assert one.read_bytes() == two.read_bytes()
    import av

    with av.open(str(first.video)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(10) / 10, atol=1e-6)
    people = read_truth(first.truth)
    assert set(people) <= set(range(10))
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


def test_stills_come_with_coco_annotations(tmp_path):
    from detector.config import DataSource
    from detector.data import read_coco

    render_stills(tmp_path, 6, seed=2, size=(160, 96))
    images = read_coco(DataSource(annotations=tmp_path / "annotations.json", images=tmp_path / "images"))
    assert len(images) == 6
    assert sum(len(image.boxes) for image in images) > 0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"people": -1}, "people must be"),
        ({"size": (191, 108)}, "size must be even"),
        ({"seconds": 0.0}, "seconds must give"),
        ({"altitude": 1.0}, "altitude must be 3 to 200"),
        ({"fps": float("nan")}, "fps must be"),
    ],
)
def test_an_argument_out_of_range_is_named(tmp_path, change, expected):
    with pytest.raises(PipelineError, match=expected):
        simulate_flight(tmp_path / "a.mp4", **change)
    assert not list(tmp_path.iterdir())
