r"""DJI's subtitles: a cue a frame or a second, in the words of several generations of drones.

    [latitude: 47.1] [longitude: 8.2] [rel_alt: 30.1 abs_alt: 512.3] [gb_yaw: 12.0 gb_pitch: -60.0 gb_roll: 0.0]
    GPS(8.2,47.1,19) BAROMETER:30.1
    F/2.8, SS 206, ISO 100, EV 0, GPS (8.2, 47.1, 19), D 24.2m, H 30.1m, H.S 0.0m/s, V.S 0.0m/s

`GPS (…)` has the longitude first. `abs_alt`, `altitude` and the third number of `GPS` are left alone: they are
above the sea, or count satellites. A position of exactly 0, 0 means that the receiver had none yet.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pipeline.telemetry.records import impossible

_NUMBER = r"([-+]?\d{1,12}(?:\.\d{1,12})?)(?=[\s,\])m/]|$)"
_CUE = re.compile(r"\s*(\d{1,4}):(\d\d):(\d\d)[,.](\d{1,3})\s*-->", re.ASCII)
_FIELDS = {
    "altitude_m": (rf"\brel_alt\s?:\s?{_NUMBER}", rf"\bBAROMETER\s?:?\s?{_NUMBER}", rf"\bH\s{_NUMBER}\s?m\b"),
    "latitude": (rf"\blatitude\s?:\s?{_NUMBER}", rf"\bGPS\s?\(\s?[-+.\d]{{1,25}}\s?,\s?{_NUMBER}"),
    "longitude": (rf"\blongt?itude\s?:\s?{_NUMBER}", rf"\bGPS\s?\(\s?{_NUMBER}"),
    "heading_deg": (rf"\b(?:gb|gimbal)_yaw\s?:\s?{_NUMBER}",),
    "pitch_deg": (rf"\b(?:gb|gimbal)_pitch\s?:\s?{_NUMBER}",),
}
_PATTERNS = {name: [re.compile(text, re.ASCII) for text in texts] for name, texts in _FIELDS.items()}
_MOST_TEXT = 4096  # characters of a cue that are looked at; real ones have a few hundred


@dataclass
class Cues:
    """What subtitles say.

    Attributes:
        times: seconds of each sample on the player's clock: 0 is where the video begins.
        samples: values by column.
        cues: how many subtitles there were.
        problems: how many of them, or of their lines, could not be understood.
        first_problem: the line, from 1, and what was wrong there.

    """

    times: list[float] = field(default_factory=list)
    samples: list[dict[str, float]] = field(default_factory=list)
    cues: int = 0
    problems: int = 0
    first_problem: tuple[int, str] | None = None

    def add(self, time: float, text: str, line: int) -> None:
        """Take the cue `text` that begins at `line`."""
        self.cues += 1
        sample = parse_cue(text)
        wrong = "no altitude, position or gimbal angle that can be read"
        if sample is not None:
            wrong = impossible(sample) or ""
        if sample and not wrong:
            self.times.append(time)
            self.samples.append(sample)
        if wrong:
            self.trouble(line, wrong)

    def trouble(self, line: int, what: str) -> None:
        """Note that something could not be understood."""
        self.problems += 1
        self.first_problem = self.first_problem or (line, what)


def parse_cue(text: str) -> dict[str, float] | None:
    """What one subtitle says, by column; None where it says nothing that is known here.

    Empty while the receiver has no position and there is nothing else.
    """
    found: dict[str, float] = {}
    for name, patterns in _PATTERNS.items():
        match = next((match for match in (pattern.search(text) for pattern in patterns) if match), None)
        if match:
            found[name] = float(match[1])
    no_fix = found.get("latitude") == 0 == found.get("longitude")
    if no_fix or ("latitude" in found) != ("longitude" in found):
        for name in ("latitude", "longitude"):
            found.pop(name, None)
    return found if found or no_fix else None


def read_cues(lines: Iterable[str]) -> Cues:
    """The subtitles of an SRT file; damaged ones are counted and passed over."""
    result = Cues()
    for time, text, line in _cues(lines, result):
        result.add(time, text, line)
    return result


def _cues(lines: Iterable[str], result: Cues) -> Iterator[tuple[float, str, int]]:
    """(seconds, text, line number) of each cue."""
    time: float | None = None
    start, text = 0, ""
    for number, line in enumerate(lines, 1):
        if "-->" in line:
            if time is not None:
                yield time, text, start
            match = _CUE.match(line)
            time, start, text = None, number, ""
            if match is None:
                result.cues += 1
                result.trouble(number, "expected a time as 00:00:12,345 --> 00:00:12,378")
            else:
                hours, minutes, seconds, fraction = match.groups()
                time = int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction}")
        elif time is not None and len(text) < _MOST_TEXT:
            text += line[: _MOST_TEXT - len(text)]
    if time is not None:
        yield time, text, start
