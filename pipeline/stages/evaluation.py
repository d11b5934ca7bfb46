"""Stage `evaluate`: the figures of a re-id network, each query's rank, and the crops it ranked first."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.chain.table import EVALUATE
from pipeline.errors import PipelineError
from pipeline.workspace.atomic import atomic_file, atomic_folder, read_json, write_json
from pipeline.workspace.entries import files_below, is_ours
from pipeline.workspace.folders import locked
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.promises import Broken
from pipeline.workspace.stage import Stage
from pipeline.workspace.tables import read_rows
from reid.weights import weights_hash

if TYPE_CHECKING:
    from reid.evaluation.comparison import Measured
    from reid.evaluation.evaluate import Options, Result
    from reid.evaluation.open_set import PairCounts
    from reid.evaluation.summary import Summary

FILES = FIGURES, QUERIES, PAIRS, _RANKED, _SHEETS = (
    "metrics.json",
    "queries.parquet",
    "pairs.parquet",
    "ranked.parquet",
    "ranked",
)
_OF_QUERIES = ("query", "repeat", "identity", "camera", "average_precision", "first_hit", "positives")
_OF_RANKED = ("query", "place", "path", "camera", "distance", "right")
_OF_PAIRS = ("identity", "genuine_pairs", "impostor_pairs", "genuine", "impostors")
_DISTANCES = ("nearest_right", "nearest_wrong")
_COUNTS = ("queries", "queries_skipped", "gallery")
_SHEET = r"\d{3,}\.jpg"
_LENGTH = 20  # gallery crops of each query that are kept


@dataclass(frozen=True, eq=False)
class StoredEvaluation:
    """An evaluation, read from its folder.

    Attributes:
        folder: it.
        content: `metrics.json`: mAP, mINP, rank-1 …; chance, counts, settings, inputs.
        queries: a row for each query, and with single-shot for each repeat: query, repeat, identity, camera, path,
            average_precision, first_hit, inverse_negative_penalty, positives; nearest_right and nearest_wrong where
            a later version measured.
        ranked: a row for each of a query's nearest crops: query, place (from 1), path, camera, distance, right;
            None where the crops have no files, or an older version measured.
        pairs: a row for each person of the queries: identity, genuine_pairs, impostor_pairs; genuine and impostors,
            those within each of some thresholds; None where an older version measured.

    """

    folder: Path
    content: dict[str, Any]
    queries: pd.DataFrame
    ranked: pd.DataFrame | None
    pairs: pd.DataFrame | None = None

    def cmc(self, ranks: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Share of the queries whose nearest right answer is within rank 1, 2, … `ranks`: float64 (ranks,)."""
        first = self.queries.loc[self.queries["positives"] > 0, "first_hit"].to_numpy()
        return np.array([(first <= rank).mean() for rank in range(1, ranks + 1)])


def evaluation_stage(folder: Path, inputs: Mapping[str, Any], options: "Options", *, flip: bool = False) -> Stage:
    """The evaluation in `folder`, as a stage.

    Args:
        folder: of the evaluation.
        inputs: what is measured, by name; a file as `identified` gives it.
        options: how it is measured.
        flip: whether features are means with those of the mirror image.

    """
    settings: dict[str, Any] = {
        "protocol": options.protocol,
        "metric": options.metric,
        "ap": options.average_precision,
        "repeats": options.repeats,
        "seed": options.seed,
        "rerank": options.reranking is not None,
        "flip": flip,
    }
    if options.pooling != "none":  # not otherwise: finished evaluations of earlier versions stay up to date
        settings[options.pooling] = True
    hashes = {name: value["sha256"] for name, value in inputs.items() if isinstance(value, dict)}
    return Stage(EVALUATE.name, StageFolder(folder), hashes, settings)


