"""Checks of the labels against the tables that they are of."""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path

from annotate.errors import AnnotateError
from annotate.log.store import LABELS, LabelStore, contents_of
from annotate.records import read_tracklets
from pipeline.chain.table import TRACKS
from pipeline.workspace.folders import BOXES
from pipeline.workspace.promises import Broken


def broken_labels(workspace: Path, flights: Collection[str]) -> Iterator[Broken]:
    """What is wrong with the labels of `workspace`: their log, and the tracklets in it, which `flights` have.

    Raises:
        AnnotateError: the log is damaged; names the operation.

    """
    yield from _of_file(workspace / LABELS)
    with LabelStore(workspace / LABELS, create=False) as store:
        for flight in store.state.flights:
            if flight not in flights:
                yield Broken(workspace / flight, "gone, and it has labels; restore it from a copy")
            elif not (workspace / flight / BOXES).exists():
                yield from _of_flight(store, workspace, flight)


def _of_file(path: Path) -> Iterator[Broken]:
    """What SQLite finds wrong, also where no entry of the log is."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            page = connection.execute("PRAGMA page_size").fetchone()[0]
            problem = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        problem, page = str(error), 1
    if problem != "ok" or path.stat().st_size % page:
        yield Broken(path, f"damaged ({' '.join(problem.split()) if problem != 'ok' else 'cut off'})")


def _of_flight(store: LabelStore, workspace: Path, flight: str) -> Iterator[Broken]:
    linked = store.linked(flight)
    try:
        contents = contents_of(read_tracklets(workspace, flight))
    except AnnotateError as error:
        yield Broken(workspace / flight / TRACKS.output, f"its labels have no tracklets ({error})")
        return
    if linked is not None and contents != linked.tracklets:
        yield Broken(workspace / flight / TRACKS.output, "these tracklets are not the labelled ones")
