"""Labelling simulated flights with one cast, or real ones: how many decisions a hand needs that knows the truth.

python benchmarks/labelling.py [--folder bench] [--people 101] [--flights 4] [--seconds 24] [--one-by-one]
python benchmarks/labelling.py --workspace runs --truth truth.csv

The flights are simulated, detected with the embedded model and tracked, once; then `uavpipe label` is started and
asked over HTTP as its page asks it. The hand answers like a careful labeller: it splits a tracklet where the person
changes, takes the right identity among those suggested, asks for more where it is not among them, and makes a new
one for whom it has not seen. A request for more is counted as a decision, and so is a second look. Beside it: each
tracklet compared with the identities one after the other, in the order in which they were made, a decision each.

It also answers the batches, after each answer as long as there are some; not with --one-by-one. It judges each row
by the crops that it shows, and takes out what is not of the proposed person, or seems to be of two. Each row that
it takes out is a decision, as the confirmation of the others is; so is its answer to that row in the queue.

Pairs looked at: rows of batches that show a person beside the tracklet, and in the queue the people before the
right one and that one, or all that were shown.

Flights that are not simulated are tracked beforehand, in the workspace. The truth is a table of the boxes of all
persons who are to be labelled, with the columns flight, frame, x1, y1, x2, y2 (pixels) and person (a number from 0,
the same in all flights). A box that is in no row of it shows nobody.
"""

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from annotate.log.store import LABELS, LabelStore
from annotate.operations import Seen, flight_of
from annotate.records import flights_with_tracklets, read_tracklets
from pipeline.boxes import iou
from pipeline.groundtruth.read import NOBODY, Truth, read_truth

_ON = 0.3  # IoU from which a crop shows a person: half of one behind a bush is still that one
_LOOSE = 0.1  # from which a person is at all in a box that is too large or too small
_GLANCE = 5  # crops on nobody in a row that a hand would not let pass
Truths = Mapping[str, Mapping[int, Truth]]  # flight -> frame -> the persons there
People = dict[str, dict[Seen, frozenset[int]]]  # flight -> detection -> the persons that its box is on


def fly(folder: Path, flights: int, people: int, seconds: float) -> None:
    """Simulate and track what is not there yet."""
    for number in range(1, flights + 1):
        video = folder / f"flight{number}.mp4"
        if not video.with_suffix(".gt.txt").exists():
            options = {"people": people, "seconds": seconds, "fps": 10, "seed": 700 + number, "cast": 77}
            _uavpipe("simulate", video, *(f"--{name}={value}" for name, value in options.items()))
        _uavpipe("tracks", video, "--workspace", folder / "runs", "--set", "detector.weights=embedded")


def simulated_truths(folder: Path) -> Truths:
    """The persons of the simulated flights in `folder`, whose workspace is `folder`/runs."""
    return {each: read_truth(folder / f"{each}.gt.txt") for each in flights_with_tracklets(folder / "runs")}


def read_table(path: Path) -> Truths:
    """The persons of real flights: a row is a box."""
    found: dict[str, dict[int, Truth]] = defaultdict(dict)
    for (flight, frame), rows in pd.read_csv(path, dtype={"flight": str}).groupby(["flight", "frame"]):
        boxes = rows[["x1", "y1", "x2", "y2"]].to_numpy(np.float64)
        found[str(flight)][int(str(frame))] = Truth(
            boxes, np.ones(len(rows), np.bool_), rows["person"].to_numpy(np.int64)
        )
    return found


def who_is_where(workspace: Path, truths: Truths, least: float = _ON) -> People:
    """The truth about every detection that has a crop: the persons whom its box covers to an IoU of `least`."""
    found: People = {}
    for flight in flights_with_tracklets(workspace):
        found[flight] = {}
        for tracklet in read_tracklets(workspace, flight):
            for each in tracklet.detections:
                if each.crop is not None:
                    there = truths[flight].get(each.frame, NOBODY)
                    overlaps = iou(np.array([each.box]), there.boxes)[0]
                    persons = frozenset(there.identities[overlaps >= least].tolist())
                    found[flight][Seen(each.frame, each.rank)] = persons
    return found


