"""The labels' log at its largest: 1,000 tracklets of 50 crops, 10,000 operations; a decision, and a replay.

python benchmarks/label_store.py [--operations 10000]
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from annotate.errors import Refused
from annotate.log.state import State
from annotate.log.store import LABELS, LabelStore
from annotate.operations import Assign, Decision, Mark, Merge, NewIdentity, SetMark, Split
from annotate.records import Detection, Tracklet

_TRACKLETS, _CROPS = 1_000, 50


def tracklets() -> list[Tracklet]:
    """Tracklets of one flight that overlap in time."""
    box = (0.0, 0.0, 10.0, 20.0)
    return [
        Tracklet("flight", number, tuple(Detection(5 * at, number, at / 6, box, 0.9) for at in range(_CROPS)))
        for number in range(_TRACKLETS)
    ]


def decision(state: State, random: random.Random) -> Decision:
    """Something that a labeller may decide; some of it will be refused."""
    tracklet = random.choice(list(state.tracklets))
    identities = list(state.identities)
    kind = random.random()
    if kind < 0.1 or not identities:
        return NewIdentity(tracklets=(tracklet,))
    if kind < 0.8:
        return Assign(tracklets=(tracklet,), identity=random.choice(identities))
    if kind < 0.85:
        return Merge(source=random.choice(identities), into=random.choice(identities))
    if kind < 0.9:
        return Split(tracklet=tracklet, frame=random.randrange(5 * _CROPS))
    return SetMark(tracklets=(tracklet,), mark=random.choice(list(Mark)))


def label(store: LabelStore, operations: int) -> list[float]:
    """Decide `operations` times, one in ten of them an undo: the milliseconds of each."""
    draw = random.Random(1)
    took: list[float] = []
    while len(took) < operations:
        user, name = draw.choice(["ann", "bob"]), f"{draw.getrandbits(64):x}"
        operation = decision(store.state, draw)
        undo = draw.random() < 0.1
        begin = time.perf_counter()
        try:
            store.undo(user=user, id=name) if undo else store.apply(operation, user=user, id=name)
        except Refused:
            continue
        took.append(1e3 * (time.perf_counter() - begin))
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=10_000)
    operations = parser.parse_args().operations
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, LABELS)
        with LabelStore(path) as store:
            store.add_flight("flight", tracklets())
            took = label(store, operations)
        cuts = statistics.quantiles(took, n=20)
        print(f"decision: median {statistics.median(took):.2f} ms, 95th percentile {cuts[-1]:.2f} ms")
        wall, cpu = time.perf_counter(), time.process_time()
        with LabelStore(path, write=False) as again:
            count = len(again.entries)
        print(
            f"replay of {count:,} operations: {time.perf_counter() - wall:.2f} s, "
            f"{time.process_time() - cpu:.2f} s of CPU; {path.stat().st_size / 1e6:.1f} MB"
        )


if __name__ == "__main__":
    main()
