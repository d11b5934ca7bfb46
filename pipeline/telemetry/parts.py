"""Telemetry of a flight that the recorder cut into several files: each part's own, on the clock of the first."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.telemetry.records import Telemetry, joined
from pipeline.telemetry.source import TelemetrySource, find_telemetry
from pipeline.video.parts import open_parts

log = logging.getLogger("uavpipe")


@dataclass(frozen=True)
class PartsTelemetry:
    """What the telemetry of a flight of several parts is read from.

    Attributes:
        sources: those of the parts, in order.

    """

    sources: tuple[TelemetrySource, ...]

    def fingerprint(self) -> str:
        """See `TelemetrySource.fingerprint`."""
        return " ".join(source.fingerprint() for source in self.sources)

    @cached_property
    def telemetry(self) -> Telemetry:
        """See `TelemetrySource.telemetry`; times run on over the parts.

        Raises:
            PipelineError: as there, or a part cannot be read.

        """
        found = [source.telemetry for source in self.sources]
        for source, telemetry in zip(self.sources, found, strict=True):
            if any(found) and not telemetry:
                log.warning("%s: no telemetry of this part of the flight", source.video)
        if not any(found):
            return found[0]
        return joined(zip(open_parts([source.video for source in self.sources]).offsets, found, strict=True))


Source = TelemetrySource | PartsTelemetry


def find_flight_telemetry(setting: str | Path, parts: Sequence[Path], image_fps: float = 30.0) -> Source | None:
    """The source of the telemetry of a flight of `parts`, most often one; see `find_telemetry`.

    A file that the setting names is of the whole flight.
    """
    if len(parts) == 1 or Path(setting).is_file():
        return find_telemetry(setting, parts[0], image_fps, parts)
    sources = [find_telemetry(setting, part, image_fps) for part in parts]
    known = tuple(source for source in sources if source is not None)
    return PartsTelemetry(known) if known else None
