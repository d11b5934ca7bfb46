"""Simulated flights: video, and for every frame who is where and how the camera moved."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.engine.threads import prefetch
from pipeline.errors import PipelineError
from pipeline.simulate.camera import Camera, Points
from pipeline.simulate.effects import draw_look
from pipeline.simulate.ground import make_ground
from pipeline.simulate.output import make_folder
from pipeline.simulate.people import Look, Pose, cast_member, random_arms, riding
from pipeline.simulate.scene import Person, Scene, TrueBox, draw_light
from pipeline.simulate.scenery import Thing, cycle, make_houses, make_things
from pipeline.simulate.shapes import turn_of
from pipeline.simulate.subtitles import degrees, subtitle
from pipeline.video.pixels import tag_colours
from pipeline.workspace.atomic import atomic_file

_ALTITUDES = (3.0, 200.0)  # metres
_RIDERS = 0.06  # share of people on bicycles
_KEY_INTERVAL = 1.0  # seconds between key frames, as drones record


@dataclass(frozen=True)
class FlightFiles:
    """What a simulated flight consists of.

    Attributes:
        video: H.264 in mp4.
        truth: MOTChallenge text: frame (from 1), identity, left, top, width, height, 1, 1, visibility.
        camera: CSV: frame (from 1), position, angles, focal length, ground-to-pixel homography, and the
            homography that takes the frame before to this one (pixels).
        telemetry: subtitles as a DJI drone records them: altitude, position and gimbal angles of every frame.
        positions: CSV: frame (from 1), identity, latitude and longitude of everybody, in the picture or not.

    """

    video: Path
    truth: Path
    camera: Path
    telemetry: Path
    positions: Path


def simulate_flight(
    output: Path,
    *,
    people: int = 12,
    seconds: float = 20.0,
    seed: int = 1,
    cast_seed: int | None = None,
    size: tuple[int, int] = (1920, 1080),
    fps: float = 30.0,
    altitude: float = 25.0,
    fov_deg: float | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> FlightFiles:
    """Write a flight to `output` and its ground truth beside it; equal arguments give equal files.

    Args:
        output: `….mp4`.
        people: how many take part; identities are 1 to `people`.
        seconds: length.
        seed: of ground, paths, light and camera.
        cast_seed: of the persons' appearance; flights of one cast show the same people. None: `seed`.
        size: width and height in pixels, even.
        fps: frames per second.
        altitude: metres above the ground.
        fov_deg: horizontal angle of view, degrees; None: 55 to 72, by `seed`.
        progress: called with the number of frames made.

    Raises:
        PipelineError: an argument is out of range or the folder is not writable; names it.

    """
    _check(output, people, seconds, size, fps, altitude, fov_deg)
    rng = np.random.default_rng((seed, 3))
    cast = [cast_member(seed if cast_seed is None else cast_seed, number) for number in range(1, people + 1)]
    route = _Route(rng, size, altitude, seconds, fov_deg)
    scene = _make_scene(rng, route, altitude)
    walks = [_Walk(np.random.default_rng((seed, number, 5)), route) for number in range(1, people + 1)]
    files = FlightFiles(
        output, *(output.with_suffix(each) for each in (".gt.txt", ".camera.csv", ".SRT", ".positions.csv"))
    )
    truth_rows: list[str] = []
    camera_rows = [_CAMERA_HEADER]
    position_rows = [_POSITION_HEADER]
    cues: list[str] = []
    before: Points | None = None

    def frames() -> Iterator[NDArray[np.uint8]]:
        nonlocal before
        for number in range(1, round(seconds * fps) + 1):
            time = (number - 1) / fps
            camera = route.camera(time)
            present = [
                walk.person(n, look, time) for n, (look, walk) in enumerate(zip(cast, walks, strict=True), 1)
            ]
            image, truth = scene.render(camera, present, np.random.default_rng((seed, number, 11)))
            truth_rows.extend(_mot_row(number, box) for box in truth)
            homography = camera.ground_homography()
            camera_rows.append(_camera_row(number, camera, homography, before))
            cues.append(subtitle(number, time, 1 / fps, camera))
            position_rows.extend(_position_row(number, each) for each in present)
            before = homography
            yield image

    make_folder(output.parent, "output")
    with atomic_file(files.video) as video:
        _encode(video, prefetch(frames(), 4), size, fps, progress)
        texts = {
            files.truth: truth_rows,
            files.camera: camera_rows,
            files.telemetry: cues,
            files.positions: position_rows,
        }
        for path, rows in texts.items():
            with atomic_file(path) as temporary:
                temporary.write_text("".join(f"{row}\n" for row in rows), "utf-8")
    return files


def _check(
    output: Path,
    people: int,
    seconds: float,
    size: tuple[int, int],
    fps: float,
    altitude: float,
    fov_deg: float | None,
) -> None:
    problems = {
        "output must end in .mp4": output.suffix != ".mp4",
        "people must be 0 to 1000": not 0 <= people <= 1000,
        "fps must be 1 to 240": not 1 <= fps <= 240,
        "seconds must give at least one frame, and be a day at most": not (
            seconds * fps >= 1 and seconds <= 86_400
        ),
        "size must be even and at least 64x64": min(size) < 64 or size[0] % 2 or size[1] % 2,
        f"altitude must be {_ALTITUDES[0]:g} to {_ALTITUDES[1]:g} m": not _ALTITUDES[0]
        <= altitude
        <= _ALTITUDES[1],
        "fov must be 10 to 120 degrees": fov_deg is not None and not 10 <= fov_deg <= 120,
    }
    wrong = [text for text, is_wrong in problems.items() if is_wrong]
    if wrong:
        raise PipelineError(f"simulate: {'; '.join(wrong)}")


class _Route:
    """The drone's way: it drifts and turns around a place, shakes a little, and keeps people in its picture."""

    def __init__(
        self,
        rng: np.random.Generator,
        size: tuple[int, int],
        altitude: float,
        seconds: float,
        fov_deg: float | None = None,
    ) -> None:
        self._size = size
        self._pitch = np.radians(rng.uniform(40, 68))
        drawn = rng.uniform(55, 72)  # also where it is given, so that the rest of the flight stays the same
        self._focal = size[0] / 2 / np.tan(np.radians(drawn if fov_deg is None else fov_deg) / 2)
        self._altitude = altitude
        self.reach = altitude / np.sin(self._pitch) * size[0] / 2 / self._focal  # half the picture's width, metres
        self._yaw, self._turn = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.05)
        self._drift = rng.normal(0, 0.35 * self.reach, 2) / max(seconds, 10)
        self._waves = rng.uniform(0, 2 * np.pi, (6, 3))
        self._strength = rng.uniform(0.4, 1.6)

    def _wave(self, axis: int, time: float, slow: float) -> float:
        """A smooth wander of deviation about 1, with a fast shake in it."""
        phases = self._waves[axis]
        swing = np.sin(slow * time + phases[0]) + 0.5 * np.sin(2.3 * slow * time + phases[1])
        return float(swing + 0.02 * np.sin(19 * time + phases[2]) + 0.012 * np.sin(31 * time + phases[0]))

    def camera(self, time: float) -> Camera:
        """The camera at `time` seconds."""
        strength = self._strength
        yaw = self._yaw + self._turn * time + 0.05 * strength * self._wave(0, time, 0.3)
        pitch = self._pitch + 0.02 * strength * self._wave(1, time, 0.37)
        altitude = self._altitude * (1 + 0.02 * strength * self._wave(2, time, 0.25))
        back = self._altitude / np.tan(self._pitch)
        centre = self._drift * time + 0.06 * self.reach * np.array(
            [self._wave(4, time, 0.2), self._wave(5, time, 0.2)]
        )
        position = centre - back * np.array([np.cos(self._yaw), np.sin(self._yaw)])
        return Camera(
            np.array([*position, altitude]),
            yaw,
            pitch,
            roll=0.012 * strength * self._wave(3, time, 0.5),
            focal=self._focal,
            width=self._size[0],
            height=self._size[1],
        )


