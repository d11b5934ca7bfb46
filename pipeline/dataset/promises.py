"""The promises of a finished data set: its files, their bytes, and rows that fit the labels and the crops."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from annotate.log.state import State
from annotate.log.store import LabelStore
from annotate.operations import Mark
from pipeline.chain.table import CROPS, DATASET
from pipeline.dataset.files import FOLDERS
from pipeline.dataset.labelled import DISTRACTOR, JUNK, UNKNOWN
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.promises import Advance, Broken, check_image, keys, read_columns
from pipeline.workspace.tables import read_file

_COLUMNS = ("split", "name", "identity", "flight", "tracklet", "frame", "rank")
_NUMBERS = {Mark.JUNK: JUNK, Mark.DISTRACTOR: DISTRACTOR}


def broken_dataset(workspace: Path, store: LabelStore | None, advance: Advance) -> Iterator[Broken]:
    """The promises of the finished data set of `workspace` that are not kept.

    Args:
        workspace: its folder.
        store: the labels, where they are those that the data set was made of; None where it is stale.
        advance: called with numbers of images that were read.

    """
    folder = StageFolder(workspace / DATASET.folder)
    damaged = list(folder.broken())
    yield from damaged
    if damaged:
        return
    rows = read_file(
        folder.path / DATASET.file, ["split", "name", "identity", "flight", "tracklet", "frame", "rank"]
    )
    yield from broken_images(folder.path, rows, advance)
    if store is not None:
        with store.reading() as state:
            yield from _other_labels(folder.path / DATASET.file, rows, state)
        for flight, those in rows.groupby("flight"):
            crops = workspace / str(flight) / CROPS.output
            here = {name: those[name].to_numpy() for name in ("frame", "rank")}
            lacking = np.setdiff1d(keys(here), keys(read_columns(crops, ("frame", "rank"))))
            if len(lacking):
                yield Broken(folder.path / DATASET.file, f"{len(lacking):,} rows have no crop in {crops}")


def broken_images(folder: Path, rows: pd.DataFrame, advance: Advance) -> Iterator[Broken]:
    """The images of the data set in `folder`, by the `rows` of its table, that are missing or changed."""
    known = rows["crc32"] if "crc32" in rows else pd.Series(UNKNOWN, rows.index)
    for split, name, crc in zip(rows["split"], rows["name"], known, strict=True):
        broken = check_image(folder / FOLDERS[split] / name, None, None if crc == UNKNOWN else int(crc))
        advance(1)
        if broken:
            yield broken


def _other_labels(table: Path, rows: pd.DataFrame, state: State) -> Iterator[Broken]:
    for name, those in rows.groupby("tracklet"):
        label = state.labels.get(str(name))
        number = _NUMBERS.get(label) if isinstance(label, Mark) else label
        if set(those["identity"]) != {number}:
            yield Broken(table, f"{name} is identity {those['identity'].iloc[0]}, labelled {label}")
