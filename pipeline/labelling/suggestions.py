"""Embeddings of tracklets for the labelling app's suggestions, and training their network on the labels."""

import hashlib
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from annotate.log.state import State
from annotate.log.store import LABELS, LabelStore
from annotate.operations import flight_of
from annotate.records import flights_with_tracklets, read_tracklets
from pipeline.chain.table import CROPS, EMBEDDINGS, TRACKS
from pipeline.engine.progress import Progress
from pipeline.errors import PipelineError
from pipeline.stages.crop_store import Picture, picture
from pipeline.workspace.atomic import atomic_file
from pipeline.workspace.entries import empty, is_ours
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.stage import Stage
from pipeline.workspace.tables import read_table, tables_sha256
from reid.checkpoint import load_checkpoint
from reid.embedder import Embedder
from reid.records import ReidData, Samples
from reid.training.recipes import read_recipe
from reid.weights import weights_hash

PER_TRACKLET = 16  # crops of a tracklet that are embedded: more add little, and each costs the same
_FEWEST = 4  # identities that a network can be trained on
_T = TypeVar("_T")
_log = logging.getLogger("uavpipe")
RUN_FILES = r".+\.(safetensors|pt|json|jsonl)|tensorboard/.+"
RUN = "suggestions"  # in the workspace: the network that is trained on its labels


def embed_flights(workspace: Path, weights: Path, progress: Progress, device: str = "auto") -> int:
    """Write `embeddings/embeddings.parquet` for each flight of `workspace`, unless it is current for these weights.

    Its columns are frame, rank, model (the first 16 digits of `weights_hash`) and feature (of length 1, as
    `as_bytes`; before, it was a list).

    Returns:
        The number of crops that were embedded.

    Raises:
        AnnotateError: no flight has tracklets.
        PipelineError: a table is missing or damaged.
        ReidError: no such weights or device, or a crop that cannot be read.

    """
    model = weights_hash(weights)
    embedder: Embedder | None = None
    count = 0
    for flight in flights_with_tracklets(workspace):
        stage = embedding_stage(workspace, flight, model)
        if not stage.is_current():
            if stage.folder.manifest() is not None:
                _log.warning("%s: %s run again: %s", flight, EMBEDDINGS.name, stage.what_changed())
            embedder = embedder or Embedder.load(weights, device)
            stage.run([EMBEDDINGS.file], partial(_embed, workspace, flight, embedder, model, progress))
            count += stage.result(skipped=False).counts["crops"]
    return count


def embedding_stage(workspace: Path, flight: str, model: str) -> Stage:
    """The embeddings of `flight` by the network whose weights have the sha256 `model`.

    They depend on which crops are chosen. To choose takes a second for a million crops, so the choice that is
    recorded counts for as long as the tables are as they were then.

    Raises:
        PipelineError: a table is missing or damaged.

    """
    folder = StageFolder(workspace / flight / EMBEDDINGS.folder)
    manifest = folder.manifest() or {"counts": {}, "inputs": {}}
    content = manifest["inputs"].get("crops")
    if manifest["counts"].get("tables") != tables_of(workspace, flight):
        content = _content(choose_crops(workspace, flight))
    return Stage(EMBEDDINGS.name, folder, {"weights": model, "crops": content}, {"per_tracklet": PER_TRACKLET})


def tables_of(workspace: Path, flight: str) -> str:
    """One hash of the tables that the crops are chosen from."""
    return tables_sha256(workspace / flight / stage.output for stage in (TRACKS, CROPS))


def _content(crops: list[tuple[int, int, str]]) -> str:
    return hashlib.sha256("\n".join(path for _, _, path in crops).encode()).hexdigest()


def retrain(
    workspace: Path,
    start: Path,
    progress: Progress,
    *,
    iterations: int,
    device: str = "auto",
    advance: Callable[[int, str], None] = lambda done, text: None,
) -> int:
    """Train the network `start` on the labels of `workspace`, then embed all tracklets with it.

    The result is `suggestions/last.safetensors` in the workspace; each call begins from `start` again, so that a
    label that was taken back has no effect.

    Returns:
        The number of identities that it was trained on.

    Raises:
        PipelineError: there are too few labels to train on.
        AnnotateError, ReidError: as `embed_flights`.

    """
    from reid.training.train import train  # needs packages that embedding does not

    with LabelStore(workspace / LABELS, write=False) as store, store.reading() as state:
        data = labelled_crops(workspace, state)
    identities = len(np.unique(data.identities))
    if identities < _FEWEST:
        raise PipelineError(
            f"{workspace / LABELS}: {identities} identities with two crops or more; label {_FEWEST} of them first"
        )
    network = load_checkpoint(start).network
    config = read_recipe(
        "finetune",
        network=network.model_dump(),
        init=str(start),
        init_heads=False,
        loss={} if network.neck == "batch_norm" else {"cross_entropy": None},
        sampler={"identities": min(16, identities)},
        device=device,
        iterations=iterations,
        decay_from=iterations // 2,
        checkpoint_every=iterations,
        evaluate_every=iterations,
    )
    none = np.zeros(0, np.int64)
    nobody = Samples(none, none, none)
    run = workspace / RUN
    empty(run, RUN_FILES)  # an earlier run's: its data were other labels
    best = train(config, ReidData(workspace.name, data, nobody, nobody), run, advance=advance)
    embed_flights(workspace, best, progress, device)
    return identities


