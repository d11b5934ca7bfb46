"""Telemetry of the drone: altitude, position and gimbal by time, from a recorder's subtitles or a CSV.

    source = find_telemetry("auto", Path("flight01.mp4"))
    telemetry = source.telemetry
    telemetry.at(12.5)  # {"altitude_m": 30.1, "latitude": 47.1, …}; None for what is not known

`source.py` finds its file, `srt.py` and `table.py` read the two formats, `records.py` interpolates.
"""

from pipeline.telemetry.parts import Source, find_flight_telemetry
from pipeline.telemetry.records import COLUMNS, Telemetry, no_telemetry
from pipeline.telemetry.source import find_telemetry

__all__ = ["COLUMNS", "Source", "Telemetry", "find_flight_telemetry", "find_telemetry", "no_telemetry"]
