import numpy as np
import pytest

from pipeline.simulate import boxes, stills
from pipeline.simulate.camera import Camera
from pipeline.simulate.effects import Look as CameraLook
from pipeline.simulate.ground import Ground
from pipeline.simulate.people import ARMS, Pose, cast_member
from pipeline.simulate.scene import Person, Scene
from pipeline.simulate.scenery import make_things
from pipeline.simulate.shapes import Bounds, Light, Part
from pipeline.simulate.sprites import draw_thing
from pipeline.simulate.stills import render_still

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


def moved(parts, x, y):
    return [part.moved(np.eye(3), np.array([x, y, 0.0])) for part in parts]


@pytest.mark.parametrize(("x", "y", "hidden"), [(12.6, 3.3, True), (9.2, 3.3, False), (9.2, 8.0, False)])
def test_a_long_box_hides_whoever_is_behind_it_and_nobody_before_it(x, y, hidden):
    # The last of them is farther from the camera than the middle of the box, and yet before it.
    box = moved(boxes.frustum((-1.0, -6.0, 0.0), (1.0, 6.0, 1.3), (90.0, 90.0, 90.0)), 11.0, 3.3)
    view = camera(pitch=40, height=9.0)
    person = standing(x=x, y=y)
    (free,) = render(scene(), [person], view)[1]
    (found,) = render(scene(box), [person], view)[1]
    assert free.visibility == 1.0
    if hidden:
        assert 0.05 < found.visibility < 0.95
    else:
        assert found.visibility == 1.0


@pytest.mark.parametrize("arms", ARMS)
@pytest.mark.parametrize("crouch", [0.0, 1.0])
def test_every_pose_stands_on_the_ground_and_is_as_large_as_a_person(arms, crouch):
    from pipeline.simulate.people import body

    look = cast_member(1, 2)
    parts = body(look, Pose(0, 0, 0.5, arms=arms, crouch=crouch))
    low = min((part.points[:, 2] - part.radii).min() for part in parts)
    high = max((part.points[:, 2] + part.radii).max() for part in parts)
    assert -0.05 < low < 0.1
    assert high < 1.35 * look.height
    assert crouch or high > 0.93 * look.height


def test_the_back_of_a_plate_is_not_drawn():
    corners = np.array([[10.0, 4, 2], [10, 2, 2], [10, 2, 0], [10, 4, 0]])  # its front looks west, to the camera
    front = Part(corners, np.full(4, 0.01), (200.0, 10.0, 10.0), 0.0, plate=True)
    back = Part(corners[::-1], np.full(4, 0.01), (200.0, 10.0, 10.0), 0.0, plate=True)
    assert draw_thing([front], camera(), NO_SUN).alpha.any()
    assert not draw_thing([back], camera(), NO_SUN).alpha.any()


def test_what_is_passed_over_would_not_have_shown():
    view = camera(pitch=60)
    ground = Ground(np.full((64, 64, 3), 255, np.uint8), 200.0)
    rng = np.random.default_rng(3)
    things = make_things(rng, ground, rng.uniform(-30, 40, (60, 2)), below=6.0)
    shows = Bounds.of(things).in_sight(view)
    assert 0 < shows.sum() < len(things)
    for thing, may_show in zip(things, shows, strict=True):
        if not may_show:
            sprite = draw_thing(thing, view, NO_SUN)
            assert sprite is None or not sprite.alpha[2:-2, 2:-2].any()


def test_above_the_horizon_there_is_sky():
    stage = Scene(Ground(np.zeros((64, 64, 3), np.uint8), 200.0), NO_SUN, [], PLAIN, 0.0, sky=(200.0, 210.0, 220.0))
    image, _ = stage.render(camera(pitch=3), [], np.random.default_rng(0))
    assert image[:40].min() > 150
    assert image[-40:].max() == 0


def test_tents_and_tripods_leave_the_rest_of_a_still_as_it_was(monkeypatch):
    def still(seed):
        return render_still(np.random.default_rng(seed), (320, 180))

    camps, make_camp = [], stills.make_camp

    def recorded(*given, **named):
        camps.append(make_camp(*given, **named))
        return camps[-1]

    monkeypatch.setattr(stills, "make_camp", recorded)
    with_camp = [still(seed) for seed in range(8)]
    monkeypatch.setattr(stills, "make_camp", lambda *_, **__: [])
    for seed, (image, truth, altitude) in enumerate(with_camp):
        plain, people, height = still(seed)
        assert altitude == height
        boxes = {each.number: (each.x1, each.y1, each.x2, each.y2) for each in people}
        assert all(boxes[each.number] == (each.x1, each.y1, each.x2, each.y2) for each in truth)
        assert camps[seed] or (image == plain).all()
        assert all(part.points[:, 2].max() < 0.55 * altitude for thing in camps[seed] for part in thing)
    assert any((still(seed)[0] != with_camp[seed][0]).any() for seed in range(8))
