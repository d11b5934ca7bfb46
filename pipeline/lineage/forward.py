"""Lineage from a frame forward to everything made of it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from annotate.log.store import LABELS, LabelStore
from annotate.operations import flight_of
from pipeline.chain.table import CROPS, DETECT, EMBEDDINGS, FRAMES, OVERLAY, TRACKS
from pipeline.errors import PipelineError
from pipeline.lineage.back import DETECTION, flight_lineage, in_dataset, label_of, timecode
from pipeline.stages.evaluation import QUERIES
from pipeline.workspace.entries import MANIFEST
from pipeline.workspace.tables import read_rows


def forward_from_frame(workspace: Path, flight: str, frame: int, results: Iterable[Path] = ()) -> dict[str, Any]:
    """All results of frame `frame` of `flight`.

    Args:
        workspace: the folder.
        flight: its name.
        frame: index from 0.
        results: folders that are searched for evaluations.

    Raises:
        PipelineError: there is no such flight or frame.

    """
    folder = workspace / flight
    frames = read_rows(folder / FRAMES.output, ["frame", "pts_s"])
    if frames is None:
        raise PipelineError(f"{folder}: no table of frames here; name a flight of --workspace")
    found = frames[frames["frame"] == frame].to_dict("records")
    if not found:
        raise PipelineError(f"{folder}: no frame {frame}; it has 0 to {len(frames) - 1}")
    known = {str(name): value for name, value in found[0].items() if value == value and value != ""}  # NaN: unknown
    people = _people(workspace, flight, frame)
    dataset = in_dataset(workspace, flight, frame)
    for person in people:
        rows = [f"{row['split']}/{row['name']}" for row in dataset if row["rank"] == person["rank"]]
        if rows:
            person["data_set"] = rows
            person["queries"] = _queries(results, {row.rpartition("/")[2] for row in rows})
    overlay = folder / OVERLAY.output
    return {
        "frame": known | {"clock": timecode(known["pts_s"])},
        "detections": [{name: value for name, value in each.items() if value not in (None, [])} for each in people],
        "overlay": f"{overlay} at {timecode(known['pts_s'])}" if (overlay.parent / MANIFEST).exists() else None,
        "flight": flight_lineage(folder),
    }


def _people(workspace: Path, flight: str, frame: int) -> list[dict[str, Any]]:
    folder = workspace / flight
    detections = read_rows(folder / DETECT.output, DETECTION)
    if detections is None:
        return []
    crops = _by_rank(folder / CROPS.output, frame, "crop")
    tracklets = _by_rank(folder / TRACKS.output, frame, "tracklet")
    embedded = _by_rank(folder / EMBEDDINGS.output, frame, "model")
    labels = _labels(workspace, flight, frame)
    people = []
    for row in detections[detections["frame"] == frame].sort_values("rank").to_dict("records"):
        rank = int(row["rank"])
        tracklet = None if rank not in tracklets else f"{flight}/{tracklets[rank]}"
        people.append(
            {
                "rank": rank,
                "score": round(row["score"], 4),
                "box": [round(row[side], 1) for side in ("x1", "y1", "x2", "y2")],
                "crop": None if rank not in crops else f"{flight}/{CROPS.folder}/{crops[rank]}",
                "tracklet": tracklet,
                "label": labels.get(rank),
                "embedded_by": embedded.get(rank),
            }
        )
    return people


def _by_rank(table: Path, frame: int, column: str) -> dict[int, Any]:
    rows = read_rows(table, ["frame", "rank", column])
    if rows is None:
        return {}
    here = rows[rows["frame"] == frame]
    return dict(zip(here["rank"].astype(int).tolist(), here[column].tolist(), strict=True))


def _labels(workspace: Path, flight: str, frame: int) -> dict[int, Any]:
    if not (workspace / LABELS).is_file():
        return {}
    with LabelStore(workspace / LABELS, write=False) as store:
        return {
            seen.rank: label_of(store, name)
            for name, content in store.state.tracklets.items()
            if flight_of(name) == flight
            for seen in content
            if seen.frame == frame
        }


def _queries(results: Iterable[Path], names: set[str]) -> list[str]:
    """The queries of evaluations in `results` that are crops called `names`."""
    found = []
    for folder in results:
        for table in sorted(folder.rglob(QUERIES)):
            rows = read_rows(table, ["query"])
            if rows is not None and "path" in rows:
                hits = rows[rows["path"].str.rpartition("/")[2].isin(names)]
                found += [f"{table.parent}: query {query}" for query in sorted(set(hits["query"].tolist()))]
    return found
