"""How well `uavpipe find` finds, how often it is right, and how fast; and the bundled calibration.

    python benchmarks/find.py fly --folder bench            simulate and track four casts in four flights each
    python benchmarks/find.py calibrate --folder bench      write pipeline/find/calibration.json from three of them
    python benchmarks/find.py simulated --folder bench      measure on the fourth
    python benchmarks/find.py market DATA/market1501_subset measure on query and gallery of Market-1501
    python benchmarks/find.py speed [--crops 50000]         time and memory of a search, on random features

The simulator's ground truth labels the tracklets. A search is for one crop of a tracklet among the tracklets of the
other flights; each is made twice, with its person and without. No cast was used to train the bundled network.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.chain.table import EMBEDDINGS
from pipeline.engine.progress import progress_bar
from pipeline.files import file_sha256
from pipeline.find.calibration import (
    BUNDLED,
    Calibration,
    Trial,
    calibration_text,
    fit,
    probability,
    read_calibration,
    trials_of,
)
from pipeline.find.gallery import Gallery, by_tracklet, make_gallery, mean_directions, read_gallery, unit
from pipeline.find.search import Query, search
from pipeline.labelling.from_ground_truth import label_by_ground_truth
from pipeline.labelling.suggestions import choose_crops, embed_flights, embedding_stage, tables_of, write_embeddings
from pipeline.sightings.read import read_sightings
from pipeline.sightings.tracklets import LabelledTracklets, read_labelled_tracklets
from reid.embedder import Embedder
from reid.weights import EMBEDDED

CALIBRATING = (9101, 9303, 9404)
MEASURED = 9202
FLIGHTS = range(1, 5)
_LENGTH = 256  # of a feature
FLIGHT = {"people": 80, "seconds": 6, "fps": 5}


def fly(folder: Path) -> None:
    """Simulate and track what is not there yet, and label it by the ground truth."""
    for cast in (*CALIBRATING, MEASURED):
        place = folder / f"c{cast}"
        for number in FLIGHTS:
            video = place / f"flight{number}.mp4"
            if not video.with_suffix(".gt.txt").exists():
                options = FLIGHT | {"seed": cast + number, "cast": cast}
                _uavpipe("simulate", video, *(f"--{name}={value}" for name, value in options.items()))
            _uavpipe("tracks", video, "--workspace", place / "runs", "--set", "detector.weights=embedded")


def trials(folder: Path, cast: int) -> tuple[list[Trial], Gallery]:
    """The searches of a cast."""
    place = folder / f"c{cast}"
    workspace = place / "runs"
    label_by_ground_truth(workspace, {f"flight{number}": place / f"flight{number}.gt.txt" for number in FLIGHTS})
    embed_flights(workspace, EMBEDDED, progress_bar)
    tracklets = read_labelled_tracklets(workspace)
    gallery = read_gallery(workspace, tracklets)
    return trials_of(gallery, tracklets), gallery


def calibrate(folder: Path) -> None:
    """Write the calibration of the bundled network."""
    found = [
        replace(trial, person=trial.person + 1000 * cast)  # each cast counts its persons from 1
        for cast in CALIBRATING
        for trial in trials(folder, cast)[0]
    ]
    origin = f"{FLIGHT['people'] * len(CALIBRATING)} simulated persons"
    calibration = fit(found, file_sha256(EMBEDDED)[:16], origin)
    BUNDLED.write_text(calibration_text(calibration), encoding="utf-8")
    print(
        f"{BUNDLED}: {calibration.searches} searches for {calibration.persons} persons among {calibration.answers} "
        f"tracklets: log odds = {calibration.intercept} + {calibration.slope} z - log n"
    )


def measure(found: list[Trial], calibration: Calibration) -> None:
    """Print how often the first answer is right, found and named, and how well scores and shares agree."""
    absent = [each.without_the_person() for each in found]
    best, right = _first(found, calibration)
    others, _ = _first(absent, calibration)
    median = int(np.median([len(each.similarities) for each in found]))
    persons = len({each.person for each in found})
    print(f"{len(found)} searches for {persons} persons among {median} tracklets: rank-1 {right.mean():.3f}")
    area = (best[:, None] > others[None]).mean() + (best[:, None] == others[None]).mean() / 2
    print(f"best answer, person there against not there: area under the ROC {area:.3f}")
    for error in (0.01, 0.05, 0.1, 0.2):
        least = calibration.least(error)
        print(
            f"  --error {error:<4}: found {(right & (best > least)).mean():.3f}, another person named "
            f"{(~right & (best > least)).mean():.3f}; not there, and somebody named {(others > least).mean():.3f}"
        )
    scores = probability(np.concatenate([best, others]))
    truth = np.concatenate([right, np.zeros(len(others), np.bool_)])
    print(f"expected calibration error of the first answers, ten bins: {ece(scores, truth):.3f}")
    for low in np.arange(0, 1, 0.2):
        those = (scores >= low) & (scores < low + 0.2)
        if those.any():
            print(f"  score {low:.1f}-{low + 0.2:.1f}: {those.sum():4d} answers, {truth[those].mean():.2f} right")


def ece(scores: np.ndarray, truth: np.ndarray, bins: int = 10) -> float:
    """Mean difference of score and share of right answers, in bins of equal width, weighted by their answers."""
    places = np.minimum((scores * bins).astype(int), bins - 1)
    parts = [places == place for place in range(bins)]
    return float(sum(part.mean() * abs(scores[part].mean() - truth[part].mean()) for part in parts if part.any()))


def simulated(folder: Path) -> None:
    """Measure on a cast that calibrated nothing; and what the feature of a tracklet should be."""
    found, gallery = trials(folder, MEASURED)
    measure(found, read_calibration(BUNDLED))
    tracklets = read_labelled_tracklets(folder / f"c{MEASURED}" / "runs")
    crops = [gallery.of_crops(name) for name in gallery.names]
    flights = np.array([name.partition("/")[0] for name in gallery.names])
    persons = np.array([tracklets.label(name) for name in gallery.names], object)
    kinds: dict[str, list[float]] = {"mean": [], "best": [], "mean of both": []}
    for place, own in enumerate(crops):
        others = np.flatnonzero(flights != flights[place])
        right = persons[others] == persons[place]
        if right.any():
            query = own[len(own) // 2]
            mean = gallery.features[others] @ query
            best = np.array([(crops[other] @ query).max() for other in others])
            for kind, alike in zip(kinds, (mean, best, (mean + best) / 2), strict=True):
                kinds[kind].append(average_precision(alike, right))
    for kind, values in kinds.items():
        print(f"feature of a tracklet: {kind}: mAP {np.mean(values):.3f}")
    nothing = np.zeros_like(gallery.mean)
    raw = {
        name: vectors
        for flight, rows in tracklets.rows.items()
        for name, vectors in _raw(folder / f"c{MEASURED}" / "runs", flight, rows).items()
        if name in gallery.crops
    }
    print("photos from elsewhere: the crop's flight is not in the workspace")
    measure(_from_elsewhere(raw, tracklets), read_calibration(BUNDLED))
    plain = Gallery(list(raw), mean_directions(list(raw.values())), raw, {}, nothing)
    right = [each.right[each.similarities.argmax()] for each in trials_of(plain, tracklets)]
    print(f"without subtracting the means of the flights: rank-1 {np.mean(right):.3f}")


def _from_elsewhere(raw: dict[str, np.ndarray], tracklets: LabelledTracklets) -> list[Trial]:
    """The searches for one crop of each tracklet, as a photo, in a workspace of the other flights."""
    found = []
    for number in FLIGHTS:
        own = {name: vectors for name, vectors in raw.items() if name.startswith(f"flight{number}/")}
        gallery = make_gallery({name: vectors for name, vectors in raw.items() if name not in own})
        persons = np.array([tracklets.label(name) for name in gallery.names], object)
        for name, vectors in own.items():
            right = persons == tracklets.label(name)
            if right.any():
                photo = gallery.centred(vectors[[len(vectors) // 2]], None)[0]
                found.append(Trial(int(tracklets.label(name)), gallery.features @ photo, right))
    return found


def _raw(workspace: Path, flight: str, rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Embeddings by tracklet, as they are stored."""
    found = by_tracklet(workspace / flight / EMBEDDINGS.output, rows)
    return {f"{flight}/{number}": unit(vectors) for number, vectors in found.items()}


