"""Wall clock of a video: the date and time of day at which it was recorded, and which source says so.

A start that the configuration gives comes first. Then three sources, the first that has a time is taken:

1. subtitles: the date and time that drones write into every cue; the clock of the drone or its remote control.
2. the file's name: `DJI_20240917143000_0001.mp4`, `VID_20240917_143000.mp4`; the same clock.
3. the container's `creation_time`. By the standard it is UTC. DJI writes local time there, so the zone is known of
   other makers only; phones write it when the recording ends. A file that was cut may keep the original's time.

No source names the time zone of local time; `WallClock.in_zone` says it. Times of one source and zone can be
compared with each other.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC as UTC_ZONE
from datetime import datetime, timedelta, tzinfo
from itertools import islice
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pipeline.errors import PipelineError
from pipeline.telemetry.source import beside, embedded_cues, with_lines
from pipeline.telemetry.srt import Cues, cues_of
from pipeline.video.container import open_container
from pipeline.workspace.atomic import read_json, write_json
from pipeline.workspace.folders import CLOCK, read_card

UTC, UNKNOWN = "UTC", "unknown"
_EARLIEST = 2000  # a year before is a clock that was never set
_CUES = 50  # in which the date is looked for
_DATED = re.compile(
    r"(?<![\d.])(20\d\d)([-./])(\d\d?)\2(\d\d?)[ T](\d\d):(\d\d):(\d\d)(?:[.,:](\d{1,3})(?!\d))?", re.ASCII
)
_NAMED = re.compile(r"(?<!\d)(20\d\d)(\d\d)(\d\d)[-_T]?(\d\d)(\d\d)(\d\d)(?!\d)", re.ASCII)
_DJI = re.compile(r"\bDJI", re.IGNORECASE)


@dataclass(frozen=True)
class WallClock:
    """When a video begins.

    Attributes:
        begin: date and time at the video's begin, without a zone.
        source: "subtitles", "file name", "container" or "configuration".
        zone: `UTC`, an offset as "+02:00", a name as "Europe/Berlin", or `UNKNOWN` for local time.

    """

    begin: datetime
    source: str
    zone: str

    def at(self, seconds: float) -> datetime | None:
        """The date and time `seconds` after the video's begin; None for seconds that are none, or millennia.

        Without a zone, but as the clocks of `zone` show it, also after they were changed.
        """
        try:
            begin = in_utc(self.begin, self.zone)
            if begin is None:
                return self.begin + timedelta(seconds=seconds)
            return (begin + timedelta(seconds=seconds)).astimezone(zone_of(self.zone)).replace(tzinfo=None)
        except (ValueError, OverflowError):
            return None

    def in_zone(self, name: str) -> "WallClock":
        """The same clock in the zone `name`; local time of an unknown zone is that of `name`."""
        begin = in_utc(self.begin, self.zone)
        local = self.begin if begin is None else begin.astimezone(zone_of(name)).replace(tzinfo=None)
        return WallClock(local, self.source, name)

    def later(self, seconds: float) -> "WallClock":
        """The clock put forward by `seconds`; as it is, where there is no such date."""
        begin = self.at(seconds)
        return self if begin is None else WallClock(begin, self.source, self.zone)


def zone_of(name: str) -> tzinfo | None:
    """The zone that `WallClock.zone` names; None for `UNKNOWN`.

    Raises:
        PipelineError: there is no such zone.

    """
    if name == UNKNOWN:
        return None
    with suppress(ValueError):
        return datetime.strptime("Z" if name == UTC else name, "%z").tzinfo
    with suppress(OSError, ValueError, KeyError):  # a folder of zones, a name that leads out of it, none
        return ZoneInfo(name)
    raise PipelineError(f"there is no time zone {name[:60]!r}; expected a name as Europe/Berlin, or UTC, or +02:00")


def in_utc(moment: datetime, zone: str) -> datetime | None:
    """`moment`, by the clocks of `zone`, in UTC, with its zone; None for a zone that is not known."""
    there = zone_of(zone)
    return None if there is None else moment.replace(tzinfo=there).astimezone(UTC_ZONE)


def remember_clock(flight: Path, start: datetime | Literal["auto"] | None, offset_s: float | None) -> None:
    """Write what the configuration says of the time into the flight's folder; None leaves what is there.

    Args:
        flight: the flight's folder.
        start: date and time of the first frame, with or without a zone; "auto": from the video.
        offset_s: seconds to add to the clock, however it is known.

    """
    known = read_json(flight / CLOCK) or {}
    given = {
        "start": known.get("start") if start is None else None if start == "auto" else start.isoformat(),
        "offset_s": known.get("offset_s", 0.0) if offset_s is None else offset_s,
    }
    if given != known and (known or given != {"start": None, "offset_s": 0.0}):
        write_json(flight / CLOCK, given)


def flight_clock(flight: Path) -> WallClock | None:
    """The wall clock of the flight in the folder `flight`: of the configuration, else of its video; None without.

    Raises:
        PipelineError: `clock.json` is damaged.

    """
    given = read_json(flight / CLOCK) or {}
    try:
        start = None if given.get("start") is None else datetime.fromisoformat(given["start"])
        offset_s = float(given.get("offset_s", 0.0))
    except (ValueError, TypeError):
        raise PipelineError(
            f"{flight / CLOCK}: damaged; run `uavpipe run` with the flight's configuration"
        ) from None
    if start is not None:
        offset = start.isoformat(timespec="seconds")[len("2024-09-17T14:30:00") :] or UNKNOWN
        clock: WallClock | None = WallClock(start.replace(tzinfo=None), "configuration", offset)
    else:
        card = read_card(flight)
        clock = None if card is None else find_wall_clock(Path(card["video"]))
    return clock.later(offset_s) if clock is not None and offset_s else clock


def find_wall_clock(video: Path) -> WallClock | None:
    """The wall clock of `video`, a file or a folder of images; None where no source has one.

    A video that is gone or cannot be read has that of its name, if there is one.
    """
    return _from_subtitles(video) or _from_name(video) or _from_container(video)


def _from_subtitles(video: Path) -> WallClock | None:
    with suppress(PipelineError):
        path = beside(video.absolute().parent, video)
        if path is not None and path.suffix.lower() == ".srt":
            return with_lines(path, lambda lines: _first_dated(cues_of(lines, Cues())))
        if video.is_file():
            return next(filter(None, map(_first_dated, embedded_cues(video))), None)
    return None


def _first_dated(cues: Iterable[tuple[float, str, int]]) -> WallClock | None:
    for seconds, text, _ in islice(cues, _CUES):
        match = _DATED.search(text)
        begin = _date(match.group(1, 3, 4, 5, 6, 7), match[8] or "") if match else None
        if begin is not None:
            return WallClock(begin - timedelta(seconds=seconds), "subtitles", UNKNOWN)
    return None


def _from_name(video: Path) -> WallClock | None:
    found = (_date(match.groups()) for match in _NAMED.finditer(video.name))
    begin = next(filter(None, found), None)
    return None if begin is None else WallClock(begin, "file name", UNKNOWN)


def _date(parts: Iterable[str], fraction: str = "") -> datetime | None:
    try:
        return datetime.strptime("".join(part.zfill(2) for part in parts) + f"{fraction:0<6}", "%Y%m%d%H%M%S%f")
    except ValueError:  # as the 31st of June
        return None


def _from_container(video: Path) -> WallClock | None:
    if not video.is_file():
        return None
    try:
        container, stream = open_container(video)
    except PipelineError:
        return None
    with container:
        said = {**stream.metadata, **container.metadata}
    made_by_dji = any(_DJI.search(str(text)) for text in (video.name, *said.values()))
    begin = _iso(said.get("creation_time", ""))
    if begin is None or begin.year < _EARLIEST:
        return None
    return WallClock(begin, "container", UNKNOWN if made_by_dji else UTC)


def _iso(text: str) -> datetime | None:
    """The time that `text` gives, in UTC if it names another zone."""
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=None) - (found.utcoffset() or timedelta())
    except (ValueError, OverflowError):
        return None
