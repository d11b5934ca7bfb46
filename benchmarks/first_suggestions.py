"""The suggestions before there are labels: is the right person among nine, where each is known by one tracklet?

    python -m benchmarks.first_suggestions simulated FOLDER   flights, truths, runs/, as labelling.py leaves them
    python -m benchmarks.first_suggestions market DATA/market1501_subset

Of Market-1501, query and gallery of the persons that no bundled network was trained on: a camera as a flight, the
crops of a person in it as a tracklet. Five times another tracklet of each person is the one that is known; at first
the longest. Compared are colours and the bundled network, each by cosines and under the metric that the
tracklets teach (annotate/suggestions/metric.py). Places on the ground are left out.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from annotate.log.state import State
from annotate.operations import Seen, flight_of
from annotate.records import APPEARANCE, EMBEDDINGS, read_tracklets
from annotate.suggestions import suggest
from annotate.suggestions.co_occurrence import CoOccurrence
from annotate.suggestions.features import Features, FlightFeatures, read_vectors
from annotate.suggestions.suggest import Suggester
from benchmarks.labelling import simulated_truths, who_is_where
from pipeline.engine.progress import progress_bar
from pipeline.labelling.suggestions import embed_flights
from pipeline.stages.appearance import describe
from reid.embedder import Embedder
from reid.weights import EMBEDDED

_DRAWS = 5
_RANKS = 1 << 16  # as in the keys of `FlightFeatures`
_SIZE = 8  # crops of a Market-1501 tracklet at most
Contents = dict[str, tuple[Seen, ...]]
Vectors = Mapping[str, tuple[list[int], NDArray[np.float32]]]  # flight -> keys, and a vector for each


def simulated(folder: Path) -> tuple[Contents, dict[str, int], dict[str, Vectors], CoOccurrence]:
    """The tracklets of a workspace, the person of each that shows one, vectors by kind, who is seen with whom."""
    workspace = folder / "runs"
    embed_flights(workspace, EMBEDDED, progress_bar)
    people = who_is_where(workspace, simulated_truths(folder))
    contents: Contents = {}
    persons: dict[str, int] = {}
    boxes = {}
    for flight, shown in people.items():
        for tracklet in read_tracklets(workspace, flight):
            name = f"{flight}/{tracklet.number}"
            contents[name] = tuple(Seen(each.frame, each.rank) for each in tracklet.detections)
            boxes |= {(flight, Seen(each.frame, each.rank)): each.box for each in tracklet.detections}
            crops = [seen for seen in contents[name] if seen in shown]
            counts = Counter(each for seen in crops for each in shown[seen]).most_common(1)
            if counts and 2 * counts[0][1] >= len(crops):
                persons[name] = counts[0][0]
    tables = {"colours": (APPEARANCE, "look"), "network": (EMBEDDINGS, "feature")}
    vectors = {
        kind: {flight: _vectors(workspace / flight / table, column) for flight in people}
        for kind, (table, column) in tables.items()
    }
    return contents, persons, vectors, CoOccurrence(lambda flight, seen: boxes[flight, seen])


def _vectors(table: Path, column: str) -> tuple[list[int], NDArray[np.float32]]:
    keys, vectors = read_vectors(table, column)
    return keys.tolist(), vectors.astype(np.float32)


def market(data: Path) -> tuple[Contents, dict[str, int], dict[str, Vectors], CoOccurrence]:
    """The same of Market-1501; nobody is seen together."""
    crops: dict[tuple[str, int], list[Path]] = defaultdict(list)
    for path in sorted([*data.glob("query/*.jpg"), *data.glob("bounding_box_test/*.jpg")]):
        person, camera = path.name.split("_")[0], path.name.split("_c")[1][0]
        if int(person) > 0:
            crops[f"c{camera}", int(person)].append(path)
    contents: Contents = {}
    persons: dict[str, int] = {}
    files: dict[str, list[Path]] = defaultdict(list)
    for number, ((camera, person), paths) in enumerate(sorted(crops.items())):
        chosen = np.linspace(0, len(paths) - 1, min(_SIZE, len(paths))).round().astype(int)
        contents[f"{camera}/{number}"] = tuple(Seen(_SIZE * number + at, 0) for at in range(len(chosen)))
        persons[f"{camera}/{number}"] = person
        files[camera] += [paths[at] for at in chosen]
    keys = {
        camera: [seen.frame * _RANKS for name in contents if flight_of(name) == camera for seen in contents[name]]
        for camera in files
    }
    embedder = Embedder.load(EMBEDDED, "cpu")
    vectors: dict[str, Vectors] = {
        "colours": {
            camera: (keys[camera], np.concatenate([_look(each) for each in files[camera]])) for camera in files
        },
        "network": {camera: (keys[camera], embedder.embed_files(files[camera])) for camera in files},
    }
    return contents, persons, vectors, CoOccurrence(lambda *_: (0.0, 0.0, 1.0, 1.0))


def _look(path: Path) -> NDArray[np.float32]:
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return describe(image, np.array([[0, 0, image.shape[1], image.shape[0]]], np.float32))


def right(
    contents: Contents, persons: Mapping[str, int], vectors: Vectors, together: CoOccurrence
) -> tuple[float, float, int]:
    """Shares of the tracklets whose person comes first, and is among the first nine; how many were asked."""
    flights = {}
    for flight, (keys, those) in vectors.items():
        order = np.argsort(keys)
        those = those / np.maximum(np.linalg.norm(those, axis=1, keepdims=True), 1e-9)
        flights[flight] = FlightFeatures(np.array(keys)[order], those[order].astype(np.float16))
    length = next(iter(flights.values())).vectors.shape[1]
    suggester = Suggester(Features(flights, length, "benchmark"), together, lambda flight, seen: None)
    places: list[int] = []
    for draw in range(_DRAWS):
        rng = np.random.default_rng(draw)
        names: dict[int, list[str]] = defaultdict(list)
        for name, person in persons.items():
            names[person].append(name)
        state = State()
        state.tracklets.update(contents)
        for person, those_of in names.items():
            longest = max(those_of, key=lambda name: len(contents[name]))
            state.members[person] = {str(rng.choice(those_of)) if draw else longest}
        for name, person in persons.items():
            if name not in state.members[person]:
                found = [each.identity for each in suggester.ranking(state, name).candidates]
                if person in found:  # else it is seen beside itself: a mixed tracklet
                    places.append(found.index(person))
    return float(np.mean(np.array(places) < 1)), float(np.mean(np.array(places) < 9)), len(places)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["simulated", "market"])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    read = {"simulated": simulated, "market": market}[arguments.what]
    contents, persons, every, together = read(arguments.folder)
    print(f"{len(contents)} tracklets, {len(set(persons.values()))} persons")
    fewest = suggest._FEWEST
    for kind, vectors in every.items():
        for how, needed in (("cosines", len(contents) + 1), ("metric", fewest)):
            suggest._FEWEST = needed
            first, nine, asked = right(contents, persons, vectors, together)
            print(f"{kind:8} {how:8} first {first:.3f}, among nine {nine:.3f} of {asked:,}")


if __name__ == "__main__":
    main()