def average_precision(alike: np.ndarray, right: np.ndarray) -> float:
    """Of one search."""
    hits = right[np.argsort(-alike, kind="stable")]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def market(folder: Path) -> None:
    """Measure on Market-1501: a camera is a flight, the crops of an identity from one camera are a tracklet."""
    embedder = Embedder.load(EMBEDDED)
    tables = {}
    for part in ("query", "bounding_box_test"):
        files = sorted((folder / part).glob("*.jpg"))
        with progress_bar(part, len(files)) as advance:
            vectors = unit(embedder.embed_files(files, advance=advance))
        labels = [file.name.split("_")[:2] for file in files]
        tables[part] = [
            (int(person), camera[:2], row) for (person, camera), row in zip(labels, vectors, strict=True)
        ]
    crops: dict[str, list[np.ndarray]] = {}
    for person, camera, vector in tables["bounding_box_test"]:
        if person > 0:
            crops.setdefault(f"{camera}/{person}", []).append(vector)
    gallery = make_gallery({name: np.array(vectors) for name, vectors in crops.items()})
    cameras, persons = np.array([name.split("/") for name in gallery.names]).T
    found = []
    for person, camera, vector in tables["query"]:
        others = cameras != camera
        right = persons[others].astype(int) == person
        if right.any():
            found.append(Trial(person, gallery.features[others] @ gallery.centred(vector[None], camera)[0], right))
    print("by the bundled calibration:")
    measure(found, read_calibration(BUNDLED))
    half = sorted({each.person for each in found})[::2]
    own = fit([each for each in found if each.person in half], "", "half of the persons")
    print("by a calibration on half of the persons, the other half:")
    measure([each for each in found if each.person not in half], own)


