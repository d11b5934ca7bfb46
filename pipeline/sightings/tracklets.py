"""The tracklets of a workspace with the edits and labels of its labellers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from annotate.log.state import Label, State
from annotate.log.store import LABELS, LabelStore
from annotate.operations import Mark, flight_of
from annotate.records import flights_with_tracklets
from pipeline.chain.table import TRACKS
from pipeline.relinking.keep import check_carried
from pipeline.workspace.folders import check_whole
from pipeline.workspace.tables import read_file


@dataclass(frozen=True)
class LabelledTracklets:
    """The tracklets of all flights.

    Attributes:
        rows: flight -> number, frame, rank: a row for each detection of a tracklet, in order.
        labels: name of a tracklet -> its label; those of flights that nobody has begun to label are missing.
        names: number of an identity -> its name.
        notes, tags: number of an identity -> what a labeller wrote about it, and its tags, where there are some.
        log: the hash of the log of labels that these are by; "" without one.

    """

    rows: Mapping[str, pd.DataFrame]
    labels: Mapping[str, Label] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    notes: Mapping[int, str] = field(default_factory=dict)
    tags: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    log: str = ""

    def only(self, names: Iterable[str]) -> "LabelledTracklets":
        """The tracklets `names`, and the flights that have some of them."""
        numbers: dict[str, list[int]] = {}
        for name in names:
            numbers.setdefault(flight_of(name), []).append(int(name.rpartition("/")[2]))
        rows = {
            flight: self.rows[flight][self.rows[flight]["number"].isin(those)] for flight, those in numbers.items()
        }
        return replace(self, rows=rows)

    def label(self, tracklet: str) -> Label:
        """The label of `tracklet`."""
        return self.labels.get(tracklet, Mark.OPEN)


def read_labelled_tracklets(workspace: Path) -> LabelledTracklets:
    """The tracklets of `workspace`.

    Raises:
        AnnotateError: there is no flight with tracklets, or the labels cannot be opened.
        PipelineError: a table is damaged; an erasure was interrupted; or labels wait for new tracklets.

    """
    check_whole(workspace)
    check_carried(workspace)
    flights = flights_with_tracklets(workspace)
    if not (workspace / LABELS).exists():
        return LabelledTracklets({flight: _linked(workspace, flight) for flight in flights})
    with LabelStore(workspace / LABELS, write=False) as store, store.reading() as state:
        edited = _edited(state)
        rows = {flight: edited[flight] if flight in edited else _linked(workspace, flight) for flight in flights}
        return LabelledTracklets(
            rows, dict(state.labels), dict(state.identities), dict(state.notes), dict(state.tags), store.chain
        )


def _linked(workspace: Path, flight: str) -> pd.DataFrame:
    rows = read_file(workspace / flight / TRACKS.output, ["tracklet", "frame", "rank"])
    rows = rows[["tracklet", "frame", "rank"]].rename(columns={"tracklet": "number"}).astype(np.int64)
    return rows.sort_values(["number", "frame"], ignore_index=True)


def _edited(state: State) -> dict[str, pd.DataFrame]:
    """The rows of the flights that are being labelled, as the labellers left them."""
    found: dict[str, list[tuple[int, int, int]]] = {flight: [] for flight in state.flights}
    for name, content in state.tracklets.items():
        number = int(name.rpartition("/")[2])
        found[flight_of(name)] += [(number, frame, rank) for frame, rank in content]
    return {
        flight: pd.DataFrame(sorted(rows), columns=["number", "frame", "rank"], dtype=np.int64)
        for flight, rows in found.items()
    }
