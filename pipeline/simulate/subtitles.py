"""The true pose of the camera as the subtitles that a DJI drone records beside its video."""

import numpy as np

from pipeline.simulate.camera import Camera

ORIGIN = (47.0, 8.0)  # degrees north and east of the world's origin: somewhere in the Alps
_METRES_A_DEGREE = 111_320.0  # of latitude; of longitude at the equator


def degrees(east: float, north: float) -> tuple[float, float]:
    """Latitude and longitude, WGS 84, of the place `east` and `north` metres from the world's origin."""
    across = _METRES_A_DEGREE * float(np.cos(np.radians(ORIGIN[0])))
    return ORIGIN[0] + north / _METRES_A_DEGREE, ORIGIN[1] + east / across


def subtitle(number: int, time: float, duration: float, camera: Camera) -> str:
    """The cue of frame `number` (from 1), from `time` seconds on for `duration`; ends with an empty line."""
    east, north, up = camera.position
    latitude, longitude = degrees(east, north)
    heading = (90 - np.degrees(camera.yaw) + 180) % 360 - 180  # yaw counts from east towards north
    return (
        f"{number}\n{_clock(time)} --> {_clock(time + duration)}\n"
        f"FrameCnt: {number}, DiffTime: {1000 * duration:.0f}ms\n"
        f"[latitude: {latitude:.8f}] [longitude: {longitude:.8f}] [rel_alt: {up:.3f} abs_alt: {up + 500:.3f}] "
        f"[gb_yaw: {heading:.2f} gb_pitch: {-np.degrees(camera.pitch):.2f} gb_roll: "
        f"{np.degrees(camera.roll):.2f}]\n"
    )


def _clock(seconds: float) -> str:
    milliseconds = round(1000 * seconds)
    return (
        f"{milliseconds // 3_600_000:02d}:{milliseconds // 60_000 % 60:02d}:"
        f"{milliseconds // 1000 % 60:02d},{milliseconds % 1000:03d}"
    )
