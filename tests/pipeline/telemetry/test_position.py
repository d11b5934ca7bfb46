"""Positions on the ground, calculated by hand, by another program, and by the simulator."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.config.models import CameraConfig
from pipeline.simulate import simulate_flight
from pipeline.telemetry.position import ERRORS, METRES_A_DEGREE, circle_radii, ground_positions

# fov 90° and 201 px: a focal length of 100.5 px; the picture's centre is (100, 100).
LEVEL_45 = {"altitude_m": 10.0, "heading_deg": 90.0, "pitch_deg": -45.0, "latitude": 0.0, "longitude": 20.0}
HALF = np.tan(np.radians(22.5))  # of 45 degrees, in focal lengths
CASES = {
    "10 m to the east": ({}, (100, 100), (0, 10)),
    "to the north": ({"heading_deg": 0.0}, (100, 100), (10, 0)),
    # right of the line of sight by a focal length, which is 10 √2 m at the ground: to the south
    "a person to the right": ({}, (200.5, 100), (-10 * np.sqrt(2), 10)),
    "straight below": ({"pitch_deg": -90.0}, (100, 100), (0, 0)),
    # 22.5 degrees steeper
    "a nearer one": ({}, (100, 100 + 100.5 * HALF), (0, 10 / np.tan(np.radians(67.5)))),
    "above the horizon": ({"pitch_deg": 0.0}, (100, 90), None),
    "feet cut off": ({}, (100, 200), None),
    "no height": ({"altitude_m": np.nan}, (100, 100), None),
    "on the ground": ({"altitude_m": 0.0}, (100, 100), None),
    "the pitch of the configuration": ({"pitch_deg": np.nan}, (100, 100), (0, 10 / np.tan(np.radians(30)))),
}


@pytest.mark.parametrize(("said", "feet", "expected"), CASES.values(), ids=CASES)
def test_feet_are_where_the_ray_meets_the_ground(said, feet, expected):
    row = LEVEL_45 | said | {"width": 201, "height": 201, "x1": feet[0] - 5, "x2": feet[0] + 5, "y2": feet[1]}
    found = ground_positions(pd.DataFrame([row]), CameraConfig(fov_deg=90, pitch_deg=-30))
    metres = (found[0] - (0, 20)) * METRES_A_DEGREE
    np.testing.assert_allclose(metres, [np.nan] * 2 if expected is None else expected, atol=1e-6)


def test_without_an_angle_of_view_there_are_none():
    row = LEVEL_45 | {"width": 201, "height": 201, "x1": 95, "x2": 105, "y2": 100}
    assert np.isnan(ground_positions(pd.DataFrame([row]), CameraConfig())).all()


def test_the_circle_holds_nine_of_ten_positions_by_noisy_telemetry():
    """Persons at random places, seen by a camera as a rotation matrix; then the telemetry gets its errors."""
    rng = np.random.default_rng(5)
    n, fov = 4000, 73.0
    focal = 960 / np.tan(np.radians(fov / 2))
    altitude, pitch, heading = rng.uniform(20, 60, n), rng.uniform(-80, -25, n), rng.uniform(0, 360, n)
    p, h = np.radians(pitch), np.radians(heading)
    sight = np.stack([np.cos(p) * np.sin(h), np.cos(p) * np.cos(h), np.sin(p)], 1)  # east, north, up
    right = np.stack([np.cos(h), -np.sin(h), np.zeros(n)], 1)
    below = np.cross(sight, right)
    pixels = rng.uniform((100, 200), (1820, 1000), (n, 2))
    ray = focal * sight + (pixels[:, :1] - 959.5) * right + (pixels[:, 1:] - 539.5) * below
    person = ray * (altitude / -ray[:, 2])[:, None]
    head = person + np.array([0, 0, 1.75])  # relative to the camera
    top = 539.5 + focal * (head * below).sum(1) / (head * sight).sum(1)
    noise = {name: rng.normal(0, ERRORS[name], n) for name in ("altitude_m", "pitch_deg", "heading_deg")}
    north, east = rng.normal(0, ERRORS["place_m"], (2, n))
    rows = pd.DataFrame({"x1": pixels[:, 0] - 9, "x2": pixels[:, 0] + 9, "y1": top, "y2": pixels[:, 1]})
    rows["y2"] += rng.normal(0, 1, n) * ERRORS["feet"] * (rows["y2"] - top)
    rows = rows.assign(
        altitude_m=altitude + noise["altitude_m"],
        pitch_deg=pitch + noise["pitch_deg"],
        heading_deg=heading + noise["heading_deg"],
        latitude=north / METRES_A_DEGREE,
        longitude=east / METRES_A_DEGREE,
        width=1920,
        height=1080,
    )
    camera = CameraConfig(fov_deg=fov)
    found = ground_positions(rows, camera) * METRES_A_DEGREE
    seen = np.rad2deg(np.arctan2(altitude, np.hypot(*person[:, :2].T))) > 10  # not at the horizon
    off = np.hypot(found[:, 0] - person[:, 1], found[:, 1] - person[:, 0])
    radius = circle_radii(rows, camera)
    assert seen.mean() > 0.9
    assert 0.88 < (off <= radius)[seen].mean() < 0.92
    for near, far in ((0, 30), (30, 60), (60, 120)):  # not only over all of them
        part = seen & (near <= np.hypot(*person[:, :2].T)) & (np.hypot(*person[:, :2].T) < far)
        assert 0.85 < (off <= radius)[part].mean() < 0.95, (near, part.sum())


def test_straight_below_the_circle_is_the_receivers_and_the_camera_s_tilt():
    row = LEVEL_45 | {"pitch_deg": -90.0, "width": 201, "height": 201, "x1": 95, "x2": 105, "y1": 100, "y2": 100}
    # Place alone: both axes are 1.5 m. The tilt adds 10 m * tan 0.7 degrees along the line of sight.
    along = 1.5**2 + (10 * np.tan(np.radians(0.7))) ** 2
    least, most = np.sqrt(2 * np.log(10)) * 1.5, np.sqrt(2 * np.log(10) * along)  # of circular distributions
    assert least < circle_radii(pd.DataFrame([row]), CameraConfig(fov_deg=90))[0] < most
    assert np.isnan(circle_radii(pd.DataFrame([row]), CameraConfig())[0])


def test_distances_are_those_of_openathena():
    """By another program, from real photos: where a ray of known slant meets the ground of known height."""
    if "UAVPIPE_SAMPLE_DATA" not in os.environ:
        pytest.skip("UAVPIPE_SAMPLE_DATA names no folder of sample data")
    rays = pd.read_csv(Path(os.environ["UAVPIPE_SAMPLE_DATA"], "geolocation", "openathena_thunderstorm_2024.csv"))
    rows = pd.DataFrame(
        {
            "altitude_m": rays["droneElevationHAE"] - rays["hae"],
            "heading_deg": 0.0,
            "pitch_deg": -rays["raySlantAngleDeg"],
            "latitude": rays["droneLatitude"],
            "longitude": rays["droneLongitude"],
        }
    ).assign(x1=90, x2=110, y2=100, width=201, height=201)  # the feet are in the picture's centre
    found = ground_positions(rows, CameraConfig(fov_deg=60))
    drone = rays[["droneLatitude", "droneLongitude"]].to_numpy()
    ours, theirs = (
        np.hypot(north, east * np.cos(np.radians(drone[:, 0]))) * METRES_A_DEGREE
        for north, east in ((found - drone).T, (rays[["lat", "lon"]].to_numpy() - drone).T)
    )
    assert len(rays) == 441
    assert np.quantile(np.abs(ours - theirs), 0.9) < 0.2
    assert 30 < np.median(theirs) < 100


def test_positions_by_pixel_are_near_surveyed_points_in_all_columns():
    """OpenAthena adds the angles of a pixel to those of the camera, which is right in the middle column alone.

    Its records say so: the slant of a ray is that of the camera less the pixel's. Beside the middle its points are
    the farther from the surveyed ones, ours are not.
    """
    if "UAVPIPE_SAMPLE_DATA" not in os.environ:
        pytest.skip("UAVPIPE_SAMPLE_DATA names no folder of sample data")
    folder = Path(os.environ["UAVPIPE_SAMPLE_DATA"], "geolocation")
    rays = pd.read_csv(folder / "openathena_thunderstorm_2024.csv")
    added = rays["cameraSlantAngleDeg"] - rays["pitchOffsetDegSelectedPoint"]
    rays = rays[(added - rays["raySlantAngleDeg"]).abs() < 1e-3]
    assert len(rays) == 438  # of 441
    surveyed = pd.read_csv(folder / "openathena_thunderstorm_control_points.csv")[["Latitude", "Longitude"]]

    def metres(degrees):
        return (np.asarray(degrees) - [31.6035, -110.4335]) * METRES_A_DEGREE * [1, np.cos(np.radians(31.6035))]

    drone, theirs = metres(rays[["droneLatitude", "droneLongitude"]]), metres(rays[["lat", "lon"]])
    north, east = (theirs - drone).T
    square = rays["f_x"] / rays["f_y"]  # which makes the pixels square
    x = rays["imageSelectedProportionX"] * rays["imageWidth"] - 0.5
    rows = pd.DataFrame(
        {
            "x1": x,
            "x2": x,
            "y2": rays["imageSelectedProportionY"] * rays["imageLength"] * square - 0.5,
            "altitude_m": rays["droneElevationHAE"] - rays["hae"],
            "heading_deg": np.degrees(np.arctan2(east, north)) - rays["yawOffsetDegSelectedPoint"],
            "pitch_deg": -rays["cameraSlantAngleDeg"],
            "latitude": rays["droneLatitude"],
            "longitude": rays["droneLongitude"],
            "width": rays["imageWidth"],
            "height": rays["imageLength"] * square,
        }
    )
    fov = float(np.degrees(2 * np.arctan(rays["imageWidth"].iloc[0] / 2 / rays["f_x"].iloc[0])))
    ours = metres(ground_positions(rows, CameraConfig(fov_deg=fov)))

    def off(places):
        return np.linalg.norm(places[:, None] - metres(surveyed)[None], axis=2).min(axis=1)

    beside = rays["yawOffsetDegSelectedPoint"].abs().to_numpy()
    middle, edge = beside < 3, beside > 10
    lengths = [np.linalg.norm(places - drone, axis=1)[middle] for places in (ours, theirs)]
    assert np.median(np.abs(lengths[0] - lengths[1])) < 0.1
    assert np.median(off(theirs)[edge]) > 2 * np.median(off(theirs)[middle])
    assert np.median(off(ours)[edge]) < 1.2 * np.median(off(ours)[middle])
    assert np.quantile(off(ours), 0.9) < 0.6 * np.quantile(off(theirs), 0.9)


def test_the_circle_holds_the_simulator_s_persons_by_a_noisy_flight(tmp_path):
    """The simulator's boxes and places; errors of the telemetry are one for the whole flight, as a receiver's."""
    files = simulate_flight(
        tmp_path / "a.mp4", people=20, seconds=2, fps=4, size=(640, 360), altitude=20, seed=8, fov_deg=65
    )
    names = ["frame", "identity", "x1", "y1", "width_px", "height_px", "one", "class", "visibility"]
    boxes = pd.read_csv(files.truth, header=None, names=names)
    boxes = boxes[(boxes["visibility"] > 0.8) & (boxes["height_px"] > 12)]  # of others the feet are not seen
    boxes = boxes.assign(x2=boxes["x1"] + boxes["width_px"], y2=boxes["y1"] + boxes["height_px"])
    rows = boxes.merge(pd.read_csv(files.camera), on="frame").merge(
        pd.read_csv(files.positions), on=["frame", "identity"]
    )
    rows = rows.assign(width=640, height=360)
    rng, camera = np.random.default_rng(0), CameraConfig(fov_deg=65)
    origin = (47.0, 8.0)
    across = METRES_A_DEGREE * np.cos(np.radians(origin[0]))
    off, radius = [], []
    for _ in range(60):
        error = {name: sd * rng.normal() for name, sd in ERRORS.items()}
        said = rows.rename(columns={"latitude": "there_north", "longitude": "there_east"}).assign(
            altitude_m=rows["altitude_m"] + error["altitude_m"],
            pitch_deg=-np.degrees(rows["pitch_rad"]) + error["pitch_deg"],
            heading_deg=90 - np.degrees(rows["yaw_rad"]) + error["heading_deg"],
            latitude=origin[0] + (rows["y_m"] + rng.normal(0, ERRORS["place_m"])) / METRES_A_DEGREE,
            longitude=origin[1] + (rows["x_m"] + rng.normal(0, ERRORS["place_m"])) / across,
        )
        found = ground_positions(said, camera)
        metres = (found - said[["there_north", "there_east"]].to_numpy()) * [METRES_A_DEGREE, across]
        seen = ~np.isnan(found[:, 0])
        off.append(np.linalg.norm(metres, axis=1)[seen])
        radius.append(circle_radii(said, camera)[seen])
    within = np.concatenate(off) <= np.concatenate(radius)
    assert len(within) > 2000
    assert np.median(np.concatenate(off)) < 3
    assert 0.85 < within.mean() < 0.95
