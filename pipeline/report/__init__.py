"""The report on a workspace: `report/index.html` and the pictures and clips that it shows, self-contained.

`write.py` puts it together. A part is a module that gathers its content, and a template of that name:
`flight.py` with `plots.py`, `clip.py`, `timeline.py` and `against_truth.py`; `people.py`; `reidentification.py`.
`provenance.py` gives the commands and hashes of each; `pictures.py` puts crops into the folder.
"""

from pipeline.report.write import write_report

__all__ = ["write_report"]