def _make_scene(rng: np.random.Generator, route: _Route, altitude: float) -> Scene:
    look = draw_look(rng)
    camera = route.camera(0)
    fine = float(np.linalg.norm(camera.position)) / camera.focal
    spread = 1.6 * route.reach
    side = float(np.clip(7 * route.reach, 30, 400))
    ground = make_ground(rng, size=3072, side=side, fine=fine)
    places = rng.uniform(-spread, spread, (int(rng.integers(8, 18)), 2))
    things = make_things(rng, ground, places, below=0.4 * altitude)
    if rng.random() < 0.4:
        away = -camera.position[:2] / np.linalg.norm(camera.position[:2])
        things += make_houses(rng, away, route.reach * rng.uniform(0.9, 1.6), 0.8 * altitude)
    light = draw_light(rng, softness=0.03 / fine)
    return Scene(ground, light, things, look, roughness=float(rng.uniform(0.02, 0.14)))


class _Walk:
    """One person's way: from point to point around the place that the drone looks at, with rests."""

    def __init__(self, rng: np.random.Generator, route: _Route) -> None:
        self._stride_length = rng.uniform(1.3, 1.6)  # metres a double step
        speed = float(np.clip(rng.normal(1.25, 0.3), 0.5, 3.2)) * (2.2 if rng.random() < 0.06 else 1.0)
        points = rng.normal(0, 0.55 * route.reach, (60, 2))
        if rng.random() < 0.5:  # some walk straight through and out of the picture
            points[1:] *= rng.uniform(1.0, 2.2)
        legs = np.linalg.norm(np.diff(points, axis=0), axis=1)
        rests = np.where(rng.random(len(legs)) < 0.3, rng.uniform(0, 6, len(legs)), 0)
        arrivals = np.cumsum(legs / speed + rests)
        starts = np.concatenate([[0], arrivals[:-1]]) + rests
        self._times = np.stack([starts, arrivals], axis=1).ravel()
        self._x, self._y = (np.stack([points[:-1, axis], points[1:, axis]], axis=1).ravel() for axis in (0, 1))
        self._start = rng.uniform(0, arrivals[len(arrivals) // 3])
        self._distances = np.concatenate([[0], np.cumsum(np.hypot(np.diff(self._x), np.diff(self._y)))])
        self._phase = rng.uniform(0, 2 * np.pi)
        self._fast = speed > 2
        self._arms = {still: random_arms(rng, standing=still) for still in (False, True)}
        self._cycle: Thing = cycle(rng) if rng.random() < _RIDERS else []

    def _place(self, time: float) -> Points:
        time = time + self._start
        return np.array([np.interp(time, self._times, self._x), np.interp(time, self._times, self._y)])

    def _walked(self, time: float) -> float:
        """Metres walked so far: what the step goes by, so that feet do not slide."""
        return float(np.interp(time + self._start, self._times, self._distances))

    def person(self, number: int, look: Look, time: float) -> Person:
        """Identity `number` at `time` seconds, with what the person rides on."""
        pose = self.pose(time)
        if not self._cycle:
            return Person(number, look, pose)
        turn, by = turn_of(pose.heading), np.array([pose.x, pose.y, 0.0])
        return Person(number, look, riding(look, pose), [part.moved(turn, by) for part in self._cycle])

    def pose(self, time: float) -> Pose:
        """Where and how the person is at `time` seconds; corners are rounded over half a second."""
        here = np.mean([self._place(time + step) for step in (-0.25, 0, 0.25)], axis=0)
        ahead, behind = self._place(time + 0.4), self._place(time - 0.4)
        way = ahead - behind
        speed = float(np.linalg.norm(way)) / 0.8
        still = speed < 0.05
        toward = self._place(time + 8) - self._place(time - 8) if still else way
        return Pose(
            float(here[0]),
            float(here[1]),
            heading=float(np.arctan2(toward[1], toward[0])),
            phase=self._phase + 2 * np.pi * self._walked(time) / self._stride_length,
            stride=0.04 if still else 0.75 if self._fast else min(0.46, 0.16 + 0.22 * speed),
            arms="swing" if self._fast else self._arms[still],
        )


_CAMERA_HEADER = ",".join(
    ["frame", "x_m", "y_m", "altitude_m", "yaw_rad", "pitch_rad", "roll_rad", "focal_px"]
    + [f"ground_{row}{column}" for row in range(3) for column in range(3)]
    + [f"motion_{row}{column}" for row in range(3) for column in range(3)]
)


_POSITION_HEADER = "frame,identity,latitude,longitude"


def _position_row(number: int, person: Person) -> str:
    latitude, longitude = degrees(person.pose.x, person.pose.y)
    return f"{number},{person.number},{latitude:.8f},{longitude:.8f}"


def _camera_row(number: int, camera: Camera, homography: Points, before: Points | None) -> str:
    motion = np.eye(3) if before is None else homography @ np.linalg.inv(before)
    motion = motion / motion[2, 2]
    values = [*camera.position, camera.yaw, camera.pitch, camera.roll, camera.focal]
    return ",".join([str(number)] + [f"{value:.9g}" for value in [*values, *homography.ravel(), *motion.ravel()]])


def _mot_row(number: int, box: TrueBox) -> str:
    return (
        f"{number},{box.number},{box.x1:.2f},{box.y1:.2f},{box.x2 - box.x1:.2f},{box.y2 - box.y1:.2f},"
        f"1,1,{box.visibility:.3f}"
    )


def _encode(
    path: Path,
    images: Iterator[NDArray[np.uint8]],
    size: tuple[int, int],
    fps: float,
    progress: Callable[[int], None],
) -> None:
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = max(1, round(_KEY_INTERVAL * fps))
        tag_colours(stream.codec_context)
        # One thread: with more, x264's output depends on how many there are, and on chance.
        stream.codec_context.thread_count = 1
        # No macroblock tree: on some processors it makes the same pictures into different bytes now and then.
        stream.options = {"preset": "superfast", "crf": "23", "x264-params": "mbtree=0"}
        for image in images:
            planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)  # quicker than the conversion within PyAV
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
            progress(1)
        container.mux(stream.encode())
