"""Lineage from a crop, an identity or a figure back to the video."""

from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from annotate.log.store import LABELS, LabelStore
from annotate.operations import flight_of
from pipeline.chain.table import CROPS, DATASET, DETECT, FRAMES, STEPS, Scope
from pipeline.errors import PipelineError
from pipeline.lineage.commands import command_of, stage_of, weights_file
from pipeline.stages.crop_store import is_there
from pipeline.stages.detect import source_of_import
from pipeline.stages.evaluation import FIGURES, QUERIES
from pipeline.workspace.atomic import read_json
from pipeline.workspace.folders import parts_of, read_card
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.tables import read_rows
from reid.weights import weights_hash

_NO_FIGURES = {
    "inputs",
    "settings",
    "counts",
    "chance",
    "intervals",
    "by_height",
    "by_altitude",
    "data",
}  # of the content of a file of figures
_TELEMETRY = ("altitude_m", "latitude", "longitude")
_STAGES = [stage for stage in STEPS if stage.scope is not Scope.WORKSPACE]
DETECTION = ("frame", "rank", "pts_s", "x1", "y1", "x2", "y2", "score")
_ORIGIN = ("name", "split", "identity", "flight", "frame", "rank")


def back_from_detection(workspace: Path, flight: str, frame: int, rank: int) -> dict[str, Any]:
    """The provenance of detection `rank` of `frame`, and its identity.

    Raises:
        PipelineError: there is no such detection.

    """
    folder = workspace / flight
    detections = read_rows(folder / DETECT.output, DETECTION)
    found = None if detections is None else _row(detections, frame, rank)
    if found is None:
        raise PipelineError(f"{folder}: no detection {rank} in frame {frame}")
    crops = read_rows(folder / CROPS.output, ["frame", "rank", "crop"])
    crop = None if crops is None else _row(crops, frame, rank)
    result = {
        "detection": {
            "flight": flight,
            "frame": frame,
            "rank": rank,
            "time_s": found["pts_s"],
            "clock": timecode(found["pts_s"]),
            "box": [round(found[side], 1) for side in ("x1", "y1", "x2", "y2")],
            "score": round(found["score"], 4),
            "crop": None if crop is None else f"{flight}/{CROPS.folder}/{crop['crop']}",
            "crop_is_there": crop is not None and is_there(folder / CROPS.folder / crop["crop"]),
        },
        "where": _where(folder, frame),
        "who": _who(workspace, flight, frame, rank),
        "in_data_set": in_dataset(workspace, flight, frame, rank),
        "flight": flight_lineage(folder),
    }
    return {name: value for name, value in result.items() if value not in (None, [])}


def _row(rows: pd.DataFrame, frame: int, rank: int) -> dict[str, Any] | None:
    found = rows[(rows["frame"] == frame) & (rows["rank"] == rank)].to_dict("records")
    return {str(name): value for name, value in found[0].items()} if found else None


def _where(folder: Path, frame: int) -> dict[str, Any] | None:
    rows = read_rows(folder / FRAMES.output)
    if rows is None or not {"frame", *_TELEMETRY} <= set(rows):
        return None
    found = rows.loc[rows["frame"] == frame, list(_TELEMETRY)].dropna(axis=1).to_dict("records")
    return {str(name): round(value, 7) for name, value in found[0].items()} if found and found[0] else None


def _who(workspace: Path, flight: str, frame: int, rank: int) -> dict[str, Any] | None:
    if not (workspace / LABELS).is_file():
        return None
    with LabelStore(workspace / LABELS, write=False) as store:
        for name, content in store.state.tracklets.items():
            if flight_of(name) == flight and (frame, rank) in content:
                return label_of(store, name)
    return None


def label_of(store: LabelStore, tracklet: str) -> dict[str, Any]:
    """The label of `tracklet`, with its labeller and time."""
    label, entry = store.state.labels[tracklet], store.decision(tracklet)
    content = store.state.tracklets[tracklet]
    return {
        "tracklet": tracklet,
        "frames": f"{content[0].frame} to {content[-1].frame}",
        "detections": len(content),
        "identity": label if isinstance(label, int) else str(label),
        "name": store.state.identities.get(label, "") if isinstance(label, int) else "",
        "decided_by": entry.user if entry else None,
        "decided_at": entry.time if entry else None,
        "operation": entry.sequence if entry else None,
    }