class Hand:
    """Answers what the app asks, from the truth."""

    def __init__(self, address: str, people: People, at_once: bool) -> None:
        self.people, self.counts, self.took = people, Counter[str](), list[float]()
        self._address, self._known = address, dict[int, int]()  # person -> identity
        self._at_once, self.pairs = at_once, 0
        self.rows, self.wrong = Counter[str](), Counter[str]()  # of the batches, by what was proposed

    def label_all(self) -> None:
        """Until nothing is left."""
        self._answer_batches()
        item = self._post("next")["item"]
        while item is not None:
            item = self._decide(item)
            if self._answer_batches():
                item = self._post("next")["item"]

    def _answer_batches(self) -> bool:
        """As long as there are some; whether there were."""
        asked = False
        while self._at_once and (answer := self._post("batch"))["rows"]:
            self._answer_batch(answer["rows"], answer["seen"])
            asked = True
        return asked

    def _answer_batch(self, rows: list[dict[str, Any]], seen: int) -> None:
        answers, out, new = list[tuple[str, Any]](), list[tuple[str, Any]](), list[int | None]()
        for row in rows:
            kind = row["answer"] if isinstance(row["answer"], str) else "same"
            self.rows[kind] += 1
            self.pairs += row["person"] is not None
            person, answer = self._judge(self._persons(row["flight"], row["crops"]))
            if row["answer"] != answer or (answer == "new" and person in new):
                out.append((row["tracklet"], row["answer"]))
                self.wrong[kind] += 1
            else:
                answers.append((row["tracklet"], answer))
                new += [person] if answer == "new" else []
        self.counts["batch"] += 1
        self.counts["taken out of a batch"] += len(out) if answers else 0  # all of them by one key
        done = self._send({"op": "answer_batch", "answers": answers, "taken_out": out}, seen)
        self._known |= {person: done["created"] + place for place, person in enumerate(new) if person is not None}

    def _judge(self, persons: list[frozenset[int]]) -> tuple[int | None, int | str]:
        """Whom the crops show, and the answer to a row that shows them; "several" is never proposed."""
        person = _shown_person(persons)
        if person is None:
            return None, "junk"
        several = any(those and person not in those for those in persons)
        return person, "several" if several else self._known.get(person, "new")

    def _persons(self, flight: str, crops: list[dict[str, Any]]) -> list[frozenset[int]]:
        return [self.people[flight][Seen(crop["frame"], crop["rank"])] for crop in crops]

    def _decide(self, item: dict[str, Any]) -> dict[str, Any] | None:
        crops = self._get(f"tracklets/{item['tracklet']}")["crops"]
        persons = self._persons(item["flight"], crops)
        person = _shown_person(persons)
        if person is None:
            operation = {"op": "mark", "tracklets": [item["tracklet"]], "mark": "junk"}
            return self._answer(item, "junk", operation, said="junk")
        at = _change(persons, person)
        if at is not None and not item["second_look"]:
            operation = {"op": "split", "tracklet": item["tracklet"], "frame": crops[at]["frame"]}
            return self._answer(item, "split", operation)
        identity = self._known.get(person)
        if identity is None:
            self.pairs += len(item["candidates"])
            return self._answer(item, "new", {"op": "new_identity", "tracklets": [item["tracklet"]]}, person)
        self._look_for(identity, item)
        operation = {"op": "assign", "tracklets": [item["tracklet"]], "identity": identity}
        return self._answer(item, "same", operation, said=identity)

    def _look_for(self, identity: int, item: dict[str, Any]) -> None:
        """Ask for more people until the right one is among them, or there are no more."""
        people = item
        shown, offset = [*item["candidates"], *item["excluded"]], 0
        while all(each["identity"] != identity for each in shown) and offset + len(shown) < item["total"]:
            offset += len(people["candidates"]) or len(people["excluded"])
            people = self._post("candidates", tracklet=item["tracklet"], offset=offset)
            shown = people["candidates"]
            self.counts["more"] += 1
        places = [place for place, each in enumerate(shown, start=1) if each["identity"] == identity]
        self.pairs += offset + (places[0] if places else len(shown))
        if not places:
            self.counts["found in the gallery"] += 1

    def _answer(
        self, item: dict[str, Any], what: str, operation: dict[str, Any], person: int = 0, said: int | str = "new"
    ) -> Any:
        if item["second_look"]:
            what, operation = "second look", {"op": "second_look", "tracklet": item["tracklet"], "answer": said}
        self.counts[what] += 1
        done = self._send(operation, item["seen"])
        if what == "new":
            self._known[person] = done["created"]
        return done["item"]

    def _send(self, operation: dict[str, Any], seen: int) -> Any:
        begin = time.perf_counter()
        done = self._post("decide", id=f"hand{self.counts.total()}", operation=operation, seen=seen, next=True)
        self.took.append(1e3 * (time.perf_counter() - begin))
        return done

    def _post(self, path: str, **content: Any) -> Any:
        body = json.dumps({"user": "hand", **content}).encode()
        return self._ask(
            urllib.request.Request(f"{self._address}api/{path}", body, {"content-type": "application/json"})
        )

    def _get(self, path: str) -> Any:
        return self._ask(urllib.request.Request(f"{self._address}api/{path}"))

    @staticmethod
    def _ask(request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


def _shown_person(persons: list[frozenset[int]]) -> int | None:
    """The person whom most crops show; None where fewer than half of them show one."""
    counts = Counter(each for those in persons for each in those).most_common(1)
    return counts[0][0] if counts and 2 * counts[0][1] >= len(persons) else None


def _change(persons: list[frozenset[int]], person: int) -> int | None:
    """Where a tracklet begins or ceases to show `person`; None where it shows nobody else."""
    place = 0
    for shown, run in groupby(
        persons, key=lambda those: "right" if person in those else "other" if those else "nobody"
    ):
        length = len(list(run))
        if shown == "other" or (shown == "nobody" and length >= _GLANCE):
            return place or length
        place += length
    return None


@contextmanager
def serving(workspace: Path) -> Iterator[str]:
    """`uavpipe label` as a process of its own; gives its address."""
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "label",
        "--workspace",
        workspace,
        "--port",
        "0",
        "--no-token",
        "--no-browser",
        "--no-suggest",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        match = re.search(r"http://\S+", process.stdout.readline())
        try:
            assert match is not None
            yield match.group()
        finally:
            process.terminate()


def purity(workspace: Path, people: People, loosely: People) -> tuple[float, float, int, int]:
    """Shares of the identities' crops that show their person, and that show it or, well enough, nobody at all.

    Also how many crops there are, and how many identities.
    """
    with LabelStore(workspace / LABELS, write=False) as store:
        state = store.state
        right = loose = total = 0
        for members in state.members.values():
            crops = [(flight_of(name), seen) for name in members for seen in state.tracklets[name]]
            crops = [(flight, seen) for flight, seen in crops if seen in people[flight]]
            shown = Counter(each for flight, seen in crops for each in people[flight][seen])
            ((person, count),) = shown.most_common(1)
            right += count
            loose += sum(not people[flight][seen] and person in loosely[flight][seen] for flight, seen in crops)
            total += len(crops)
        return right / total, (right + loose) / total, total, len(state.members)


def one_by_one(workspace: Path, people: People) -> float:
    """Decisions a tracklet, where each is compared with the identities in the order in which they were made."""
    decisions = tracklets = 0
    made: list[int] = []
    for flight in flights_with_tracklets(workspace):
        for tracklet in read_tracklets(workspace, flight):
            seen = [people[flight].get(Seen(each.frame, each.rank), frozenset()) for each in tracklet.detections]
            persons = Counter(each for those in seen for each in those)
            if not any(each.crop for each in tracklet.detections):
                continue
            tracklets += 1
            person = persons.most_common(1)[0][0] if persons else None
            decisions += made.index(person) + 1 if person in made else len(made) + 1
            if person is not None and person not in made:
                made.append(person)
    return decisions / tracklets


def _uavpipe(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "pipeline", *map(str, arguments)], check=True)


