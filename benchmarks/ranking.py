"""Ranking at Market-1501's size against the compiled evaluators of torchreid and fast-reid; and from features.

    python benchmarks/ranking.py --torchreid ../deep-person-reid --fastreid ../fast-reid [--rounds 5]
    python benchmarks/ranking.py --features 11659 82161 2048          # MSMT17's size
    python benchmarks/ranking.py --features 3368 515913 2048          # Market-1501 with 500,000 distractors

The first compares figures, time and memory beyond the matrix on one matrix of distances, each variant and round in
a process of its own; the others' Cython must have been built in place (`python setup.py build_ext --inplace` in
their `rank_cylib`). The second ranks features about a centre of each person, mapped from a file, and compares that
with a sort of each row of distances and with the products of the features alone; rounds alternate.
"""

import argparse
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from reid.evaluation.distances import MatrixDistances
from reid.evaluation.evaluate import Evaluation, Options
from reid.evaluation.features import read_features
from reid.evaluation.metrics import joined, rate
from reid.evaluation.protocols import PROTOCOLS, Candidates
from reid.records import Samples

CYTHON = {"torchreid": "torchreid/metrics/rank_cylib", "fastreid": "fastreid/evaluation/rank_cylib"}
IDENTITIES, CAMERAS, SHARE_OF_DISTRACTORS = 750, 6, 0.17  # Market-1501's test set
CROPS_OF_A_PERSON = 20  # on average; what a gallery has beyond are distractors
SPREAD = 2.0  # of a person's crops about their centre; centres spread by 1
ROWS = 256  # queries whose distances are sorted at once


def labels(queries: int, gallery: int) -> tuple[Samples, Samples]:
    """Labels in Market-1501's proportions, of its 750 persons as many as there are queries for."""
    rng = np.random.default_rng(0)
    persons = min(IDENTITIES, queries)

    def samples(identities: np.ndarray) -> Samples:
        cameras = rng.integers(1, CAMERAS + 1, len(identities))
        return Samples(identities, cameras, np.full(len(identities), -1))

    own = rng.integers(1, persons + 1, queries)
    others = rng.integers(1, persons + 1, gallery)
    share = max(SHARE_OF_DISTRACTORS, 1 - CROPS_OF_A_PERSON * persons / gallery)
    others[rng.random(gallery) < share] = 0
    return samples(own), samples(others)


def write_matrix(path: Path, query: Samples, gallery: Samples) -> None:
    """Distances without ties, which the evaluators break differently; right answers are nearer by tendency."""
    rng = np.random.default_rng(1)
    matrix = np.lib.format.open_memmap(path, "w+", np.float32, (len(query), len(gallery)))
    for row, identity in enumerate(query.identities):
        near = rng.random(len(gallery)) - 0.5 * (gallery.identities == identity)
        matrix[row, np.argsort(near)] = np.arange(len(gallery))


@dataclass
class Cost:
    """Seconds, of which so many of CPU (on all cores together), and MiB by which the process grew at its peak."""

    seconds: float
    cpu: float
    extra: float


def rank_matrix(variant: str, cython: Path, path: Path) -> tuple[dict[str, float], Cost]:
    """Figures, and what they cost beyond the matrix."""
    matrix = np.load(path)
    query, gallery = labels(*matrix.shape)
    if variant == "uavpipe":
        return watched(lambda: dict(Evaluation(query, gallery, Options()).rank(MatrixDistances(matrix)).figures))
    sys.path.insert(0, str(cython))
    from rank_cy import evaluate_cy  # type: ignore[import-not-found]  # built there, in their checkouts

    columns = (query.identities, gallery.identities, query.cameras, gallery.cameras)

    def theirs() -> dict[str, float]:
        cmc, precision, *penalty = evaluate_cy(matrix, *columns, 50)
        figures = {f"rank-{rank}": float(cmc[rank - 1]) for rank in (1, 5, 10, 20)}
        figures["mAP"] = float(np.mean(precision))
        return figures | ({"mINP": float(np.mean(penalty))} if penalty else {})

    return watched(theirs)


def rank_features(variant: str, folder: Path) -> tuple[dict[str, float], Cost, float]:
    """Figures, their cost, and the whole memory of the process in MiB at its peak, with pages of mapped files."""
    own, others = (read_features(folder / name) for name in ("query.npy", "gallery.npy"))
    query, gallery = labels(len(own), len(others))

    def work() -> dict[str, float]:
        if variant == "uavpipe":
            return dict(Evaluation(query, gallery, Options())(own, others).figures)
        return sort_rows(own, others, query, gallery, sort=variant == "sort")

    figures, cost = watched(work)
    return figures, cost, memory("VmHWM")


