"""The flights of a configuration: their videos, and the names of their folders in the workspace."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from annotate.log.store import LABELS
from pipeline.chain.table import CHAIN, Scope
from pipeline.config.models import FlightConfig
from pipeline.errors import PipelineError
from pipeline.video.recording import find_continuation
from pipeline.workspace.folders import FORGETTING

_TAKEN = {stage.folder for stage in CHAIN if stage.scope is Scope.WORKSPACE} | {FORGETTING, ".", ".."}
_LONGEST = 200  # bytes of a name: file systems take 255, and files of a flight add to it
_COMPANIONS = {".lrf": "a proxy of low resolution", ".thm": "a small picture", ".srt": "subtitles"}
_HOW = "rename it, or name the flight in a configuration: videos: [{path: …, name: …}]"

log = logging.getLogger("uavpipe")


def require_flights(config: FlightConfig) -> tuple[Path, ...]:
    """The videos of `config`; what a recorder writes beside one of them is passed over with a warning.

    Raises:
        PipelineError: no video is named, two would share a folder in the workspace, or a name cannot be that of a
            flight.

    """
    if not config.flights:
        raise PipelineError("no video: name one on the command line or as 'video:' in the configuration")
    if not _is_utf8(str(config.workspace)):
        raise PipelineError(f"{config.workspace}: not UTF-8; choose another --workspace")
    files = [part for video in config.flights for part in config.parts_of(video)]
    flights = tuple(video for video in config.flights if not _is_companion(video, files))
    _check_parts(config, flights)
    named: dict[str, Path] = {}
    for video in flights:
        name = config.name_of(video)
        _check_name(name, video)
        other = named.setdefault(name, video)
        if other is not video:
            raise PipelineError(f"{video}: shares the name '{name}' with {other}; {_HOW}")
    return flights


def _check_parts(config: FlightConfig, flights: Sequence[Path]) -> None:
    """Refuse a file that is a part twice; warn of one that continues a flight without being a part of it."""
    seen: dict[Path, int] = {}
    for video in flights:
        parts = config.parts_of(video)
        for part in parts:
            if not _is_utf8(str(part)):
                raise PipelineError(f"{part}: its path is not UTF-8; rename it")
            if part in seen and max(len(parts), seen[part]) > 1:
                raise PipelineError(f"{part}: is named twice; a file is part of one flight")
            seen[part] = len(parts)
        following = find_continuation(parts[-1])
        if following is not None:
            log.warning(
                "%s: continues %s; if the recorder cut one flight, name both as one: videos: [{parts: [%s, %s]}]",
                *(following.name, parts[-1], ", ".join(map(str, parts)), parts[-1].with_name(following.name)),
            )


def _check_name(name: str, video: Path) -> None:
    if not _is_utf8(str(video)):
        raise PipelineError(f"{video}: its path is not UTF-8; rename it")
    if any(not character.isprintable() for character in name):
        raise PipelineError(f"{video}: a flight's name has a line break or another control character; {_HOW}")
    if name in _TAKEN or name.startswith(LABELS) or "/" in name or not name:
        raise PipelineError(f"{video}: a flight cannot be named '{name}' in a workspace; {_HOW}")
    if len(os.fsencode(name)) > _LONGEST:
        raise PipelineError(f"{video}: a flight's name has more than {_LONGEST} bytes; {_HOW}")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_companion(video: Path, flights: Sequence[Path]) -> bool:
    """Whether `video` is what a recorder or a Mac writes beside another one of `flights`."""
    hidden = video.name.startswith("._")
    what = "a companion file of a Mac" if hidden else _COMPANIONS.get(video.suffix.lower())
    if what is None:
        return False
    stem = video.name.removeprefix("._") if hidden else video.stem
    for other in flights:
        if other != video and other.parent == video.parent and stem in (other.name, other.stem):
            log.warning("%s: passed over, it is %s of %s", video, what, other.name)
            return True
    return False
