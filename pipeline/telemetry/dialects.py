r"""The dialects of drones' subtitles: what one cue says, by the words that decide which number is which.

    [latitude: 47.1] [longitude: 8.2] [rel_alt: 30.1 abs_alt: 512.3] [gb_yaw: 12.0 gb_pitch: -60.0 gb_roll: 0.0]
    HOME(8.2,47.0) 2017.08.05 14:11:51 GPS(8.2,47.1,19) BAROMETER:30.1       (or Hb:30.1)
    GPS(47.1,8.2,0.0M) BAROMETER:30.1M
    F/2.8, SS 206, ISO 100, EV 0, GPS (8.2, 47.1, 19), D 24.2m, H 30.1m, G.PRY (-60.0°, 0.0°, 12.0°)
    HOME(E: 8.2, N: 47.0) GPS(E: 8.2, N: 47.1, 512.3), G.PRY (-60.0°, 0.0°, 12.0°)

A name or a letter says which number is the latitude. Without, the third number decides: a count of satellites
follows longitude and latitude, a height with its unit follows latitude and longitude. Any other `GPS (…)` is left
alone. `abs_alt`, `altitude` and the third number of `GPS` are no heights above the take-off; `F.PRY` is the
aircraft, not its camera.
"""

import re

_FOOT = 0.3048  # metres
_N = r"([-+]?\d{1,12}(?:\.\d{1,12})?)"
_NAMED = rf"\s?:\s?{_N}(?=[ \t\])]|,(?!\d))"  # a number at the end of a line may have been cut off
_DEGREES = rf"\s?{_N}[^\s\d,)]{{0,2}}\s?"  # the sign may be lost, where a file is in another encoding
_UNIT = r"\s?(m|ft)(?![\w/])"


def _search(text: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    return re.compile(text, re.ASCII | flags)


_ALTITUDES = (
    _search(rf"\brel_alt{_NAMED}"),
    _search(rf"\bBAROMETER\s?:?\s?{_N}(?:{_UNIT}|(?=[\s,]|$))", re.IGNORECASE),
    _search(rf"\bH\s{_N}{_UNIT}"),
    _search(rf"\bHb\s?:\s?{_N}(?=[\s,])"),
)
_LATITUDE, _LONGITUDE = (
    _search(rf"\b{name}\s?:\s?{_N}(?:\s?°)?(?:\s?([{sides}]))?(?=[ \t\])]|,(?!\d))")
    for name, sides in (("latitude", "NS"), ("longt?itude", "EW"))
)
_NAMED_POSITION = _search(r"\b(?:latitude|longt?itude)\s?:\s?[-+]?\d")
_HEADING, _PITCH = (_search(rf"\b(?:gb|gimbal)_{name}{_NAMED}") for name in ("yaw", "pitch"))
_GIMBAL = _search(rf"\bG\.PRY\s?\({_DEGREES},{_DEGREES},{_DEGREES}\)")
_GPS = _search(r"\bGPS\s?\(([^()]{1,120})\)")
_SIDE = _search(rf"([NSEW])\s?:?\s?{_N}|{_N}\s?([NSEW])")
_HOME = _search(r"\bHOME\s?\(")
_WHOLE = _search(r"[-+]?\d{1,3}")
_DEGREE = _search(_N)
_HEIGHT = _search(rf"{_N}\s?m", re.IGNORECASE)
_OTHER_HEIGHT = _search(r"\b(?:abs_alt|altitude)\s?:")
_NO_POSITION = _search(r"\s*(?:n/a|-+)?\s*", re.IGNORECASE)


def read_cue(text: str) -> dict[str, float]:
    """What one subtitle says, by column; what it does not say in a way that is known is left out."""
    found = _altitude(text) | _angles(text)
    latitude, longitude = _LATITUDE.search(text), _LONGITUDE.search(text)
    if latitude and longitude:
        found |= {"latitude": _signed(latitude), "longitude": _signed(longitude)}
    elif not latitude and not longitude:
        found |= _gps(text)
    return found


def _signed(match: re.Match[str]) -> float:
    return -float(match[1]) if match[2] in ("S", "W") else float(match[1])


def is_position_unread(text: str) -> bool:
    """Whether a subtitle names a latitude or a longitude that is no number of degrees that is known."""
    return _NAMED_POSITION.search(text) is not None and not (_LATITUDE.search(text) and _LONGITUDE.search(text))


def is_position_unknown(text: str) -> bool:
    """Whether a subtitle has a `GPS (…)` with numbers of which it is not known which is the latitude."""
    match = _GPS.search(text)
    return match is not None and not _gps(text) and not _NO_POSITION.fullmatch(match[1].split(",")[0])


def has_other_height(text: str) -> bool:
    """Whether a subtitle names a height that is not above the place of take-off, or not known to be."""
    return _OTHER_HEIGHT.search(text) is not None


def _altitude(text: str) -> dict[str, float]:
    match = next((found for pattern in _ALTITUDES if (found := pattern.search(text))), None)
    if match is None:
        return {}
    in_feet = match.re.groups > 1 and match[2] == "ft"
    return {"altitude_m": float(match[1]) * (_FOOT if in_feet else 1.0)}


def _angles(text: str) -> dict[str, float]:
    gimbal = _GIMBAL.search(text)
    if gimbal:
        return {"heading_deg": float(gimbal[3]), "pitch_deg": float(gimbal[1])}
    angles = {"heading_deg": _HEADING.search(text), "pitch_deg": _PITCH.search(text)}
    return {name: float(match[1]) for name, match in angles.items() if match}


def _gps(text: str) -> dict[str, float]:
    """Latitude and longitude of `GPS (…)`; nothing where it is not known which is which."""
    match = _GPS.search(text)
    words = [word.strip() for word in match[1].split(",")] if match else []
    if len(words) not in (2, 3):
        return {}
    sides = [_SIDE.fullmatch(word) for word in words[:2]]
    if all(sides):
        return _by_sides([(side[1] or side[4], float(side[2] or side[3])) for side in sides if side])
    if len(words) != 3 or not all(_DEGREE.fullmatch(word) for word in words[:2]):
        return {}
    first, second = float(words[0]), float(words[1])
    if _WHOLE.fullmatch(words[2]):
        return {"latitude": second, "longitude": first}
    if _HEIGHT.fullmatch(words[2]) and not _HOME.search(text):
        return {"latitude": first, "longitude": second}
    return {}


def _by_sides(sides: list[tuple[str, float]]) -> dict[str, float]:
    found = {
        "latitude" if side in "NS" else "longitude": -degrees if side in "SW" else degrees
        for side, degrees in sides
    }
    return found if len(found) == 2 else {}
