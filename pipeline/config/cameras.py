"""The angle of view of drones' cameras, from what their makers state."""

import difflib
import math
from typing import NamedTuple

_DIAGONAL_MM = math.hypot(36, 24)  # of 35 mm film, to which the stated focal lengths are converted
_MAKERS = ("dji", "hasselblad", "autelrobotics", "autel", "parrot", "skydio", "teledyneflir", "intertest")


class Camera(NamedTuple):
    """A camera as its maker states it.

    Attributes:
        name: the drone, and which of its cameras.
        codes: what the drone writes into its files as the camera's model, without blanks, separated by them.
        focal_mm: focal length.
        sensor_mm: width and height of the sensor; of 35 mm film where the focal length is converted to it.
        diagonal_deg: angle of view of the whole sensor, from corner to corner; None where it is not stated.
        horizontal_deg: from side to side; None where it is not stated.

    """

    name: str
    codes: str
    focal_mm: float
    sensor_mm: tuple[float, float]
    diagonal_deg: float | None = None
    horizontal_deg: float | None = None

    @property
    def fov_deg(self) -> float:
        """Horizontal angle of view of a video that uses the sensor's whole width, degrees.

        By the focal length: lenses of thermal cameras squeeze the edges of the picture, and the stated angle of the
        whole is up to 4 degrees wider than that of a camera which has the scale of the middle everywhere.
        """
        return math.degrees(2 * math.atan(self.sensor_mm[0] / 2 / self.focal_mm))


class Unfit(NamedTuple):
    """A camera without a known angle.

    Attributes:
        name: the drone, and which of its cameras.
        codes: as of a `Camera`.
        why: the end of a sentence.
        width_mm: of the sensor, where the angle follows from the focal length.

    """

    name: str
    codes: str
    why: str
    width_mm: float | None = None


def _film(name: str, codes: str, focal_mm: float, aspect: float, diagonal_deg: float) -> Camera:
    """A focal length that is converted to 35 mm film.

    The conversion keeps the diagonal, so that the film which corresponds to the sensor has its aspect.
    """
    height = _DIAGONAL_MM / math.hypot(aspect, 1)
    return Camera(name, codes, focal_mm, (aspect * height, height), diagonal_deg)


def _sensor(
    name: str, codes: str, focal_mm: float, pixels: tuple[int, int], pixel_um: float, **stated: float
) -> Camera:
    """A sensor of `pixels`, each `pixel_um` wide."""
    wide, tall = pixels
    return Camera(name, codes, focal_mm, (wide * pixel_um / 1000, tall * pixel_um / 1000), **stated)


def _thermal(name: str, codes: str, focal_mm: float, pixels: tuple[int, int], **stated: float) -> Camera:
    return _sensor(f"{name}, thermal", codes, focal_mm, pixels, 12, **stated)


_BOSON, _SMALL_BOSON, _LEPTON = (640, 512), (320, 256), (160, 120)  # pixels