def prepare(arguments: argparse.Namespace) -> tuple[Path, Truths]:
    """The workspace, with its flights tracked and nothing labelled, and the truth about them."""
    if arguments.workspace is not None:
        workspace, truths = arguments.workspace, read_table(arguments.truth)
    else:
        folder, workspace = arguments.folder, arguments.folder / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.flights:
            fly(folder, arguments.flights, arguments.people, arguments.seconds)
        truths = simulated_truths(folder)
    for old in workspace.glob(f"{LABELS}*"):
        old.unlink()
    if arguments.colours:
        for old in workspace.glob("*/embeddings"):
            shutil.rmtree(old)
    else:
        _uavpipe("annotate", "embed", "--workspace", workspace)
    return workspace, truths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("bench"))
    parser.add_argument("--flights", type=int, default=4, help="0: take the flights and truths that are in FOLDER")
    parser.add_argument("--people", type=int, default=101)
    parser.add_argument("--seconds", type=float, default=24.0)
    parser.add_argument("--colours", action="store_true", help="Suggest by colours, not by the embedded network.")
    parser.add_argument("--one-by-one", action="store_true", help="Answer no batches.")
    parser.add_argument("--workspace", type=Path, help="Label the flights tracked there; its labels are deleted.")
    parser.add_argument("--truth", type=Path, help="The table of the persons in these flights.")
    arguments = parser.parse_args()
    if (arguments.workspace is None) != (arguments.truth is None):
        parser.error("give --workspace and --truth together, or neither")
    workspace, truths = prepare(arguments)
    people = who_is_where(workspace, truths)
    with serving(workspace) as address:
        hand = Hand(address, people, at_once=not arguments.one_by_one)
        waiting = hand._get("progress")["tracklets"]
        hand.label_all()
        left = hand._get("findings")["total"]
    share, loosely, crops, identities = purity(workspace, people, who_is_where(workspace, truths, _LOOSE))
    persons = len({each for those in people.values() for seen in those.values() for each in seen})
    print(f"{waiting} tracklets, {crops:,} crops labelled, {identities} identities, {persons} persons seen")
    print(f"purity {loosely:.5f}; {share:.4f} where a box must fit its person to an IoU of {_ON}")
    print(f"{left} findings in the checks at the end")
    print(
        f"{hand.counts.total()} decisions, {hand.counts.total() / waiting:.2f} a tracklet: "
        + ", ".join(f"{n} {what}" for what, n in hand.counts.items())
    )
    rows = ", ".join(f"{n} {kind} ({hand.wrong[kind]} wrong)" for kind, n in hand.rows.items())
    print(
        f"rows of batches: {rows or 'none'}; {hand.pairs:,} pairs looked at, {hand.pairs / waiting:.2f} a tracklet"
    )
    print(f"one by one: {one_by_one(workspace, people):.1f} decisions a tracklet")
    late = sorted(hand.took)[int(0.95 * len(hand.took))]
    print(f"answered in {statistics.median(hand.took):.0f} ms, 95 % within {late:.0f} ms")


if __name__ == "__main__":
    main()