def speed(crops: int) -> None:
    """Time a search of a workspace with random features, 16 crops a tracklet, ten flights, without the photo."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        with ProcessPoolExecutor(1) as other:  # whose memory is not counted
            list(
                other.map(
                    _write_random, [workspace / f"flight{n}" for n in range(10)], [crops // 160] * 10, range(10)
                )
            )
        before = _peak_mib()
        query = Query(unit(np.random.default_rng(0).normal(size=(1, _LENGTH)).astype(np.float32)))
        for _ in range(3):
            begin, clocks = time.perf_counter(), [time.process_time()]
            assert all(embedding_stage(workspace, f"flight{number}", "").is_current() for number in range(10))
            clocks.append(time.process_time())
            tracklets = read_labelled_tracklets(workspace)
            clocks.append(time.process_time())
            gallery = read_gallery(workspace, tracklets)
            clocks.append(time.process_time())
            answers = search(query, gallery, tracklets, read_calibration(BUNDLED), 0.05)[:5]
            clocks.append(time.process_time())
            read_sightings(workspace, tracklets.only(each.tracklet for answer in answers for each in answer.found))
            clocks.append(time.process_time())
            names = ("up to date?", "tracklets", "features", "ranking", "sightings")
            parts = ", ".join(f"{name} {s:.2f} s" for name, s in zip(names, np.diff(clocks), strict=True))
            print(
                f"{crops:,} crops, {len(gallery.names):,} tracklets: {time.perf_counter() - begin:.2f} s, "
                f"CPU {clocks[-1] - clocks[0]:.2f} s ({parts})"
            )
            stored = crops * _LENGTH * 2 / 2**20
            print(
                f"  peak memory {_peak_mib() - before:.0f} MiB, of which the features, as stored, {stored:.0f} MiB"
            )


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _write_random(folder: Path, tracklets: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    number, place = np.divmod(np.arange(tracklets * 16), 16)
    frame, rank = place + 16 * (number // 20), number % 20
    left = 50.0 * rank
    keys = {"frame": frame.astype(np.int32), "rank": rank.astype(np.int16)}
    box = {"x1": left, "y1": 0 * left, "x2": left + 40, "y2": 0 * left + 90}
    seconds = {"pts_s": frame / 30}
    names = [f"images/00000000/{f:08d}_{r:03d}.jpg" for f, r in zip(frame, rank, strict=True)]
    tables = {
        "tracks/tracklets": {"tracklet": number, **keys, "suspect": np.zeros(len(frame), np.bool_)},
        "detections/detections": {**keys, **seconds, **box, "score": np.full(len(frame), 0.9)},
        "crops/crops": {**keys, "crop": names, "sharpness": rng.uniform(10, 90, len(frame))},
    }
    for name, columns in tables.items():
        path = folder / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path, use_dictionary=["crop"] if "crop" in columns else False)
    vectors = rng.standard_normal((len(frame), _LENGTH), np.float32)
    embedding_stage(folder.parent, folder.name, "").run(
        [EMBEDDINGS.file], partial(_embed_as, vectors, folder.parent, folder.name)
    )


def _embed_as(vectors: np.ndarray, workspace: Path, flight: str, folder: Path) -> dict[str, object]:
    write_embeddings(folder / EMBEDDINGS.file, choose_crops(workspace, flight), vectors, "")
    return {"tables": tables_of(workspace, flight)}


def _first(found: list[Trial], calibration: Calibration) -> tuple[np.ndarray, np.ndarray]:
    """Log odds of each search's first answer, and whether it is right."""
    places = [int(each.similarities.argmax()) for each in found]
    odds = [calibration.log_odds(each.similarities)[at] for each, at in zip(found, places, strict=True)]
    return np.array(odds), np.array([each.right[at] for each, at in zip(found, places, strict=True)])


def _uavpipe(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "pipeline", *map(str, arguments)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["fly", "calibrate", "simulated", "market", "speed"])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--folder", type=Path, default=Path("bench"))
    parser.add_argument("--crops", type=int, default=50_000)
    arguments = parser.parse_args()
    if arguments.what == "market":
        market(arguments.data)
    elif arguments.what == "speed":
        speed(arguments.crops)
    else:
        {"fly": fly, "calibrate": calibrate, "simulated": simulated}[arguments.what](arguments.folder)


if __name__ == "__main__":
    main()
