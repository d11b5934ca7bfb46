"""The report on a workspace: `report/index.html` and the pictures and clips that it shows, nothing from elsewhere.

`write.py` puts it together. A part is a module that gathers what it shows, and a template of that name in
`pipeline/pages/`: `flight.py` with `plots.py`, `clip.py`, `timeline.py` and `found.py` (against the truth),
`people.py`, `learnt.py`. `made.py` says how each of it was made; `pictures.py` puts crops into the folder.
"""

from pipeline.report.write import write_report

__all__ = ["write_report"]
