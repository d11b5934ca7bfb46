"""Ranking at Market-1501's size against the compiled evaluators of torchreid and fast-reid; and from features.

    python benchmarks/ranking.py --torchreid ../deep-person-reid --fastreid ../fast-reid [--rounds 5]
    python benchmarks/ranking.py --features 11659 82161 2048          # MSMT17's size
    python benchmarks/ranking.py --features 3368 515913 2048          # Market-1501 with 500,000 distractors

The first compares figures, time and memory beyond the matrix on one matrix of distances, each variant and round in
a process of its own; the others' Cython must have been built in place (`python setup.py build_ext --inplace` in
their `rank_cylib`). The second ranks random features that are mapped from a file.
"""

import argparse
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from reid.distances import MatrixDistances
from reid.evaluate import Evaluation, Options
from reid.features import read_features
from reid.records import Samples

CYTHON = {"torchreid": "torchreid/metrics/rank_cylib", "fastreid": "fastreid/evaluation/rank_cylib"}
IDENTITIES, CAMERAS, SHARE_OF_DISTRACTORS = 750, 6, 0.17  # Market-1501's test set


def labels(queries: int, gallery: int) -> tuple[Samples, Samples]:
    """Labels in Market-1501's proportions, of its 750 persons as many as there are queries for."""
    rng = np.random.default_rng(0)
    persons = min(IDENTITIES, queries)

    def samples(identities: np.ndarray) -> Samples:
        cameras = rng.integers(1, CAMERAS + 1, len(identities))
        return Samples(identities, cameras, np.full(len(identities), -1))

    own = rng.integers(1, persons + 1, queries)
    others = rng.integers(1, persons + 1, gallery)
    others[rng.random(gallery) < SHARE_OF_DISTRACTORS] = 0
    return samples(own), samples(others)


def write_matrix(path: Path, query: Samples, gallery: Samples) -> None:
    """Distances without ties, which the evaluators break differently; right answers are nearer by tendency."""
    rng = np.random.default_rng(1)
    matrix = np.lib.format.open_memmap(path, "w+", np.float32, (len(query), len(gallery)))
    for row, identity in enumerate(query.identities):
        near = rng.random(len(gallery)) - 0.5 * (gallery.identities == identity)
        matrix[row, np.argsort(near)] = np.arange(len(gallery))


def rank_matrix(variant: str, cython: Path, path: Path) -> tuple[dict[str, float], float, float]:
    """Figures, seconds, and MiB beyond the matrix at the peak."""
    matrix = np.load(path)
    query, gallery = labels(*matrix.shape)
    if variant == "uavpipe":
        return watched(lambda: dict(Evaluation(query, gallery, Options()).rank(MatrixDistances(matrix)).figures))
    sys.path.insert(0, str(cython))
    from rank_cy import evaluate_cy

    columns = (query.identities, gallery.identities, query.cameras, gallery.cameras)

    def theirs() -> dict[str, float]:
        cmc, precision, *penalty = evaluate_cy(matrix, *columns, 50)
        figures = {f"rank-{rank}": float(cmc[rank - 1]) for rank in (1, 5, 10, 20)}
        figures["mAP"] = float(np.mean(precision))
        return figures | ({"mINP": float(np.mean(penalty))} if penalty else {})

    return watched(theirs)


def rank_features(folder: Path) -> tuple[float, float]:
    """Seconds, and the process's memory in MiB at its peak; pages of the mapped files count."""
    own, others = (read_features(folder / name) for name in ("query.npy", "gallery.npy"))
    evaluation = Evaluation(*labels(len(own), len(others)), Options())
    _, seconds, _ = watched(lambda: evaluation(own, others).figures)
    return seconds, memory("VmHWM")


def watched(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What `work` gives, its seconds, and by how many MiB of its own memory the process grew at the peak."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, begin = memory("VmRSS"), time.perf_counter()
    result = work()
    return result, time.perf_counter() - begin, memory("VmHWM") - before


def memory(field: str) -> float:
    return int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call `function` in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def compare(cython: dict[str, Path], queries: int, gallery: int, rounds: int) -> None:
    seconds, extra, figures = {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "distances.npy"
        write_matrix(path, *labels(queries, gallery))
        for _ in range(rounds):
            for name in ("uavpipe", *cython):
                figures[name], took, grew = alone(rank_matrix, name, cython.get(name), path)
                seconds.setdefault(name, []).append(took)
                extra.setdefault(name, []).append(grew)
    for name in seconds:
        differences = [abs(value - figures["uavpipe"][what]) for what, value in figures[name].items()]
        print(
            f"{name:>10}  {statistics.median(seconds[name]):6.2f} s  {statistics.median(extra[name]):6.0f} MiB  "
            f"mAP {figures[name]['mAP']:.6f}  largest difference from ours {max(differences):.1e}"
        )


def from_features(queries: int, gallery: int, dimension: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(2)
        for name, rows in (("query.npy", queries), ("gallery.npy", gallery)):
            features = np.lib.format.open_memmap(Path(folder) / name, "w+", np.float32, (rows, dimension))
            for first in range(0, rows, 4096):
                features[first : first + 4096] = rng.standard_normal((min(4096, rows - first), dimension))
            del features
        seconds, peak = alone(rank_features, Path(folder))
    print(f"{queries:,} x {gallery:,}, {dimension} numbers: {seconds:.1f} s, {peak:.0f} MiB in all")


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in CYTHON:
        parser.add_argument(f"--{name}", type=Path, help="Where its source lies.")
    parser.add_argument("--size", type=int, nargs=2, default=(3368, 15913), metavar=("QUERIES", "GALLERY"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--features", type=int, nargs=3, metavar=("QUERIES", "GALLERY", "DIMENSION"))
    arguments = parser.parse_args()
    if arguments.features:
        from_features(*arguments.features)
        return
    places = {name: getattr(arguments, name) for name in CYTHON}
    compare({n: place / CYTHON[n] for n, place in places.items() if place}, *arguments.size, arguments.rounds)


if __name__ == "__main__":
    main()
