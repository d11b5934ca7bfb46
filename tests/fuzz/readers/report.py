"""Readers of `pipeline.report`: what trainings and evaluations left."""

import json
from pathlib import Path

import pandas as pd

from pipeline.report.provenance import provenance_of_evaluation
from pipeline.report.reidentification import read_evaluations, read_log, read_table1
from tests.fuzz.readers.reader import Reader, reads, written

_LOG = '{"iteration": 1, "loss": 0.5}\n{"iteration": 2, "loss": 0.25, "mAP": 0.5, "rank-1": 0.5}\n'
_TABLE1 = "# Table 1\n\n| source | triplet |\n|---|--:|\n| random | 12.3 |\n"
_METRICS = {
    "mAP": 0.5,
    "rank-1": 0.5,
    "chance": {"random": {"mAP": 0.5, "rank-1": 0.25}, "highest_mAP": 0.5},
    "counts": {"queries": 1, "queries_skipped": 0, "gallery": 1},
    "settings": {"protocol": "market", "flip": False, "seed": 0},
    "inputs": {"weights": {"path": "w.safetensors", "sha256": "0"}, "data": "dataset"},
}
_QUERY = {"query": [0], "repeat": 0, "identity": 1, "camera": 1, "path": "q.jpg", "positives": 1, "first_hit": 1}
_RANKED = {"query": [0], "place": 1, "path": "g.jpg", "camera": 2, "distance": 0.5, "right": True}


def _evaluation(folder: Path) -> None:
    written("reid/a/metrics.json", json.dumps(_METRICS))(folder)
    queries = _QUERY | {"average_precision": 0.5, "inverse_negative_penalty": 0.5}
    pd.DataFrame(queries).to_parquet(folder / "reid/a/queries.parquet", index=False)
    pd.DataFrame(_RANKED).to_parquet(folder / "reid/a/ranked.parquet", index=False)


def _read(folder: Path) -> None:
    for each in read_evaluations(folder, 2):
        provenance_of_evaluation(each.name, each.metrics)


def _damaged(file: str, *, json: bool = False) -> Reader:
    return Reader(f"reid/a/{file}", _evaluation, _read, json)


REPORT: dict[str, Reader] = {
    "report, log of a training": reads(read_log, "log.jsonl", _LOG),
    "report, Table 1": Reader("table1/table1.md", written("table1/table1.md", _TABLE1), read_table1),
    "report, figures": _damaged("metrics.json", json=True),
    "report, queries": _damaged("queries.parquet"),
    "report, ranked": _damaged("ranked.parquet"),
}
