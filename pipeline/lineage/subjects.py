"""The subject of a trace, recognised by its form."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from annotate.operations import check_flight
from pipeline.chain.table import CROPS, DATASET
from pipeline.errors import PipelineError
from pipeline.lineage.back import back_from_detection, back_from_identity, back_from_metrics, back_from_name
from pipeline.lineage.forward import forward_from_frame
from pipeline.stages.evaluation import FIGURES
from pipeline.workspace.tables import read_rows

_EXPECTED = (
    "expected a metrics.json, a crop (runs/flight01/crops/images/… or a name in the data set), an identity's "
    "number, or a flight with --frame"
)


def trace(
    subject: str,
    workspace: Path,
    *,
    frame: int | None = None,
    query: int | None = None,
    results: Iterable[Path] = (),
) -> dict[str, Any]:
    """The provenance of `subject`; with `frame` the results of that frame of the flight `subject`.

    Args:
        subject: a metrics.json or its folder; a crop's file or its name in the data set; an identity's number;
            a flight.
        workspace: the folder.
        frame: index from 0.
        query: of a metrics.json.
        results: folders that are searched for evaluations, for `frame`.

    Raises:
        PipelineError: there is nothing of that name; names what was expected.
        AnnotateError: the labels are damaged.

    """
    if frame is not None:
        return forward_from_frame(workspace, _flight(subject), frame, results)
    path = Path(subject)
    metrics = path / FIGURES if path.is_dir() else path
    if metrics.name == FIGURES or query is not None:
        return back_from_metrics(metrics, query)
    if re.fullmatch(r"[0-9]{1,9}", subject):
        return back_from_identity(workspace, int(subject))
    if path.suffix.lower() == ".jpg":
        found = _crop(path, workspace)
        if found is not None:
            return found
    raise PipelineError(f"{subject}: nothing of that name in {workspace}; {_EXPECTED}")


def _flight(name: str) -> str:
    try:
        return check_flight(name.rstrip("/").rpartition("/")[2])
    except ValueError as error:
        raise PipelineError(str(error)) from None


def _crop(path: Path, workspace: Path) -> dict[str, Any] | None:
    """A crop by its file, or by its name in the data set."""
    parts = path.parts
    if CROPS.folder in parts[1:]:
        place = parts.index(CROPS.folder, 1)
        flight, name = parts[place - 1], "/".join(parts[place + 1 :])
        rows = read_rows(workspace / _flight(flight) / CROPS.output, ["crop", "frame", "rank"])
        hit = [] if rows is None else rows[rows["crop"] == name].to_dict("records")
        return back_from_detection(workspace, flight, int(hit[0]["frame"]), int(hit[0]["rank"])) if hit else None
    own = back_from_name(path.parent.parent, path.name) if len(parts) > 1 else None
    return own or back_from_name(workspace / DATASET.folder, path.name)
