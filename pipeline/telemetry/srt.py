"""Subtitles of drones, a cue a frame or a second: the cues of a file, and which of them could not be read.

`dialects.py` has what a cue says.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pipeline.telemetry.dialects import has_other_height, is_position_unknown, is_position_unread, read_cue
from pipeline.telemetry.records import checked

_CUE = re.compile(r"\ufeff?\s*(\d{1,4}):(\d\d):(\d\d)[,.](\d{1,3})(?:[,.](\d{1,3}))?\s*-->", re.ASCII)
CUE_TIME = "expected a time as 00:00:12,345 --> 00:00:12,378"
_MOST_TEXT = 4096  # characters of a cue that are looked at; real ones have a few hundred
_UNKNOWN_ORDER = "GPS (…) does not show which number is the latitude"
_UNREAD = "latitude and longitude are no decimal numbers of degrees"
_OTHER_HEIGHT = "its heights are not known to be above the place of take-off (rel_alt, BAROMETER, Hb, H …m)"


@dataclass
class Cues:
    """What subtitles say.

    Attributes:
        times: seconds of each sample on the player's clock: 0 is where the video begins.
        samples: values by column.
        cues: how many subtitles there were.
        problems: how many of them, or of their lines, could not be understood.
        first_problem: the line, from 1, and what was wrong there.
        left: what could not be used of subtitles that were understood otherwise; of how many.

    """

    times: list[float] = field(default_factory=list)
    samples: list[dict[str, float]] = field(default_factory=list)
    cues: int = 0
    problems: int = 0
    first_problem: tuple[int, str] | None = None
    left: dict[str, int] = field(default_factory=dict)

    def add(self, time: float, text: str, line: int) -> None:
        """Take the cue `text` that begins at `line`."""
        self.cues += 1
        said = read_cue(text)
        sample, wrong = checked(said)
        if not said:
            wrong = (
                _UNKNOWN_ORDER
                if is_position_unknown(text)
                else "no altitude, position or gimbal angle that can be read"
            )
        if wrong:
            self.trouble(line, wrong)
        elif sample:
            self.times.append(time)
            self.samples.append(sample)
            self._note(_UNKNOWN_ORDER, is_position_unknown(text))
            self._note(_UNREAD, is_position_unread(text))
            self._note(_OTHER_HEIGHT, "altitude_m" not in sample and has_other_height(text))

    def _note(self, what: str, applies: bool) -> None:
        if applies:
            self.left[what] = self.left.get(what, 0) + 1

    def trouble(self, line: int, what: str) -> None:
        """Note that something could not be understood."""
        self.problems += 1
        self.first_problem = self.first_problem or (line, what)


def parse_cue(text: str) -> dict[str, float] | None:
    """What one subtitle says, by column; None where it says nothing that is known here.

    Empty while the receiver has no position and there is nothing else.
    """
    said = read_cue(text)
    return checked(said)[0] if said else None


def read_cues(lines: Iterable[str]) -> Cues:
    """The subtitles of an SRT file; damaged ones are counted and passed over."""
    result = Cues()
    for time, text, line in cues_of(lines, result):
        result.add(time, text, line)
    return result


def cues_of(lines: Iterable[str], result: Cues) -> Iterator[tuple[float, str, int]]:
    """(seconds, text, line number) of each cue; `result` counts those whose time cannot be read."""
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
                result.trouble(number, CUE_TIME)
            else:
                hours, minutes, seconds, *fraction = match.groups("")
                time = int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{''.join(fraction)}")
        elif time is not None and len(text) < _MOST_TEXT:
            text += line[: _MOST_TEXT - len(text)]
    if time is not None:
        yield time, text, start