def sort_rows(
    own: np.ndarray, others: np.ndarray, query: Samples, gallery: Samples, *, sort: bool
) -> dict[str, float]:
    """Figures by a sort of each row of distances, which are rounded to float32; or the distances alone."""
    candidates = Candidates(query, gallery, PROTOCOLS["market"])
    squares = np.einsum("nd,nd->n", others, others)
    rankings = []
    for first in range(0, len(own), ROWS):
        values = (-2 * own[first : first + ROWS]) @ others.T
        values += squares
        if not sort:
            continue
        rivals = candidates.between(first, first + len(values))
        positives = rivals.positives
        values[:, rivals.absent] = values[rivals.excluded.rows, rivals.excluded.columns] = np.inf
        wanted = values[positives.rows, positives.columns]
        values.sort(axis=1)
        ranks = [1 + np.searchsorted(values[row], value) for row, value in zip(positives.rows, wanted, strict=True)]
        rankings.append(rate(positives.rows, np.array(ranks), len(values)))
    return joined(rankings).figures() if sort else {}


def watched(work: Callable[[], Any]) -> tuple[Any, Cost]:
    """What `work` gives, and what it costs."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, begin, busy = memory("VmRSS"), time.perf_counter(), time.process_time()
    result = work()
    cost = time.perf_counter() - begin, time.process_time() - busy, memory("VmHWM") - before
    return result, Cost(*cost)


def memory(field: str) -> float:
    return int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call `function` in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def compare(cython: dict[str, Path], queries: int, gallery: int, rounds: int) -> None:
    costs: dict[str, list[Cost]] = {name: [] for name in ("uavpipe", *cython)}
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "distances.npy"
        write_matrix(path, *labels(queries, gallery))
        for _ in range(rounds):
            for name, spent in costs.items():
                figures[name], cost = alone(rank_matrix, name, cython.get(name), path)
                spent.append(cost)
    for name, spent in costs.items():
        differences = [abs(value - figures["uavpipe"][what]) for what, value in figures[name].items()]
        seconds, cpu, extra = (statistics.median(getattr(cost, f.name) for cost in spent) for f in fields(Cost))
        print(
            f"{name:>10}  {seconds:6.2f} s, {cpu:6.2f} s of CPU, {extra:4.0f} MiB, mAP {figures[name]['mAP']:.6f}; "
            f"largest difference from ours {max(differences):.1e}"
        )


def from_features(queries: int, gallery: int, dimension: int, rounds: int) -> None:
    costs: dict[str, list[tuple[Cost, float]]] = {name: [] for name in ("uavpipe", "sort", "products")}
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        write_features(Path(folder), *labels(queries, gallery), dimension)
        for _ in range(rounds):
            for name, spent in costs.items():
                figures[name], *cost = alone(rank_features, name, Path(folder))
                spent.append((cost[0], cost[1]))
    print(f"{queries:,} x {gallery:,}, {dimension} numbers")
    cpu = {name: statistics.median(cost.cpu for cost, _ in spent) for name, spent in costs.items()}
    for name, spent in costs.items():
        seconds = statistics.median(cost.seconds for cost, _ in spent)
        whole = statistics.median(memory for _, memory in spent)
        precision = f", mAP {figures[name]['mAP']:.9f}" if figures[name] else ""
        print(f"{name:>10}  {seconds:6.2f} s, {cpu[name]:6.2f} s of CPU, {whole:.0f} MiB in all{precision}")
    beyond = {name: cpu[name] - cpu["products"] for name in cpu}
    print(f"CPU of a sort over ours: {cpu['sort'] / cpu['uavpipe']:.2f}")
    print(f"beyond the products: {beyond['sort']:.2f} s and {beyond['uavpipe']:.2f} s")


def write_features(folder: Path, query: Samples, gallery: Samples, dimension: int) -> None:
    rng = np.random.default_rng(2)
    centres = rng.standard_normal((IDENTITIES + 1, dimension), np.float32)
    for name, samples in (("query.npy", query), ("gallery.npy", gallery)):
        features = np.lib.format.open_memmap(folder / name, "w+", np.float32, (len(samples), dimension))
        for first in range(0, len(samples), 4096):
            identities = samples.identities[first : first + 4096]
            crops = SPREAD * rng.standard_normal((len(identities), dimension), np.float32)
            nobody = rng.standard_normal((len(identities), dimension), np.float32)
            crops += np.where(identities[:, None] > 0, centres[identities], nobody)
            features[first : first + 4096] = crops
        del features


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in CYTHON:
        parser.add_argument(f"--{name}", type=Path, help="Where its source lies.")
    parser.add_argument("--size", type=int, nargs=2, default=(3368, 15913), metavar=("QUERIES", "GALLERY"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--features", type=int, nargs=3, metavar=("QUERIES", "GALLERY", "DIMENSION"))
    arguments = parser.parse_args()
    if arguments.features:
        queries, gallery, dimension = arguments.features
        from_features(queries, gallery, dimension, arguments.rounds)
        return
    places = {name: getattr(arguments, name) for name in CYTHON}
    queries, gallery = arguments.size
    compare({n: place / CYTHON[n] for n, place in places.items() if place}, queries, gallery, arguments.rounds)


if __name__ == "__main__":
    main()