def labelled_crops(workspace: Path, state: State) -> Samples:
    """The crops of all identities in `state` that have two of them; cameras are the flights, by name."""
    rows: list[tuple[int, int, int, Picture]] = []
    for camera, flight in enumerate(flights_with_tracklets(workspace)):
        tracklets = read_tracklets(workspace, flight)
        crops = {(each.frame, each.rank): each.crop for tracklet in tracklets for each in tracklet.detections}
        for number, (name, content) in enumerate(state.tracklets.items()):
            label = state.labels[name]
            if flight_of(name) == flight and isinstance(label, int):
                paths = [path for path in map(crops.get, content) if path]
                rows += [(label, camera, number, picture(workspace / path)) for path in _spread(paths)]
    counts = pd.Series([identity for identity, *_ in rows], dtype=int).value_counts()
    rows = [row for row in rows if counts[row[0]] > 1]
    columns = [np.array([row[place] for row in rows], np.int64) for place in range(3)]
    return Samples(columns[0], columns[1], columns[2], tuple(row[3] for row in rows))


def _embed(
    workspace: Path, flight: str, embedder: Embedder, model: str, progress: Progress, folder: Path
) -> dict[str, Any]:
    """Embed the crops of `flight` into the table of `folder`; the counts, and the hash for `embedding_stage`."""
    tables, crops = tables_of(workspace, flight), choose_crops(workspace, flight)
    outside = next(
        (path for _, _, path in crops if not is_ours(path.removeprefix(_prefix(flight)), CROPS.ours)), None
    )
    if outside is not None:
        raise PipelineError(f"{workspace / flight / CROPS.output}: {outside!r} is no file of a crop; make it again")
    with progress(f"{flight}: embedding crops", len(crops)) as advance:
        features = embedder.embed_files([picture(workspace / path) for _, _, path in crops], advance=advance)
    write_embeddings(folder / EMBEDDINGS.file, crops, features, model[:16])
    return {"crops": len(crops), "length": embedder.dimension, "tables": tables}


def choose_crops(workspace: Path, flight: str) -> list[tuple[int, int, str]]:
    """Frame, rank and file (relative to the workspace) of the crops that represent the tracklets of `flight`."""
    folder, key = workspace / flight, ["frame", "rank"]
    linked = read_table(folder / TRACKS.output, ["tracklet", *key])[["tracklet", *key]]
    crops = read_table(folder / CROPS.output, [*key, "crop"])[[*key, "crop"]]
    rows = linked.merge(crops, on=key).sort_values(["tracklet", "frame"], kind="stable", ignore_index=True)
    shown = rows.iloc[_spread_places(rows["tracklet"].to_numpy())]
    files = (_prefix(flight) + shown["crop"]).tolist()
    return list(zip(shown["frame"].tolist(), shown["rank"].tolist(), files, strict=True))


def _prefix(flight: str) -> str:
    """What the files of crops of `flight` begin with, relative to the workspace."""
    return f"{flight}/{CROPS.folder}/"


def _spread(items: list[_T]) -> list[_T]:
    """At most `PER_TRACKLET` of `items`, evenly from first to last."""
    places = np.linspace(0, len(items) - 1, min(len(items), PER_TRACKLET)).round().astype(int)
    return [items[place] for place in places]


def _spread_places(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places that `_spread` takes of each run of equal numbers: int64 (m,), of int64 (n,)."""
    starts = np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1))
    sizes = np.diff(starts, append=len(groups))
    taken = np.minimum(sizes, PER_TRACKLET)
    numbers = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
    steps = (sizes - 1) / np.maximum(taken - 1, 1)
    return np.asarray(np.repeat(starts, taken) + (numbers * np.repeat(steps, taken)).round().astype(np.int64))


def write_embeddings(
    path: Path, crops: list[tuple[int, int, str]], features: NDArray[np.float32], model: str
) -> None:
    """Write the table of embeddings: `features`, float32 (n, d), of `crops`."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    vectors = (features / np.maximum(lengths, 1e-9)).astype(np.float16)
    table = pa.table(
        {
            "frame": pa.array([frame for frame, _, _ in crops], pa.int32()),
            "rank": pa.array([rank for _, rank, _ in crops], pa.int16()),
            "model": pa.array([model] * len(crops)).dictionary_encode(),
            "feature": as_bytes(vectors),
        }
    )
    with atomic_file(path) as temporary:
        pq.write_table(table, temporary, use_dictionary=["model"], compression="none")  # there is nothing to gain


def as_bytes(vectors: NDArray[np.float16]) -> pa.Array:
    """The column that `read_vectors` reads fastest: the bytes of each vector, of (n, d) in little-endian order."""
    return pa.Array.from_buffers(
        pa.binary(2 * vectors.shape[1]), len(vectors), [None, pa.py_buffer(vectors.tobytes())]
    )
