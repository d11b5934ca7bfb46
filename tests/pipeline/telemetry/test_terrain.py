"""Positions on a terrain model: calculated by hand, compared with flat ground, and errors of the file."""

import logging

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from pipeline.config.models import CameraConfig, load_config
from pipeline.errors import PipelineError
from pipeline.telemetry.position import ERRORS, METRES_A_DEGREE, FlatGround, circle_radii, ground_positions
from pipeline.telemetry.terrain import Hills, check_terrain, read_ground, read_terrain, remember_terrain

rasterio = pytest.importorskip("rasterio", reason="needs rasterio: pip install 'uavpipe[terrain]'")
from rasterio.transform import from_origin  # noqa: E402
from rasterio.warp import transform  # noqa: E402

CELL = 1 / METRES_A_DEGREE  # a metre of latitude; at the equator of longitude, too
CAMERA = CameraConfig(fov_deg=90)
SIDE = 121
# At the equator, 20 degrees east; the feet are in the picture's centre, and the drone is 10 m above the take-off.
LOOKS = {"altitude_m": 10.0, "heading_deg": 0.0, "pitch_deg": -45.0, "latitude": 0.0, "longitude": 20.0}
BOX = {"width": 201, "height": 201, "x1": 95.0, "x2": 105.0, "y1": 100.0, "y2": 100.0}
NORTH = np.arange(SIDE // 2, -SIDE // 2, -1.0)[:, None] + np.zeros((1, SIDE))  # metres, of the cells' centres


def write(path, elevations, where=None, **options):
    """A GeoTIFF of cells of a metre around 0, 20, or at the transform `where`."""
    bands = np.atleast_3d(elevations).transpose(2, 0, 1)
    half = SIDE / 2 * CELL
    options = {"crs": "EPSG:4326", "dtype": "float64", "nodata": -9999.0} | options
    size = dict(zip(("count", "height", "width"), bands.shape, strict=True))
    with rasterio.open(
        path, "w", driver="GTiff", transform=where or from_origin(20 - half, half, CELL, CELL), **size, **options
    ) as file:
        file.write(bands)
    return path


@pytest.fixture
def hills(tmp_path):
    def make(elevations, place=(0.0, 20.0), **options):
        path = write(tmp_path / "dem.tif", elevations, **options)
        terrain = read_terrain(path, np.array([place]))
        return Hills(path, terrain, float(terrain.at(*np.array([place]).T)[0]))

    return make


def looks(**said):
    return pd.DataFrame(BOX | LOOKS | said, index=range(max(np.size(each) for each in [*said.values(), 0])))


def metres(rows, ground):
    return (ground_positions(rows, CAMERA, ground) - (0, 20)) * METRES_A_DEGREE


def test_a_flat_model_is_flat_ground(hills):
    rng = np.random.default_rng(3)
    n = 300
    rows = looks(
        heading_deg=rng.uniform(0, 360, n),
        pitch_deg=rng.uniform(-90, -25, n),
        y2=rng.uniform(90, 190, n),
        y1=rng.uniform(60, 90, n),
    )
    flat, ground = FlatGround(), hills(np.full((SIDE, SIDE), 432.1))
    assert np.abs(metres(rows, ground) - metres(rows, flat)).max() < 0.01
    np.testing.assert_allclose(circle_radii(rows, CAMERA, ground), circle_radii(rows, CAMERA), rtol=1e-6)


# Height 10 m; the line of sight falls 1 m a metre; the ground rises 1 m in 10 m to the north.
@pytest.mark.parametrize(("heading", "north"), [(0, 10 / 1.1), (180, -10 / 0.9)])
def test_a_slope_is_met_nearer_uphill_and_farther_downhill(hills, heading, north):
    found = metres(looks(heading_deg=heading), hills(500 + NORTH / 10))
    np.testing.assert_allclose(found, [[north, 0]], atol=1e-4)


@pytest.mark.parametrize("slope", [-0.3, 0.0, 0.4])
def test_the_circle_is_that_of_the_slope_s_derivatives(hills, slope):
    """The line of sight at d metres north: h - s tan p = slope (d + s), at the distance d + s."""
    fall = 1 + slope  # tan p = 1
    north = [
        ERRORS["place_m"] / fall,
        ERRORS["altitude_m"] / fall,
        np.radians(ERRORS["pitch_deg"]) * 10 * 2 / fall**2,  # d tan p / dp = 1 + tan² p
    ]
    east = [ERRORS["place_m"], np.radians(ERRORS["heading_deg"]) * 10 / fall]
    variances = np.array([np.square(north).sum(), np.square(east).sum()])
    trace, squares = variances.sum(), (variances**2).sum()
    radius = np.sqrt(squares / trace * chi2.ppf(0.9, trace**2 / squares))
    assert circle_radii(looks(), CAMERA, hills(500 + slope * NORTH))[0] == pytest.approx(radius, rel=2e-3)


@pytest.mark.parametrize(("wall", "north"), [(3, 10), (6, 4.4)])
def test_what_is_first_in_the_line_of_sight_is_met(hills, wall, north):
    """Flat; at 5 m a wall of one cell. At 4 to 5 m it rises linearly: 10 - s = 6 (s - 4) gives 34 / 7."""
    found = metres(looks(), hills(500.0 + wall * (NORTH == 5)))
    np.testing.assert_allclose(found, [[34 / 7 if wall == 6 else north, 0]], atol=1e-4)


BELOW = {"altitude_m": -3.0, "latitude": 5e-5, "heading_deg": 180.0}
LOST = {
    "a hole before": (lambda: np.where(np.abs(NORTH - 8) < 1, -9999, 500 + 5.0 * (NORTH < -50)), {}, False),
    "a hole under a line of sight above all known ground": (
        lambda: np.where(np.abs(NORTH - 8) < 1, -9999, 500.0),
        {},
        True,
    ),
    "a hole behind": (lambda: np.where(np.abs(NORTH - 14) < 1, -9999.0, 500.0), {}, True),
    "outside": (lambda: np.full((SIDE, SIDE), 500.0), {"altitude_m": 70.0}, False),
    "below the ground": (lambda: np.full((SIDE, SIDE), 500.0), {"altitude_m": -1.0}, False),
    "above a valley, below the take-off": (lambda: 500 - 2 * NORTH, BELOW, True),
    "no altitude": (lambda: np.full((SIDE, SIDE), 500.0), {"altitude_m": np.nan}, False),
    "unknown throughout but here": (lambda: np.where(np.abs(NORTH) < 2, 500, -9999.0), {}, False),
}


@pytest.mark.parametrize(("elevations", "said", "known"), LOST.values(), ids=LOST)
def test_a_line_of_sight_that_meets_no_known_ground_has_no_position(hills, elevations, said, known):
    found = metres(looks(**said), hills(elevations()))
    assert np.isnan(found).all() != known


def test_the_point_is_the_first_on_the_terrain_and_on_the_ray(hills):
    rng = np.random.default_rng(7)
    x, y = np.meshgrid(*[np.linspace(-3, 3, SIDE)] * 2)
    ground = hills(500 + 4 * np.sin(2 * x) * np.cos(3 * y) + 2 * np.sin(y))
    n = 200
    down, heading = np.radians(rng.uniform(12, 89, n)), rng.uniform(0, 2 * np.pi, n)
    rays = np.stack([np.cos(heading), np.sin(heading)], 1) / np.tan(down)[:, None]
    start = rng.uniform(-5, 5, (n, 2))
    terrain, height = ground.terrain, np.full(n, 512.0)
    fall = terrain.fall(*(start * CELL + (0, 20)).T, height, rays)
    assert np.isfinite(fall).mean() > 0.9
    known = np.isfinite(fall)

    def clearance(share):
        point = (start + rays * (share * fall)[:, None]) * CELL + (0, 20)
        return (height - share * fall - terrain.at(*point.T))[known]

    assert np.abs(clearance(1.0)).max() < 1e-6
    assert min(clearance(share).min() for share in np.linspace(0, 1, 400)) > -0.01


def test_another_coordinate_system(hills):
    """A plane in UTM coordinates at 60 degrees north, whose north is not the meridian's."""
    place = (60.0, 18.0)  # three degrees from the meridian of zone 33
    east, north = (each[0] for each in transform("EPSG:4326", "EPSG:32633", [place[1]], [place[0]]))
    grid = from_origin(east - 150, north + 150, 1, 1)
    x, y = np.meshgrid(np.arange(300) + 0.5 - 150, 150 - np.arange(300) - 0.5)
    ground = hills(300 + 0.2 * x - 0.1 * y, place, where=grid, crs="EPSG:32633")
    assert ground.takeoff_m == pytest.approx(300, abs=0.005)
    heading = np.linspace(0, 350, 36)
    rows = looks(heading_deg=heading, latitude=place[0], longitude=place[1], altitude_m=30.0)
    found = ground_positions(rows, CAMERA, ground)
    across = METRES_A_DEGREE * np.array([1, np.cos(np.radians(60))])
    away = np.hypot(*((found - place) * across).T)  # 45 degrees: as far as below the camera
    assert away.min() < 25 < 35 < away.max()
    at_x, at_y = transform("EPSG:4326", "EPSG:32633", *found.T[::-1])
    plane = 300 + 0.2 * (np.array(at_x) - east) - 0.1 * (np.array(at_y) - north)
    np.testing.assert_allclose(plane, ground.takeoff_m + 30 - away, atol=0.02)


def test_a_large_model_is_read_coarser(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.telemetry.terrain._MOST_CELLS", 50)
    terrain = read_terrain(write(tmp_path / "dem.tif", 500 + NORTH / 10), np.array([[0.0, 20.0]]))
    assert terrain.elevations.shape == (50, 50)
    north = np.array([-40.0, 0.0, 33.3])
    np.testing.assert_allclose(terrain.at(north * CELL, np.full(3, 20.0)), 500 + north / 10, atol=0.03)
    monkeypatch.setattr("pipeline.telemetry.terrain._MOST_READ", 100)
    with pytest.raises(PipelineError, match=r"121 x 121 cells around the flight are too many; resample it to 1 m$"):
        read_terrain(tmp_path / "dem.tif", np.array([[0.0, 20.0]]))


def test_scale_and_offset_of_the_file_count(tmp_path):
    path = write(tmp_path / "dem.tif", np.full((SIDE, SIDE), 50), dtype="int16", nodata=-1)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.1,), (7.0,)
    assert read_terrain(path, np.array([[0.0, 20.0]])).at(np.zeros(1), np.full(1, 20.0)) == pytest.approx(12)


VIRTUAL = """<VRTDataset rasterXSize="2" rasterYSize="2"><SRS>EPSG:4326</SRS>
<GeoTransform>19.9, 0.1, 0, 0.1, 0, -0.1</GeoTransform><VRTRasterBand dataType="Byte" band="1">
<SimpleSource><SourceFilename>/etc/passwd</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""
WRONG = {
    "gone": (lambda path: None, "no such file"),
    "text": (lambda path: path.write_text("500 m"), "cannot be read"),
    "names other files": (lambda path: path.write_text(VIRTUAL), "cannot be read"),
    "picture": (lambda path: write(path, np.zeros((9, 9, 3))), "has 3 bands"),
    "nowhere": (lambda path: write(path, np.zeros((9, 9)), crs=None), "names no coordinate system"),
}


@pytest.mark.parametrize(("make", "told"), WRONG.values(), ids=WRONG)
def test_what_is_no_terrain_model_is_refused_in_one_line(tmp_path, make, told):
    path = tmp_path / "dem.tif"
    make(path)
    with pytest.raises(PipelineError) as error:
        check_terrain(path)
    assert str(error.value).startswith(f"{path}: {told}")
    assert "expected a terrain model, a GeoTIFF with one band of elevations in metres" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("where", [rasterio.Affine(0, 0, 0, 0, 0, 0), from_origin(20, 1, 1e-310, 1e-310)])
def test_cells_without_a_place_or_a_size_are_told_in_one_line(tmp_path, where):
    path = write(tmp_path / "dem.tif", np.zeros((9, 9)), where)
    with pytest.raises(PipelineError, match=r"dem.tif: cannot be read \(.*\); expected a terrain model"):
        read_terrain(path, np.array([[0.0, 20.0]]))


def test_feet_are_refused(tmp_path):
    with rasterio.open(write(tmp_path / "dem.tif", np.zeros((9, 9))), "r+") as file:
        file.units = ("ft",)
    with pytest.raises(PipelineError, match="its elevations are in 'ft'; expected"):
        check_terrain(tmp_path / "dem.tif")


def test_damage_is_told_in_one_line(tmp_path, caplog):
    path = write(tmp_path / "dem.tif", np.random.default_rng(0).normal(500, 1, (SIDE, SIDE)), compress="deflate")
    whole = path.read_bytes()
    with caplog.at_level(logging.DEBUG):
        for keep in range(200, len(whole), len(whole) // 20):
            path.write_bytes(whole[:keep])
            with pytest.raises(PipelineError) as error:
                read_terrain(path, np.array([[0.0, 20.0]]))
            assert "\n" not in str(error.value)
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def test_a_flight_remembers_its_model_until_it_is_off(tmp_path, monkeypatch):
    frames = pd.DataFrame({"pts_s": [1.0, 0.0], "latitude": [20 * CELL, 0.0], "longitude": 20.0})
    assert isinstance(read_ground(tmp_path, frames), FlatGround)
    path = write(tmp_path / "dem.tif", 500 + NORTH)
    monkeypatch.chdir(tmp_path)
    remember_terrain(tmp_path, load_config(settings=["terrain=dem.tif"]).terrain)
    monkeypatch.chdir("/")
    remember_terrain(tmp_path, load_config().terrain)
    ground = read_ground(tmp_path, frames)
    assert ground.file == path
    assert ground.takeoff_m == pytest.approx(500)  # of the earliest position
    assert isinstance(read_ground(tmp_path, frames.drop(columns="latitude")), FlatGround)
    with pytest.raises(PipelineError, match="does not cover the flight"):
        read_ground(tmp_path, frames.assign(latitude=40.0))
    with pytest.raises(PipelineError, match=r"no elevation at the first position of the telemetry, 0.00180, 20"):
        read_ground(tmp_path, frames.assign(latitude=200 * CELL))
    remember_terrain(tmp_path, load_config(settings=["terrain=off"]).terrain)
    assert isinstance(read_ground(tmp_path, frames), FlatGround)
    (tmp_path / "terrain.json").write_text('{"file": 3}')
    with pytest.raises(PipelineError, match=r"terrain\.json: damaged"):
        read_ground(tmp_path, frames)


def test_a_path_in_a_configuration_is_relative_to_it(tmp_path):
    (tmp_path / "flight.yaml").write_text("video: a.mp4\nterrain: dem.tif")
    assert load_config(tmp_path / "flight.yaml").terrain == tmp_path / "dem.tif"
    (tmp_path / "flight.yaml").write_text("video: a.mp4\nterrain: off")
    assert load_config(tmp_path / "flight.yaml").terrain == "off"
