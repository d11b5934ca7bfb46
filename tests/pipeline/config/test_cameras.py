import json
import math
import os
from pathlib import Path

import pytest

from pipeline.config.cameras import CAMERAS, UNFIT, camera
from pipeline.config.models import CameraConfig

UNCHECKED = {"evolite-thermal", "mavic2enterprise-thermal"}  # no angle is stated
TELEMETRY = Path(__file__).parents[3] / "docs" / "telemetry.md"


def test_focal_lengths_and_angles_that_the_makers_state_agree():
    for name, found in CAMERAS.items():
        stated = {math.hypot(*found.sensor_mm): found.diagonal_deg, found.sensor_mm[0]: found.horizontal_deg}
        stated = {size: angle for size, angle in stated.items() if angle is not None}
        assert len(stated) == (name not in UNCHECKED), name
        for size, angle in stated.items():
            plane = math.degrees(2 * math.atan(size / 2 / found.focal_mm))
            # Lenses of thermal cameras have an angle of their own for each millimetre, up to the same for all.
            most = math.degrees(size / found.focal_mm) if "thermal" in found.name else plane
            allowed = min(2.5, 0.07 * angle)
            assert plane - allowed < angle < most + allowed, name


def test_no_two_cameras_share_a_code():
    codes = [code for each in (*CAMERAS.values(), *UNFIT) for code in each.codes.split()]
    assert len(set(codes)) == len(codes)


def records():
    """Name and record of 106 cameras, as others collected them; "-thermal" where a visual one has the same code."""
    if "UAVPIPE_SAMPLE_DATA" not in os.environ:
        pytest.skip("UAVPIPE_SAMPLE_DATA names no folder of sample data")
    file = Path(os.environ["UAVPIPE_SAMPLE_DATA"], "geolocation", "drone_models.json")
    found = json.loads(file.read_text())["droneCCDParams"]
    visual = {each["makeModel"] for each in found if not each["isThermal"]}
    return [
        (each["makeModel"] + "-thermal" * (each["isThermal"] and each["makeModel"] in visual), each)
        for each in found
    ]


def test_the_code_of_each_drone_gives_its_angle_or_says_what_to_set():
    known, refused = set(), set()
    for name, _ in records():
        try:
            known.add((name, camera(name).name))
        except ValueError as error:
            assert "is not a known camera" not in str(error)
            assert ("camera.fov_deg" in str(error)) != ("fisheye" in str(error)), error
            refused.add(name)
    assert {name for name, _ in known if ("-thermal" in name) != (", thermal" in camera(name).name)} <= {
        *("skydioVT300-Z_40IR", "skydioVT300-L_40IR", "teledyne flirBOSON 640"),
        *("teledyne flirBOSON 640 8.7MM LWIR", "teledyne flirBOSON 640 18.0MM LWIR"),
    }
    assert (len(known), len(refused)) == (77, 28)  # one of the 106 is there twice


# Mavic 2 Dual: 20 mm is the focal length on film. ANAFI Thermal: it has a Lepton. BOSON 640: its sides are swapped.
WRONG = {"djiFC2403-thermal", "parrotANAFITHERMAL-thermal", "teledyne flirBOSON 640"}


def test_thermal_cameras_have_the_angle_that_others_calculate_with():
    for name, record in records():
        if record.get("focalLength") and name not in WRONG and "XT" not in name and name != "djiFLIR":
            millimetres, pixels = record["ccdWidthMMPerPixel"].replace("d", "").split("/")
            width = record["widthPixels"] * float(millimetres) / float(pixels)
            angle = math.degrees(2 * math.atan(width / 2 / record["focalLength"]))
            assert camera(name).fov_deg == pytest.approx(angle, abs=0.6), name


def test_the_page_has_all_names_and_numbers_of_cameras():
    text = " ".join(TELEMETRY.read_text("utf-8").split())
    assert [name for name in CAMERAS if f"`{name}`" not in text] == []
    assert f"{len(CAMERAS)} cameras" in text


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


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("FC3170", "mavicair2"),
        ("DJI FC3170", "mavicair2"),
        ("Hasselblad L1D-20C", "mavic2pro"),
        ("xt709", "evo2"),
        ("Autel Robotics XT709-thermal", "evo2-thermal"),
        ("M3T", "mavic3enterprise"),
        ("M3T-thermal", "m3t-thermal"),
        ("skydio2+", "skydio2"),
    ],
)
def test_a_code_as_the_drone_writes_it(code, name):
    assert camera(code) is CAMERAS[name]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("mavic33", "'mavic33' is not a known camera; expected mavic3"),
        ("FC3171", "'FC3171' is not a known camera; expected .*FC3170"),
        ("?", "expected air2s, air3, .*, or fov_deg instead"),
        ("FC6540", r"takes different lenses; set camera.fov_deg to 2 \* atan\(23.5 / 2 / focal length in mm\)"),
        ("Bebop 2", "the Parrot Bebop 2, has a fisheye lens"),
        ("FC8671", "that agree; set camera.fov_deg to the video's horizontal angle of view"),
    ],
)
def test_others_are_refused_with_what_to_set_instead(code, message):
    with pytest.raises(ValueError, match=message):
        CameraConfig(model=code)