def in_dataset(workspace: Path, flight: str, frame: int, rank: int | None = None) -> list[dict[str, Any]]:
    """The rows of the workspace's data set that show a detection; of all of the frame without `rank`."""
    rows = read_rows(workspace / DATASET.output, _ORIGIN)
    if rows is None:
        return []
    here = (rows["flight"] == flight) & (rows["frame"] == frame)
    if rank is not None:
        here &= rows["rank"] == rank
    found = rows.loc[here, ["split", "name", "identity", "rank"]].to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in found]


def flight_lineage(folder: Path) -> dict[str, Any]:
    """The video of a flight, the weights, and the provenance of each stage."""
    card = read_card(folder) or {}
    stages = {stage.folder: found for stage in _STAGES if (found := stage_of(folder, stage)) is not None}
    parts = parts_of(card) if card else ()
    weights = stages.get(DETECT.folder, {}).get("inputs", {}).get("weights")
    source = source_of_import(StageFolder(folder / DETECT.folder))
    found_by: dict[str, Any]
    if source is not None:
        found_by = {"detections_imported_from": {name: source.get(name) for name in ("file", "sha256", "format")}}
    else:
        found_by = {"detector_weights_sha256": weights, "detector_weights_file": weights_file(str(weights))}
    return {
        "video": card.get("video"),
        "video_parts": card.get("parts"),
        "video_sha256": card.get("sha256"),
        "video_is_there": bool(parts) and all(part.exists() for part in parts),
        **found_by,
        "stages": stages,
    }


def back_from_identity(workspace: Path, identity: int) -> dict[str, Any]:
    """The tracklets of `identity`, its time stamps, who decided, and its data set rows.

    Raises:
        PipelineError: there are no labels, or no such identity.

    """
    if not (workspace / LABELS).is_file():
        raise PipelineError(f"{workspace / LABELS}: no labels here, so no identities; name the --workspace")
    with LabelStore(workspace / LABELS, write=False) as store:
        if identity not in store.state.exists:
            known = ", ".join(map(str, sorted(store.state.exists)[:20])) or "none"
            raise PipelineError(f"{store.path}: there is no identity {identity}; known: {known}")
        names = sorted(store.state.members.get(identity, ()))
        tracklets = [label_of(store, name) for name in names]
        contents = {name: store.state.tracklets[name] for name in names}
        person = store.state.identities[identity]
    for each in tracklets:
        flight = flight_of(each["tracklet"])
        rows = read_rows(workspace / flight / DETECT.output, DETECTION)
        if rows is not None:
            content = contents[each["tracklet"]]
            ends = [_row(rows, *content[place]) for place in (0, -1)]
            each["time"] = " to ".join(timecode(end["pts_s"]) for end in ends if end)
    rows = read_rows(workspace / DATASET.output, _ORIGIN)
    splits = {} if rows is None else rows.loc[rows["identity"] == identity, "split"].value_counts().to_dict()
    flights = sorted({flight_of(name) for name in names})
    return {
        "identity": identity,
        "name": person,
        "tracklets": tracklets,
        "data_set_crops": splits,
        "flights": {flight: flight_lineage(workspace / flight) for flight in flights},
    }


def back_from_name(dataset: Path, name: str) -> dict[str, Any] | None:
    """The provenance of crop `name` of the data set in folder `dataset`; None where it has no such crop."""
    rows = read_rows(dataset / DATASET.file, (*_ORIGIN, "pts_s", "crop", "video", "weights"))
    if rows is None:
        return None
    found = rows[rows["name"] == name].to_dict("records")
    if not found:
        return None
    row = found[0]
    kept = ("name", "split", "identity", "flight", "tracklet", "labeller", "decided", "decision")
    lineage = {key: row[key] for key in kept if key in row}
    try:
        rest = back_from_detection(dataset.parent, str(row["flight"]), int(row["frame"]), int(row["rank"]))
    except PipelineError as error:  # the stages were run again since, or the flight is gone
        rest = {"note": str(error), "recorded": {key: row[key] for key in ("crop", "pts_s", "video", "weights")}}
    changed = rest.get("detection", {}).get("time_s") not in (None, row["pts_s"])
    if changed:
        rest["note"] = "the flight's stages were run again since: this is another detection than the labelled one"
    return {"data_set_crop": lineage, **rest}