def write_evaluation(
    folder: Path,
    result: "Result",
    summary: "Summary",
    options: "Options",
    inputs: Mapping[str, Any],
    *,
    flip: bool = False,
    pictures: int = 0,
) -> bool:
    """Write the result of an evaluation into `folder`.

    Args:
        folder: made where it is not there.
        result: of the evaluation.
        summary: of its figures, with what chance gets in it.
        options: how it was measured.
        inputs: what was measured; see `evaluation_stage`.
        flip: whether features are means with those of the mirror image.
        pictures: queries to draw on sheets, worst first.

    Returns:
        Whether there are sheets: there are files of all crops.

    Raises:
        PipelineError: another process writes there, or the folder cannot be written.

    """
    from reid.evaluation.data_hash import data_hashes

    started = time.monotonic()
    stage = evaluation_stage(folder, inputs, options, flip=flip)
    content = {
        **summary.content(),
        "counts": result.counts,
        "data": data_hashes(result.candidates),
        "settings": stage.settings,
        "inputs": dict(inputs),
    }
    has_files = bool(result.candidates.query.paths and result.candidates.gallery.paths)
    with locked(folder):
        stage.folder.begin()
        (folder / FIGURES).unlink(missing_ok=True)
        _write(folder / QUERIES, _queries(result, summary))
        _write(folder / PAIRS, _pairs(result, summary.open_set.by_person))
        if has_files:
            _write(folder / _RANKED, pd.DataFrame(_ranked(result)))
        if pictures and has_files:
            _draw(folder / _SHEETS, result, pictures)
        write_json(folder / FIGURES, content)
        counts = {**result.figures, "chance": summary.chance.content()}
        stage.finish(counts, time.monotonic() - started, _files(folder))
    return bool(pictures and has_files)


def _files(folder: Path) -> list[str]:
    sheets = [f"{_SHEETS}/{name}" for name in sorted(files_below(folder / _SHEETS)) if is_ours(name, _SHEET)]
    return [name for name in (*FILES, *sheets) if (folder / name).is_file()]


def read_evaluation(folder: Path) -> StoredEvaluation | None:
    """The evaluation in `folder`; None where there is none, or not a whole one.

    Raises:
        PipelineError: a table is damaged.

    """
    content = read_json(folder / FIGURES)
    if content is None or not _whole(content):
        return None
    queries, ranked = read_rows(folder / QUERIES, _OF_QUERIES), read_rows(folder / _RANKED, _OF_RANKED)
    pairs = read_rows(folder / PAIRS, _OF_PAIRS)
    return None if queries is None else StoredEvaluation(folder, content, queries, ranked, pairs)


def measured(stored: StoredEvaluation, name: str) -> "Measured":
    """The evaluation `stored`, as it is compared with others."""
    from reid.evaluation.comparison import Measured
    from reid.evaluation.intervals import QueryFigures

    rows, content = stored.queries, stored.content
    figures = {key: value for key, value in content.items() if isinstance(value, float)}
    found, data = content.get("intervals"), content.get("data")
    intervals = {key: tuple(ends) for key, ends in found.items()} if isinstance(found, dict) else {}
    columns = {key: rows[key].to_numpy(np.float64) if key in rows else None for key in _DISTANCES}
    queries = QueryFigures(
        rows["identity"].to_numpy(np.int64),
        rows["average_precision"].to_numpy(np.float64),
        rows["inverse_negative_penalty"].to_numpy(np.float64),
        rows["first_hit"].to_numpy(np.int64),
        **columns,
    )
    hashes = data if isinstance(data, dict) else {}
    settings = {**content["settings"], "input": content["inputs"].get("input", "")}
    return Measured(name, settings, hashes, figures, intervals, queries, _counted(stored))


def _counted(stored: StoredEvaluation) -> "PairCounts | None":
    """The pairs of each person; None where they are unknown.

    Raises:
        PipelineError: they are of other persons than the queries, or counted at unlike numbers of thresholds.

    """
    from reid.evaluation.open_set import PairCounts

    if stored.pairs is None:
        return None
    rows = stored.pairs
    persons = stored.queries["identity"][stored.queries["identity"] > 0]
    lengths = {len(each) for name in ("genuine", "impostors") for each in rows[name]}
    if rows["identity"].tolist() != sorted(set(persons)) or len(lengths) > 1:
        raise PipelineError(f"{stored.folder / PAIRS}: not the pairs of {QUERIES}; evaluate again")
    within = (np.array(rows[name].tolist(), np.int64).reshape(len(rows), -1) for name in ("genuine", "impostors"))
    return PairCounts(*within, *(rows[name].to_numpy(np.int64) for name in ("genuine_pairs", "impostor_pairs")))


def group_limits(least: int, below: int | None, unit: str) -> str:
    """What a group of queries has, for people: whole pixels ("px"), or metres ("m")."""
    if below is None:
        return f"{least} {unit} and more"
    return f"{least} to {below - 1} px" if unit == "px" else f"{least} to {below} {unit}"


