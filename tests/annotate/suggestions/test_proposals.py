"""Proposals on a crowd without a workspace: what is sure is proposed, what is not is not."""

import numpy as np
import pytest

from annotate.log.state import State
from annotate.operations import Mark, Seen
from annotate.suggestions.co_occurrence import CoOccurrence
from annotate.suggestions.features import Features, FlightFeatures
from annotate.suggestions.proposals import BOUND, propose
from annotate.suggestions.suggest import Suggester

PEOPLE, SIZE = 24, 32


@pytest.fixture
def crowd():
    return Crowd(noise=0.25)


class Crowd:
    """Flights f and g, one after the other: each person is in both, and all of a flight are seen together."""

    def __init__(self, noise):
        rng = np.random.default_rng(0)
        persons = rng.normal(size=(PEOPLE, SIZE)) / np.sqrt(SIZE)
        self.state, flights = State(), {}
        for flight in "fg":
            looks = persons + noise * rng.normal(size=(PEOPLE, SIZE)) / np.sqrt(SIZE)
            keys = np.array([frame << 16 | person for frame in range(12) for person in range(PEOPLE)], np.int64)
            looks /= np.linalg.norm(looks, axis=1, keepdims=True)
            flights[flight] = FlightFeatures(keys, np.tile(looks, (12, 1)).astype(np.float16))
            for person in range(PEOPLE):
                name = f"{flight}/{person}"
                self.state.tracklets[name] = tuple(Seen(frame, person) for frame in range(12))
                self.state.labels[name] = Mark.OPEN
        self.together = CoOccurrence(lambda _, seen: (50.0 * seen.rank, 0, 50.0 * seen.rank + 20, 40))
        self.suggester = Suggester(Features(flights, SIZE, "test"), self.together, lambda *_: None)
        self.decided = {}

    def label(self, name, label):
        self.state.labels[name] = label
        self.decided[name] = len(self.decided) + 1
        if isinstance(label, int):
            self.state.members.setdefault(label, set()).add(name)

    def proposals(self, likeness=0.95):
        names = [
            name
            for name, label in self.state.labels.items()
            if label is Mark.OPEN and name not in self.state.taken_out
        ]
        found = propose(
            self.state, names, self.decided.__getitem__, self.suggester, self.together, lambda name: likeness
        )
        assert [each.error for each in found] == sorted(each.error for each in found)
        assert all(0 <= each.error <= BOUND for each in found)
        self.errors = {each.tracklet: each.error for each in found}
        return {each.tracklet: each.answer for each in found}


def person_of(name):
    return int(name.split("/")[1]) + 1


def test_before_anybody_is_known_all_who_are_surely_persons_are_new(crowd):
    assert set(crowd.proposals().values()) == {"new"}
    assert crowd.proposals(likeness=0.5) == {}


def test_who_was_seen_together_with_all_known_people_is_new(crowd):
    for person in range(6):
        crowd.label(f"f/{person}", person + 1)
    found = crowd.proposals()
    assert all(found[f"f/{person}"] == "new" for person in range(6, PEOPLE))


def test_known_people_are_proposed_where_they_are_clear_and_nobody_twice_in_a_frame(crowd):
    for person in range(PEOPLE):
        crowd.label(f"f/{person}", person + 1)
    for person in range(4):
        crowd.label(f"g/{person}", person + 1)
    found = crowd.proposals()
    assert len(found) > 10
    assert all(answer == person_of(name) for name, answer in found.items())


def test_a_metric_of_chance_proposes_nobody_whom_it_knows():
    crowd = Crowd(noise=8.0)
    for person in range(PEOPLE):
        crowd.label(f"f/{person}", person + 1)
    for person in range(10):
        crowd.label(f"g/{person}", person + 1)
    found = crowd.proposals()
    assert sum(found[name] != person_of(name) for name in found) <= 1


def test_what_was_taken_out_makes_what_is_like_it_less_sure(crowd):
    for person in range(PEOPLE):
        crowd.label(f"f/{person}", person + 1)
    for person in range(12):  # some answers were right: of wrong ones alone nothing is learnt
        crowd.label(f"g/{person}", person + 1)
    answers, before = crowd.proposals(), crowd.errors
    for name in list(answers)[:2]:
        crowd.state.taken_out[name] = answers[name]
    left = crowd.proposals()
    assert 2 < len(left) <= len(answers) - 2
    assert np.mean([crowd.errors[name] for name in left]) > 1.05 * np.mean([before[name] for name in left])


def test_a_tracklet_of_two_people_is_not_proposed(crowd):
    both = crowd.suggester
    crowd.proposals()
    swapped = tuple(Seen(frame, 0 if frame < 6 else 1) for frame in range(12))
    crowd.state.tracklets["f/0"] = swapped
    both.follow(crowd.state)
    assert both.unity("f/0") < 0.7
    assert "f/0" not in crowd.proposals()
