"""The text beside each detection of a flight: number and name of its identity, in the identity's colour."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from annotate.log.store import LABELS
from annotate.operations import Mark, tracklet_id
from pipeline.chain.table import TRACKS
from pipeline.pages.palette import identity_rgb
from pipeline.sightings.tracklets import LabelledTracklets, read_labelled_tracklets
from pipeline.stages.overlay import AMBER, Tag
from pipeline.workspace.manifest import fingerprint

_KEY = ["frame", "rank"]


@dataclass(frozen=True, eq=False)
class Names:
    """The tracklets of a flight with their identities.

    Attributes:
        rows: frame, rank, number of the tracklet, identity (NA without one): a row for each detection.
        texts: number of an identity -> its number and name.
        junk: frame, rank of the detections that are labelled as no person.

    """

    rows: pd.DataFrame
    texts: dict[int, str]
    junk: pd.MultiIndex

    @property
    def labelled(self) -> pd.DataFrame:
        """The rows that have an identity."""
        return self.rows.dropna(subset=["identity"])

    @property
    def content(self) -> str:
        """A hash over all names, and what is junk, for the inputs of a stage; "" without labels."""
        rows = self.labelled.astype("int64").sort_values(_KEY)
        if not len(rows) and not len(self.junk):
            return ""
        shown = {number: self.texts[number] for number in rows["identity"].unique().tolist()}
        content = {"rows": rows[[*_KEY, "identity"]].to_numpy().tolist(), "texts": shown}
        return fingerprint(content | ({"junk": sorted(self.junk.tolist())} if len(self.junk) else {}))

    def without_junk(self, boxes: pd.DataFrame) -> pd.DataFrame:
        """Those of `boxes` (frame, rank, …) that are not labelled as no person."""
        return boxes[~pd.MultiIndex.from_frame(boxes[_KEY]).isin(self.junk)].reset_index(drop=True)

    def tags(self, boxes: pd.DataFrame, numbers: bool = True) -> pd.Series:
        """A `Tag` for each of `boxes`: number and name, else the tracklet's number, as t7, else the score.

        Args:
            boxes: frame, rank, score.
            numbers: whether tracklets without an identity have their number.

        """
        rows = boxes.merge(self.rows, on=_KEY, how="left")
        tags = [
            self._tag(identity, number if numbers else pd.NA, score)
            for identity, number, score in zip(rows["identity"], rows["number"], rows["score"], strict=True)
        ]
        return pd.Series(tags, index=boxes.index, dtype=object)

    def _tag(self, identity: Any, number: Any, score: float) -> Tag:
        if not pd.isna(identity):
            return Tag(self.texts[int(identity)], identity_rgb(int(identity)))
        return Tag(f"{score:.2f}" if pd.isna(number) else f"t{number:.0f}", AMBER)


def read_names(flight: Path) -> Names:
    """The names in the flight in the folder `flight`; without tracklets there are none.

    Raises:
        AnnotateError, PipelineError: as `read_labelled_tracklets`.

    """
    workspace = flight.parent
    if not (flight / TRACKS.output).exists() and not (workspace / LABELS).exists():
        return names_of(LabelledTracklets({}), flight.name)
    return names_of(read_labelled_tracklets(workspace), flight.name)


def names_of(tracklets: LabelledTracklets, flight: str) -> Names:
    """The names in `flight` by tracklets that were read."""
    rows = tracklets.rows.get(flight, pd.DataFrame(columns=["number", *_KEY], dtype="int64"))
    labels = {number: tracklets.label(tracklet_id(flight, number)) for number in rows["number"].unique().tolist()}
    known = {number: label for number, label in labels.items() if not isinstance(label, Mark)}
    texts = {each: f"{each} {tracklets.names.get(each, '')}".strip() for each in known.values()}
    junk = rows[rows["number"].map(labels).isin([Mark.JUNK])] if len(rows) else rows
    return Names(
        rows.assign(identity=rows["number"].map(known).astype("Int64")), texts, pd.MultiIndex.from_frame(junk[_KEY])
    )
