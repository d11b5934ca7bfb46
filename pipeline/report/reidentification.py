"""Re-identification in the report: trainings, evaluations, ranked lists, and the paper's Table 1."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from pipeline.chain.table import DATASET, EVALUATE, TRAIN
from pipeline.files import read_regular
from pipeline.report import plots
from pipeline.report.provenance import provenance_id
from pipeline.report.records import Fact, clock
from pipeline.stages.evaluation import FIGURES, StoredEvaluation, group_limits, read_evaluation
from pipeline.workspace.tables import read_rows
from reid.datasets.load import parse
from reid.evaluation.chance import KINDS, Chance
from reid.evaluation.open_set import FALSE_ALARMS, FALSE_POSITIVES

_LOSSES = ("loss", "triplet", "lgm", "cross_entropy")
_TEST = ("mAP", "rank-1")
_UNITS = {"height": "px", "altitude": "m"}  # of the groups of queries
_RANKS = 20
_LENGTH = 10  # crops of a ranked list that are shown
OPEN_SET = tuple(FALSE_POSITIVES | FALSE_ALARMS)
_MOST_LISTS = 4  # evaluations whose ranked lists are shown, the best first


@dataclass(frozen=True, eq=False)
class Training:
    """A training run.

    Attributes:
        name: of its folder.
        iterations: done.
        plots: by title.

    """

    name: str
    iterations: int
    plots: dict[str, Markup]


@dataclass(frozen=True)
class ShownCrop:
    """A crop in a ranked list.

    Attributes:
        crop: the file.
        caption: where and when, as far as known.
        distance: to the query; None for the query itself.
        right: whether it shows the query's person; None for the query itself.

    """

    crop: Path
    caption: str
    distance: float | None = None
    right: bool | None = None


@dataclass(frozen=True)
class RankedList:
    """A query and what it ranked first.

    Attributes:
        query: it.
        number: its row, for `uavpipe trace`.
        identity: of the query.
        precision: its average precision, with single-shot the mean over the draws.
        first_hit: rank of the nearest right crop; None with single-shot, where each draw has its own.
        crops: the nearest ones.

    """

    query: ShownCrop
    number: int
    identity: int
    precision: float
    first_hit: int | None
    crops: tuple[ShownCrop, ...]


@dataclass(frozen=True, eq=False)
class EvaluationPart:
    """An evaluation.

    Attributes:
        name: of its folder below `reid/`.
        metrics: its file of figures.
        protocol: that it was measured by.
        counts: of queries and gallery crops.
        facts: mAP, mINP, rank-1 …
        chance: the same figures as chance gets them, by what it is; empty where an older version evaluated.
        doubt: why the figures say nothing; empty where they are above chance.
        intervals: of the facts, 95 %; "–" where an older version evaluated, or there is one person.
        open_set: TPR and TPIR, and their intervals; empty where an older version evaluated.
        groups: tables by "height" and "altitude", where there are several groups: limits, queries, mAP, rank-1, and
            their intervals.
        curve: CMC, float64 (ranks,).
        lists: ranked lists, from the worst to the best.
        roots: the folders of the pictures that it was measured on, as they were recorded with it.

    """

    name: str
    metrics: Path
    protocol: str
    counts: Mapping[str, int]
    facts: tuple[Fact, ...]
    chance: Mapping[str, tuple[str, ...]]
    doubt: str
    intervals: tuple[str, ...]
    open_set: tuple[tuple[str, ...], ...]
    groups: Mapping[str, tuple[tuple[str, ...], ...]]
    curve: "np.typing.NDArray[np.float64]"
    lists: tuple[RankedList, ...]
    roots: tuple[Path, ...] = ()


def read_trainings(workspace: Path) -> list[Training]:
    """The trainings below `reid/` that have a log, by name."""
    found = []
    for log in sorted((workspace / TRAIN.folder).rglob("log.jsonl")):
        rows = read_log(log)
        if rows.empty:
            continue
        name = log.parent.relative_to(workspace / TRAIN.folder).as_posix()
        losses = [part for part in _LOSSES if part in rows]
        drawn = {"Loss": plots.training(name, rows, losses)} if losses else {}
        if set(_TEST) <= set(rows.columns):
            drawn["Evaluation during training"] = plots.test_figures(name, rows, _TEST)
        found.append(Training(name, int(rows["iteration"].max()), drawn))
    return found


def read_evaluations(workspace: Path, queries: int) -> list[EvaluationPart]:
    """The evaluations below `reid/`, the best mAP first; at the end those that are no better than chance.

    Args:
        workspace: the folder.
        queries: ranked lists of each of the first four.

    Raises:
        PipelineError: a table is damaged.

    """
    folders = sorted(path.parent for path in (workspace / EVALUATE.folder).rglob(FIGURES))
    measured = [each for each in map(read_evaluation, folders) if each is not None]
    measured.sort(key=lambda each: (bool(_doubt(each.content)), -float(each.content["mAP"])))
    origin = _origins(workspace)
    return [
        _evaluation(workspace, each, origin, queries if place < _MOST_LISTS else 0)
        for place, each in enumerate(measured)
    ]


def read_table1(workspace: Path) -> list[list[list[str]]] | None:
    """The tables of `uavpipe reid table1`, each as rows of fields, the titles first; None where there are none."""
    path = workspace / "table1" / "table1.md"
    if not path.is_file():
        return None
    tables: list[list[list[str]]] = [[]]
    for line in read_regular(path).decode("utf-8", "replace").splitlines():
        if line.startswith("|"):
            fields = [field.strip() for field in line.strip("| ").split("|")]
            if not set("".join(fields)) <= set("-: "):
                tables[-1].append(fields)
        elif tables[-1]:
            tables.append([])
    return [table for table in tables if table]


def read_log(path: Path) -> pd.DataFrame:
    """The log of a training, a row for each iteration; incomplete lines are left out."""
    lines = read_regular(path).decode("utf-8", "replace").splitlines()
    return pd.DataFrame([row for line in lines if (row := _logged(line))])


def _logged(line: str) -> dict[str, float]:
    try:
        row = json.loads(line)
        figures = {name: float(value) for name, value in row.items()}
        return figures if math.isfinite(figures.get("iteration", math.nan)) else {}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}


def _evaluation(
    workspace: Path, measured: StoredEvaluation, origin: Mapping[str, str], queries: int
) -> EvaluationPart:
    folder = measured.folder.relative_to(workspace / EVALUATE.folder)
    name = (folder.parent if folder.name == "test" and len(folder.parts) > 1 else folder).as_posix()
    figures = {
        key: value for key, value in measured.content.items() if key in ("mAP", "mINP") or key.startswith("rank-")
    }
    provenance = provenance_id(EVALUATE.name, name)
    chance = Chance.of_content(measured.content.get("chance"))
    return EvaluationPart(
        name=name,
        metrics=measured.folder / FIGURES,
        protocol=str(measured.content["settings"].get("protocol")),
        counts=measured.content["counts"],
        facts=tuple(Fact(key, f"{value:.3f}", provenance) for key, value in figures.items()),
        chance={KINDS[kind]: _in_order(each, figures) for kind, each in chance.figures.items()} if chance else {},
        doubt=_doubt(measured.content),
        intervals=tuple(_interval(measured.content, name) for name in figures),
        open_set=_open_set(measured.content),
        groups={what: rows for what in _UNITS if (rows := tuple(_groups(measured.content, what)))},
        curve=measured.cmc(_RANKS),
        lists=tuple(_lists(measured, origin, queries)),
        roots=tuple(_roots(measured.content["inputs"])),
    )


def _doubt(content: Mapping[str, Any]) -> str:
    chance = Chance.of_content(content.get("chance"))
    return chance.doubt(float(content["mAP"])) if chance else ""


def _interval(content: Mapping[str, Any], name: str) -> str:
    stored = content.get("intervals")
    interval = stored.get(name) if isinstance(stored, dict) else None
    if not isinstance(interval, list) or [type(bound) for bound in interval] != [float, float]:
        return "–"
    return f"{interval[0]:.3f} – {interval[1]:.3f}"


def _open_set(content: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """TPR and TPIR in the order of their columns, and their intervals; nothing where there are none."""
    if not any(name in content for name in OPEN_SET):
        return ()
    return _in_order(content, OPEN_SET), tuple(_interval(content, name) for name in OPEN_SET)


def _groups(content: Mapping[str, Any], what: str) -> Iterator[tuple[str, ...]]:
    groups, unit = content.get(f"by_{what}"), _UNITS[what]
    if not isinstance(groups, list) or len(groups) < 2:
        return
    for group in groups:
        if not isinstance(group, dict) or not isinstance(limits := group.get(f"{what}_{unit}"), list):
            continue
        least, below = (*limits, None, None)[:2]
        yield (
            group_limits(least, below if isinstance(below, int) else None, unit),
            str(group.get("queries")),
            *_in_order(group, _TEST),
            *(_interval(group, name) for name in _TEST),
        )


def _in_order(figures: Mapping[str, float], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{figures[name]:.3f}" if isinstance(figures.get(name), float) else "–" for name in names)


def _lists(measured: StoredEvaluation, origin: Mapping[str, str], count: int) -> Iterator[RankedList]:
    """`count` queries, evenly from the worst to the best."""
    rows = measured.queries
    single = bool((rows["repeat"] == 0).all())
    means = rows.groupby("query")["average_precision"].transform("mean")
    rows = rows.assign(average_precision=means)[(rows["positives"] > 0) & (rows["repeat"] == 0)]
    rows = rows.sort_values(["average_precision", "query"])
    if measured.ranked is None or "path" not in rows:
        return
    rows = rows[rows["query"].isin(measured.ranked["query"])]
    if rows.empty or not count:
        return
    places = np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))
    nearest = dict(iter(measured.ranked.groupby("query")))
    for row in rows.iloc[places].to_dict("records"):
        crops = nearest[row["query"]].sort_values("place").head(_LENGTH).to_dict("records")
        yield RankedList(
            query=ShownCrop(Path(row["path"]), _caption(row, origin)),
            number=int(row["query"]),
            identity=int(row["identity"]),
            precision=float(row["average_precision"]),
            first_hit=int(row["first_hit"]) if single else None,
            crops=tuple(
                ShownCrop(Path(each["path"]), _caption(each, origin), float(each["distance"]), bool(each["right"]))
                for each in crops
            ),
        )


def _roots(inputs: Mapping[str, Any]) -> Iterator[Path]:
    """The folders of the pictures of an evaluation; a data set may also be a table, which names files beside it."""
    if isinstance(inputs.get("data"), str):
        _, place = parse(inputs["data"])
        yield place.parent if place.is_file() else place
    images = inputs.get("images")
    yield from (
        Path(folder) for folder in (images if isinstance(images, list) else [images]) if isinstance(folder, str)
    )


def _caption(row: Mapping[Any, Any], origin: Mapping[str, str]) -> str:
    return origin.get(str(Path(row["path"]).resolve())) or f"camera {row['camera']}"


def _origins(workspace: Path) -> dict[str, str]:
    """Flight and time of each crop of the workspace's own data set, by its file."""
    from pipeline.dataset.files import FOLDERS

    rows = read_rows(workspace / DATASET.output)
    if rows is None:
        return {}
    folder = (workspace / DATASET.folder).resolve()
    return {
        f"{folder}/{FOLDERS[split]}/{name}": f"{flight} {clock(time)}"
        for split, name, flight, time in rows[["split", "name", "flight", "pts_s"]].itertuples(index=False)
    }