# Where a thermal camera has the code of the visual one, "-thermal" is put behind it.
CAMERAS = {
    "air2s": _film("DJI Air 2S", "FC3411", 22, 3 / 2, 88),
    "air3": _film("DJI Air 3, wide", "", 24, 4 / 3, 82),
    "air3s": _film("DJI Air 3S, wide", "", 24, 4 / 3, 84),
    "anafi": Camera(  # Parrot converts to film by the width
        "Parrot ANAFI, not zoomed", "ANAFI ANAFITHERMAL ANAFIUSA ANAFIUA", 26, (36, 20.25), horizontal_deg=69
    ),
    "anafithermal-thermal": _thermal("Parrot ANAFI Thermal", "", 1.77, _LEPTON, horizontal_deg=57),
    "anafiusa-thermal": _thermal("Parrot ANAFI USA", "", 4.3, _SMALL_BOSON, horizontal_deg=50),
    "boson640": _thermal("Teal 2", "", 13.6, _BOSON, horizontal_deg=32),
    "boson640-8.7mm": _thermal(
        "Teledyne FLIR Boson 640, 8.7 mm", "BOSON6408.7MMLWIR", 8.7, _BOSON, horizontal_deg=50
    ),
    "boson640-18mm": _thermal(
        "Teledyne FLIR Boson 640, 18 mm", "BOSON64018.0MMLWIR", 18, _BOSON, horizontal_deg=24
    ),
    "evo2": _film("Autel EVO II, II Dual", "XT701 XT709", 25.6, 4 / 3, 79),
    "evo2-thermal": _thermal(
        "Autel EVO II Dual 640T", "XT709-thermal XL709-thermal", 13, _BOSON, horizontal_deg=33
    ),
    "evo2v3": _film("Autel EVO II Dual 640T V3", "XL709", 23, 4 / 3, 85),
    "evolite-thermal": _thermal("Autel EVO Lite 640T Enterprise", "XL715-thermal", 9.1, _BOSON),
    "evonano": _film("Autel EVO Nano", "XT724", 24, 4 / 3, 84),
    "evonano+": _film("Autel EVO Nano+", "XL724", 23, 4 / 3, 85),
    "h20": _film(
        "DJI Zenmuse H20, H20T, wide", "ZENMUSEH20 ZH20 ZENMUSEH20T ZH20T ZENMUSEH20W ZH20W", 24, 4 / 3, 82.9
    ),
    "h20t-thermal": _thermal(
        "DJI Zenmuse H20T", "ZENMUSEH20T-thermal ZH20T-thermal", 13.5, _BOSON, diagonal_deg=40.6
    ),
    "hadron640r": _sensor("Teledyne FLIR Hadron 640R", "HADRON640REO", 4.8, (9248, 6944), 0.7, horizontal_deg=67),
    "m30": _film("DJI Matrice 30, 30T, wide", "M30T", 24, 4 / 3, 84),
    "m30t-thermal": _thermal("DJI Matrice 30T", "", 9.1, _BOSON, diagonal_deg=61),
    "m3t-thermal": _thermal("DJI Mavic 3T", "", 9.1, _BOSON, diagonal_deg=61),
    "mavic2dual": _film("DJI Mavic 2 Enterprise Dual", "FC2103 FC2403", 24, 4 / 3, 85),
    "mavic2dual-thermal": _thermal(
        "DJI Mavic 2 Enterprise Dual", "FC2403-thermal", 1.77, _LEPTON, horizontal_deg=57
    ),
    "mavic2enterprise": _film("DJI Mavic 2 Enterprise Advanced", "MAVIC2-ENTERPRISE-ADVANCED M2EA", 24, 4 / 3, 84),
    "mavic2enterprise-thermal": _thermal(
        "DJI Mavic 2 Enterprise Advanced", "MAVIC2-ENTERPRISE-ADVANCED-thermal M2EA-thermal", 9, _BOSON
    ),
    "mavic2pro": _film("DJI Mavic 2 Pro", "L1D-20C", 28, 3 / 2, 77),
    "mavic2zoom": _film("DJI Mavic 2 Zoom, Enterprise Zoom, not zoomed", "FC2200 FC2204", 24, 4 / 3, 83),
    "mavic3": _film("DJI Mavic 3, Cine, Classic, Pro, wide", "L2D-20C", 24, 4 / 3, 84),
    "mavic3-tele": _film("DJI Mavic 3, Cine, telephoto", "FC4170", 162, 4 / 3, 15),
    "mavic3enterprise": _film("DJI Mavic 3E, 3T, wide", "M3E M3T", 24, 4 / 3, 84),
    "mavic3pro-medium": _film("DJI Mavic 3 Pro, medium telephoto", "FC4382", 70, 4 / 3, 35),
    "mavic3pro-tele": _film("DJI Mavic 3 Pro, telephoto", "FC4370", 166, 4 / 3, 15),
    "mavicair": _film("DJI Mavic Air", "FC230", 24, 4 / 3, 85),
    "mavicair2": _film("DJI Mavic Air 2", "FC3170", 24, 4 / 3, 84),
    "mavicpro": _film("DJI Mavic Pro, Platinum", "FC220", 26, 4 / 3, 78.8),
    "mini": _film("DJI Mavic Mini, Mini SE", "FC7203", 24, 4 / 3, 83),
    "mini2": _film("DJI Mini 2, 2 SE", "FC7303", 24, 4 / 3, 83),
    "mini3": _film("DJI Mini 3, 3 Pro", "FC3682 FC3582", 24, 4 / 3, 82.1),
    "mini4pro": _film("DJI Mini 4 Pro", "FC8482", 24, 4 / 3, 82.1),
    "phantom3": _film("DJI Phantom 3", "FC300C FC300S FC300X FC300XW", 20, 4 / 3, 94),
    "phantom4": _film("DJI Phantom 4", "FC330", 20, 4 / 3, 94),
    "phantom4pro": _film("DJI Phantom 4 Pro, Advanced, RTK", "FC6310 FC6310S", 24, 3 / 2, 84),
    "skydio2": _sensor("Skydio 2, 2+, X2 Color", "skydio2+ X2 X2WIDE", 3.7, (4056, 3040), 1.55, horizontal_deg=80),
    "skydiox2e": _sensor(  # its angle is from the focal length in pixels that the maker states, 4848
        "Skydio X2 Color/Thermal", "X2E X2D X2NARROW", 7.5, (4056, 3040), 1.55, horizontal_deg=45.4
    ),
    "skydiox2e-thermal": _thermal(
        "Skydio X2 Color/Thermal", "X2E-thermal X2D-thermal X2NARROW-thermal", 9.1, _SMALL_BOSON, horizontal_deg=24
    ),
    "skydiox10-narrow": _sensor(
        "Skydio X10, narrow", "VT300-Z_50 VT300-L_50", 9.88, (9248, 6944), 0.8, diagonal_deg=50
    ),
    "skydiox10-tele": _sensor("Skydio X10, telephoto", "VT300-Z_13", 35, (8000, 6000), 0.8, diagonal_deg=13),
    "skydiox10-thermal": _thermal("Skydio X10", "VT300-Z_40IR VT300-L_40IR", 13.6, _BOSON, diagonal_deg=40),
    "spark": _film("DJI Spark", "FC1102", 25, 4 / 3, 81.9),
    "x4s": _film("DJI Zenmuse X4S", "FC6510", 24, 3 / 2, 84),
}