def back_from_metrics(metrics: Path, query: int | None) -> dict[str, Any]:
    """The network and data of an evaluation's figures; with `query` also the provenance of that query.

    Raises:
        PipelineError: it is no file of figures, or there is no such query.

    """
    content = read_json(metrics)
    if content is None or not isinstance(content.get("inputs"), dict):
        raise PipelineError(f"{metrics}: not the {FIGURES} of `uavpipe reid evaluate`")
    inputs = content["inputs"]
    figures = {name: value for name, value in content.items() if name not in _NO_FIGURES}
    result: dict[str, Any] = {
        "metrics": str(metrics),
        "figures": figures,
        **{name: content.get(name) for name in ("chance", "settings")},
    }
    for name in ("weights", "query", "gallery"):
        if isinstance(inputs.get(name), dict):
            result[name] = _measured_with(inputs[name])
    dataset = _dataset_folder(inputs)
    if dataset is not None:
        result["data_set"] = dataset_lineage(dataset)
    if query is not None:
        result["query"] = _back_from_query(metrics.with_name(QUERIES), query)
    return result


def _measured_with(recorded: dict[str, Any]) -> dict[str, Any]:
    """A file by path and hash: whether it is unchanged, and its training."""
    path = Path(str(recorded.get("path")))
    result = dict(recorded)
    if not path.is_file():
        return result | {"state": "missing or moved"}
    same = weights_hash(path) == recorded.get("sha256")
    result["state"] = "unchanged" if same else "changed since"
    training = _training(path) if same and path.suffix == ".safetensors" else None
    return result | ({"training": training} if training else {})


def _training(path: Path) -> dict[str, Any] | None:
    import json

    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            found = json.loads((file.metadata() or {}).get("training", "null"))
    except (OSError, ValueError, SafetensorError):
        return None
    return found if isinstance(found, dict) else None


def _dataset_folder(inputs: dict[str, Any]) -> Path | None:
    place = str(inputs.get("data") or "")
    path = Path(place.partition(":")[2] or place)
    return path if place and (path / DATASET.file).is_file() else None


def dataset_lineage(folder: Path) -> dict[str, Any]:
    """The provenance of the data set in `folder`, and its flights."""
    manifest = StageFolder(folder).manifest() or {}
    rows = read_rows(folder / DATASET.file, _ORIGIN)
    flights = [] if rows is None else sorted(rows["flight"].unique())
    return {
        "folder": str(folder),
        "counts": manifest.get("counts"),
        "section": manifest.get("section"),
        "labels_hash": (manifest.get("inputs") or {}).get("labels"),
        "command": command_of(DATASET, folder, manifest),
        "flights": {flight: flight_lineage(folder.parent / flight) for flight in flights},
    }


def _back_from_query(table: Path, query: int) -> dict[str, Any]:
    rows = read_rows(table, ["query"])
    if rows is None:
        raise PipelineError(f"{table}: no such table; evaluate again")
    found = rows[rows["query"] == query].to_dict("records")
    if not found:
        raise PipelineError(f"{table}: no query {query}; it has 0 to {int(rows['query'].max())}")
    row = {str(name): value for name, value in found[0].items()}
    path = PurePosixPath(str(row.get("path", "")))
    lineage = back_from_name(Path(path.parent.parent), path.name) if row.get("path") else None
    return row | (lineage or {"note": "its data set does not record the provenance of the crop"})


def timecode(seconds: float) -> str:
    """`0:01:02.345`"""
    milliseconds = round(1000 * seconds)
    sign, milliseconds = ("-" if milliseconds < 0 else ""), abs(milliseconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{sign}{minutes // 60}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
