"""Lineage of figures, identities, crops and frames, read from manifests, tables and labels.

`subjects.py` recognises the subject, `back.py` goes from a crop, an identity or a figure back to the video,
`forward.py` from a frame to its results; `commands.py` gives the command of each stage; `text.py` formats a trace.
"""

from pipeline.lineage.subjects import trace
from pipeline.lineage.text import as_text

__all__ = ["as_text", "trace"]