_LENSES, _ZOOM = "takes different lenses", "zooms"
_FISHEYE = "has a fisheye lens, which no angle describes: positions would be wrong"
_UNSURE = "has no published focal length and angle of view that agree"
UNFIT = (
    Unfit("Autel EVO II Pro", "XT705 XL705", _UNSURE),
    Unfit("Autel EVO Lite 640T Enterprise", "XL715", _UNSURE),
    Unfit("DJI Neo", "FC8671", _UNSURE),
    Unfit("DJI Phantom 2 Vision", "FC200 PHANTOMVISIONFC200", _FISHEYE),
    Unfit("DJI Phantom 4 Multispectral", "FC6360", _UNSURE),
    Unfit("DJI Zenmuse H20N", "ZENMUSEH20N ZH20N", "has two thermal cameras with a lens each", 7.68),
    Unfit("DJI Zenmuse P1", "ZENMUSEP1 ZP1", _LENSES, 35.9),
    Unfit("DJI Zenmuse X5", "FC550 FC550R FC550RAW", _LENSES, 17.3),
    Unfit("DJI Zenmuse X5S", "FC6520", _LENSES, 17.3),
    Unfit("DJI Zenmuse X7", "FC6540", _LENSES, 23.5),
    Unfit("DJI Zenmuse XT, 640 pixels", "FLIR", _LENSES, 10.88),
    Unfit("DJI Zenmuse XT, 336 pixels", "XTS", _LENSES, 5.71),
    Unfit("DJI Zenmuse XT2", "ZENMUSEXT2 XT2", _UNSURE),
    Unfit("DJI Zenmuse XT2, thermal", "ZENMUSEXT2-thermal XT2-thermal", _LENSES, 10.88),
    Unfit("DJI Zenmuse Z30", "ZENMUSEZ30 Z30", _ZOOM, 4.71),
    Unfit("Intertest XBC-KZ10", "XBC-KZ10", _ZOOM, 5.57),
    Unfit("Parrot ANAFI Ai", "ANAFIAI", _UNSURE),
    Unfit("Parrot Bebop 2", "BEBOP2", _FISHEYE),
    Unfit("Skydio R1", "R1", _UNSURE),
)


def _short(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter not in " -_.")


_KNOWN: dict[str, Camera | Unfit] = {_short(name): found for name, found in CAMERAS.items()}
_KNOWN |= {_short(code): found for found in CAMERAS.values() for code in found.codes.split()}
_KNOWN |= {_short(code): unfit for unfit in UNFIT for code in unfit.codes.split()}


def camera(name: str) -> Camera:
    """The camera called `name`, or whose code this is, with or without its maker.

    Case, blanks, dashes, dots and underscores do not matter.

    Raises:
        ValueError: it is not known, or has no one angle; says what to set instead.

    """
    short = _short(name)
    ways = [short, *(short.removeprefix(maker) for maker in _MAKERS if short.startswith(maker))]
    found = next((_KNOWN[each] for each in ways if each in _KNOWN), None)
    if isinstance(found, Camera):
        return found
    if found is not None:
        raise ValueError(f"{name!r}, the {found.name}, {found.why}{_instead(found)}")
    names = {_short(each): each for each in CAMERAS}
    close = [names.get(each, each.upper()) for each in difflib.get_close_matches(ways[-1], _KNOWN, 3, 0.5)]
    expected = ", ".join(close or sorted(CAMERAS))
    raise ValueError(f"{name!r} is not a known camera; expected {expected}, or fov_deg instead")


def _instead(unfit: Unfit) -> str:
    if unfit.why == _FISHEYE:
        return ""
    if unfit.width_mm is None:
        return "; set camera.fov_deg to the video's horizontal angle of view"
    return f"; set camera.fov_deg to 2 * atan({unfit.width_mm:g} / 2 / focal length in mm), in degrees"