def broken_evaluation(folder: Path, workspace: Path) -> Iterator[Broken]:
    """What of the finished evaluation in `folder` is missing or changed: its files, and weights in `workspace`."""
    yield from StageFolder(folder).broken()
    weights = ((read_json(folder / FIGURES) or {}).get("inputs") or {}).get("weights")
    if isinstance(weights, dict) and Path(str(weights.get("path"))).is_relative_to(workspace):
        path = Path(str(weights["path"]))
        if not path.is_file():
            yield Broken(path, "missing, and it was evaluated")
        elif weights_hash(path) != weights.get("sha256"):
            yield Broken(path, "other weights than were evaluated")


def _whole(content: Mapping[str, Any]) -> bool:
    """Whether `metrics.json` has what an evaluation says."""
    figures = [value for name, value in content.items() if name in ("mAP", "mINP") or name.startswith("rank-")]
    sections = [content.get(name) for name in ("counts", "inputs", "settings")]
    if "mAP" not in content or not all(isinstance(figure, float) for figure in figures):
        return False
    if not all(isinstance(section, dict) for section in sections) or not _names_files(content["inputs"]):
        return False
    if not all(isinstance(content["counts"].get(name), int) for name in _COUNTS):
        return False
    return not any(isinstance(value, dict | list) for value in content["settings"].values())


def _names_files(inputs: Mapping[str, Any]) -> bool:
    files = [inputs[name] for name in ("weights", "query", "gallery") if name in inputs]
    names = [inputs.get(name, []) for name in ("data", "labels", "images", "train_labels")]
    if ("query" in inputs) != ("gallery" in inputs) or not all(isinstance(name, str | list) for name in names):
        return False
    return all(
        isinstance(file, dict) and isinstance(file.get("path"), str) and isinstance(file.get("sha256"), str)
        for file in files
    )


def identified(file: Path) -> dict[str, str]:
    """Which weights or features they were, whatever becomes of their name."""
    return {"path": str(file), "sha256": weights_hash(file)}


def _write(path: Path, table: pd.DataFrame) -> None:
    with atomic_file(path) as temporary:
        table.to_parquet(temporary, index=False)


def _queries(result: "Result", summary: "Summary") -> pd.DataFrame:
    query, ranking = result.candidates.query, result.ranking
    repeats = len(ranking) // len(query)
    columns = {
        "query": np.tile(np.arange(len(query)), repeats),
        "repeat": np.repeat(np.arange(repeats), len(query)),
        "identity": np.tile(query.identities, repeats),
        "camera": np.tile(query.cameras, repeats),
        "average_precision": ranking.average_precision,
        "first_hit": ranking.first_hit,
        "inverse_negative_penalty": ranking.inverse_negative_penalty,
        "positives": ranking.positives,
        "nearest_right": summary.open_set.nearest_right,
        "nearest_wrong": summary.open_set.nearest_wrong,
    }
    if query.paths:
        columns["path"] = np.tile([str(file) for file in query.paths], repeats)
    return pd.DataFrame(columns)


def _pairs(result: "Result", counts: "PairCounts") -> pd.DataFrame:
    identities = result.candidates.query.identities
    return pd.DataFrame(
        {
            "identity": np.unique(identities[identities > 0]),
            "genuine_pairs": counts.genuine_pairs,
            "impostor_pairs": counts.impostor_pairs,
            "genuine": list(counts.genuine),
            "impostors": list(counts.impostors),
        }
    )


def _ranked(result: "Result") -> Iterator[dict[str, Any]]:
    query, gallery = result.candidates.query, result.candidates.gallery
    for row, (columns, distances) in enumerate(result.all_nearest(_LENGTH)):
        for place, (column, distance) in enumerate(zip(columns, distances, strict=True), 1):
            yield {
                "query": row,
                "place": place,
                "path": str(gallery.paths[column]),
                "camera": int(gallery.cameras[column]),
                "distance": float(distance),
                "right": bool(gallery.identities[column] == query.identities[row]),
            }


def _draw(folder: Path, result: "Result", queries: int) -> None:
    from reid.evaluation.ranked_lists import sheets

    with atomic_folder(folder, _SHEET) as temporary:
        for number, sheet in enumerate(sheets(result, queries)):
            sheet.save(temporary / f"{number:03d}.jpg", quality=90)
