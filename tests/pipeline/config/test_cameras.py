import math

import pytest

from pipeline.config.cameras import CAMERAS, camera
from pipeline.config.models import CameraConfig


@pytest.mark.parametrize("name", CAMERAS)
def test_focal_length_and_diagonal_angle_that_the_maker_states_agree(name):
    found = CAMERAS[name]
    assert math.degrees(2 * math.atan(math.hypot(36, 24) / 2 / found.focal_mm)) == pytest.approx(
        found.diagonal_deg, abs=2.5
    )
    assert found.fov_deg < found.diagonal_deg


def test_the_horizontal_angle_by_hand():
    # 24 mm on 4:3: 0.8 of the diagonal of 43.27 mm is 34.61 mm wide, and its half over 24 has the angle 35.8°.
    assert camera("mavic3").fov_deg == pytest.approx(71.6, abs=0.05)
    # 3:2 is the film's own aspect: 36 mm wide.
    assert camera("phantom4pro").fov_deg == pytest.approx(2 * math.degrees(math.atan(18 / 24)))


@pytest.mark.parametrize("name", ["mavic3", "DJI Mavic 3", "mavic-3", "Mavic_3"])
def test_a_name_as_people_write_it(name):
    assert CameraConfig(model=name).fov_deg == 71.59


def test_a_given_angle_counts():
    assert CameraConfig(model="mavic3", fov_deg=66).fov_deg == 66
    assert CameraConfig.model_validate(CameraConfig(model="mavic3").model_dump()) == CameraConfig(model="mavic3")


def test_an_unknown_one_is_refused_with_those_that_are_near():
    with pytest.raises(ValueError, match="'mavic33' is not a known camera; expected mavic3"):
        CameraConfig(model="mavic33")
