"""Sightings: who was before which camera, when and where; one for each tracklet.

`tracklets.py` reads the tracklets as they are labelled, `read.py` adds time, place and the best crop, `select.py`
chooses among them, `formats.py` writes them.
"""

from pipeline.sightings.read import read_sightings
from pipeline.sightings.records import Sighting
from pipeline.sightings.select import Selection

__all__ = ["Selection", "Sighting", "read_sightings"]
