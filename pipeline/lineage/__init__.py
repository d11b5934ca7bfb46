"""Where something comes from, and what came of it: read from manifests, tables and labels, nothing is kept for it.

`subjects.py` finds out what was asked for, `back.py` goes from a crop, an identity or a figure back to the video,
`forward.py` from a frame on; `commands.py` says how each stage is made again; `text.py` is for people to read.
"""

from pipeline.lineage.subjects import trace
from pipeline.lineage.text import as_text

__all__ = ["as_text", "trace"]
