"""The number of people that was counted last, kept in the workspace for as long as it is up to date."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.chain.table import EMBEDDINGS, TRACKS
from pipeline.workspace.atomic import read_json, write_json
from pipeline.workspace.manifest import StageFolder

HEADCOUNT = "people.json"  # in a workspace


@dataclass(frozen=True)
class Headcount:
    """The number of people in a workspace.

    Attributes:
        people: the estimate.
        low, high: of the interval that holds the number with a probability of 95 %.
        decided: people that are labelled, distractors included.
        open: tracklets without a decision.
        without: open tracklets without an embedded crop: they are not counted.
        origin: of the calibration.

    """

    people: int
    low: int
    high: int
    decided: int
    open: int
    without: int
    origin: str

    @property
    def interval(self) -> str:
        """The interval in words; "" where the number is known."""
        return "" if self.low == self.high else f"95 %: {self.low} to {self.high}"

    @property
    def text(self) -> str:
        """Number and interval in words."""
        return f"{self.people} different people{f' ({self.interval})' if self.interval else ''}"


def write_headcount(workspace: Path, counted: Headcount, labels: str) -> None:
    """Keep `counted`; `labels` is the hash of the log of labels that it was counted by, "" without one."""
    write_json(workspace / HEADCOUNT, {"inputs": _inputs(workspace, labels), "counted": asdict(counted)})


def read_headcount(workspace: Path, labels: str) -> Headcount | None:
    """What was counted last; None where labels, tracklets or embeddings are others by now, or nothing was counted.

    Args:
        workspace: with tracklets.
        labels: the hash of the log of labels, "" without one.

    """
    kept = read_json(workspace / HEADCOUNT)
    if kept is None or kept.get("inputs") != _inputs(workspace, labels):
        return None
    try:
        return Headcount(**kept["counted"])
    except (KeyError, TypeError):  # of another version
        return None


def _inputs(workspace: Path, labels: str) -> dict[str, Any]:
    folders = sorted(path.parents[1] for path in workspace.glob(f"[!.]*/{TRACKS.output}"))
    flights = {
        folder.name: [
            (StageFolder(folder / stage.folder).manifest() or {}).get("fingerprint")
            for stage in (TRACKS, EMBEDDINGS)
        ]
        for folder in folders
    }
    return {"labels": labels, "flights": flights}
