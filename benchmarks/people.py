"""How often the interval of `uavpipe people` holds the number of people, and how it narrows with decisions.

    python benchmarks/people.py drawn [--seeds 50]                       vectors drawn like the embedder's
    python benchmarks/people.py market DATA/market1501_subset [--seeds 50]  real persons, 25 of 99 a seed
    python benchmarks/people.py flown bench/c9202     flights of benchmarks/find.py, each and in pairs

`drawn`: 12 to 40 people in three flights, each in a flight with probability 0.8 and there as one or two
tracklets. Features are normal in 40 dimensions, whose cosines between strangers spread by 0.16, as measured on
Market-1501; the share of the person in them differs from tracklet to tracklet, so that cosines of one person
are 0.73 ± 0.14 (Market-1501: 0.72 ± 0.16). One tracklet in 14 shows nobody. Two people of a flight share a
frame with probability 0.4. `--first 1000` draws from that seed on: others than those of the published table.
`market`: a camera is a flight, the crops of a person from one camera are a tracklet; nothing shares a frame. Then
a half of the tracklets, drawn at random, is decided.
`flown`: tracklets of simulated flights over one cast, whose persons are those of the ground truth.
"""

import argparse
from collections.abc import Iterator
from itertools import combinations, count
from pathlib import Path

import numpy as np

from annotate.records import flights_with_tracklets
from pipeline.engine.progress import progress_bar
from pipeline.find.calibration import BUNDLED, read_calibration
from pipeline.find.gallery import make_gallery, read_gallery, unit
from pipeline.find.people import decided_of
from pipeline.find.population import OPEN, Decided, count_people
from pipeline.labelling.from_ground_truth import label_by_ground_truth
from pipeline.labelling.suggestions import embed_flights
from pipeline.sightings.tracklets import LabelledTracklets, read_labelled_tracklets
from reid.embedder import Embedder
from reid.weights import EMBEDDED

DECIDED = (0.0, 0.5)
DIMENSIONS = 40
NOBODY = -2


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cosines (n, n), the person of each tracklet or `NOBODY`, and which pairs share a frame."""
    rng = np.random.default_rng(seed)
    people = int(rng.integers(12, 41))
    rows = [
        (person, flight)
        for flight in range(3)
        for person in range(people)
        for _ in range(rng.integers(1, 3) if rng.random() < 0.8 else 0)
    ]
    rows += [(NOBODY, int(rng.integers(3))) for _ in range(rng.binomial(len(rows), 1 / 14))]
    who, flight = np.array(rows).T
    own = rng.normal(size=(people, DIMENSIONS))[who] * (who != NOBODY)[:, None]
    share = np.where(who == NOBODY, 0, rng.beta(5.6, 2.0, len(who)))[:, None]
    features = unit(np.sqrt(share) * own + np.sqrt(1 - share) * rng.normal(size=(len(who), DIMENSIONS)))
    meet = np.triu(rng.random((len(who), len(who))) < 0.4)
    meet |= meet.T
    different = (who[:, None] != who[None]) | (who == NOBODY)[:, None]
    return features @ features.T, who, meet & different & (flight[:, None] == flight[None])


def people_of(folder: Path) -> dict[tuple[int, str], np.ndarray]:
    """The embeddings of the crops of each person and camera of Market-1501's gallery."""
    files = sorted((folder / "bounding_box_test").glob("*.jpg"))
    found: dict[tuple[int, str], list[np.ndarray]] = {}
    for file, vector in zip(files, unit(Embedder.load(EMBEDDED).embed_files(files)), strict=True):
        person, camera = file.name.split("_")[:2]
        if int(person) > 0:
            found.setdefault((int(person), camera[:2]), []).append(vector)
    return {key: np.array(vectors) for key, vectors in found.items()}


def market(crops: dict[tuple[int, str], np.ndarray], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `drawn`, of 25 persons."""
    persons = np.random.default_rng(seed).choice(sorted({person for person, _ in crops}), 25, replace=False)
    some = {f"{camera}/{person}": rows for (person, camera), rows in crops.items() if person in persons}
    gallery = make_gallery(some)
    who = np.array([int(name.split("/")[1]) for name in gallery.names])
    return gallery.features @ gallery.features.T, who, np.zeros((len(who), len(who)), np.bool_)


def flown(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """As `drawn`, of each flight in `folder`/runs and each pair of them."""
    workspace = folder / "runs"
    flights = flights_with_tracklets(workspace)
    label_by_ground_truth(workspace, {flight: folder / f"{flight}.gt.txt" for flight in flights})
    embed_flights(workspace, EMBEDDED, progress_bar)
    labelled = read_labelled_tracklets(workspace)
    for chosen in ({*one} for many in (1, 2) for one in combinations(flights, many)):
        plain = LabelledTracklets({name: rows for name, rows in labelled.rows.items() if name in chosen})
        gallery = read_gallery(workspace, plain)
        known = decided_of(workspace, plain, gallery, read_calibration(BUNDLED))
        labels = [labelled.label(name) for name in gallery.names]
        who = np.array([label if isinstance(label, int) else NOBODY for label in labels])
        yield gallery.features @ gallery.features.T, who, known.apart


def measure(cast: tuple[np.ndarray, np.ndarray, np.ndarray], share: float, seed: int) -> tuple[int, int, int, int]:
    """The number of people, and the estimate, low and high after a share of the tracklets is decided."""
    similar, who, apart = cast
    decided = np.random.default_rng((seed, 1)).random(len(who)) < share
    shown = ~(decided & (who == NOBODY))
    people = np.where(decided, who, OPEN)[shown]
    alike = read_calibration(BUNDLED).alike(similar[np.ix_(shown, shown)])
    found = count_people(Decided(alike, people, apart[np.ix_(shown, shown)], junk=int((~shown).sum())), seed=seed)
    return len(set(who[who != NOBODY].tolist())), found.people, found.low, found.high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["drawn", "market", "flown"])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    if arguments.what == "market":
        crops = people_of(arguments.data)
        casts = [market(crops, seed) for seed in seeds]
    else:
        casts = list(flown(arguments.data)) if arguments.what == "flown" else [drawn(seed) for seed in seeds]
    for share in DECIDED:
        rows = [measure(cast, share, seed) for cast, seed in zip(casts, count(arguments.first), strict=False)]
        if arguments.what == "flown":
            print("\n".join(f"  {true} people: {low} to {high}" for true, _, low, high in rows))
        true, people, low, high = np.array(rows).T
        print(
            f"{share:.0%} decided: the interval holds the number in {((low <= true) & (true <= high)).mean():.0%} "
            f"of {len(rows)} casts; its width {(high - low).mean():.1f}, of {true.mean():.1f} people; "
            f"error of the estimate {(people - true).mean():+.2f}, absolute {np.abs(people - true).mean():.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
