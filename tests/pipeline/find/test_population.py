"""How many different people: against an enumeration of all divisions, and on casts whose number is known."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from pipeline.find import population
from pipeline.find.calibration import Calibration, probability
from pipeline.find.gallery import unit
from pipeline.find.people import apart_in_frames
from pipeline.find.population import OPEN, Decided, count_people


def divisions(n):
    """All divisions of n tracklets; -1 is nobody."""
    found = [()]
    for _ in range(n):
        found = [(*each, group) for each in found for group in range(-1, max(each, default=-1) + 2)]
    return found


def posterior(alike, junk=1 / 14):
    """The probability of each number of people, by the formulae of the module, one division after the other."""
    n, weights = len(alike), Counter()
    for division in divisions(n):
        groups = [[i for i in range(n) if division[i] == group] for group in range(max(division) + 1)]
        m, k = sum(map(len, groups)), len(groups)
        weight = junk ** (n - m) * (1 - junk) ** m
        for group in groups:
            pairs = sum(alike[i, j] for i in group for j in group if i < j)
            weight *= np.exp(2 * pairs / len(group))
        if m:
            alike_long = sum(len({*each} - {-1}) == k and -1 not in each for each in divisions(m))
            weight /= m * alike_long
        weights[k] += weight
    total = sum(weights.values())
    return {k: weight / total for k, weight in weights.items()}


def test_the_draws_have_the_posterior_of_all_divisions(monkeypatch):
    monkeypatch.setattr(population, "_DOUBT", 0.0)
    monkeypatch.setattr(population, "_JUNK", 1e9 / 14)  # so many that five tracklets do not move the share
    monkeypatch.setattr(population, "_PERSONS", 13e9 / 14)
    half = np.triu(np.random.default_rng(1).normal(0.3, 1.2, (5, 5)), 1)
    alike = half + half.T
    known = Decided(alike, np.full(5, OPEN), np.zeros((5, 5), bool))
    chains = population._Chains(known, np.random.default_rng(0))
    drawn = Counter()
    for _ in range(400):
        chains.sweep()
        drawn.update(chains.people.tolist())
    for k, share in posterior(alike).items():
        assert drawn[k] / drawn.total() == pytest.approx(share, abs=0.03), k


def test_when_all_is_decided_the_number_is_known():
    found = count_people(Decided(np.zeros((4, 4)), np.array([7, 7, 3, 5]), np.zeros((4, 4), bool)))
    assert (found.low, found.people, found.high) == (3, 3, 3)
    nothing = count_people(Decided(np.zeros((0, 0)), np.zeros(0, np.int64), np.zeros((0, 0), bool)))
    assert (nothing.low, nothing.high) == (0, 0)


def test_who_is_apart_is_never_one_person(monkeypatch):
    monkeypatch.setattr(population, "_JUNK", 1e-2)
    alike = np.full((6, 6), 20.0)
    apart = ~np.eye(6, dtype=bool)
    assert count_people(Decided(alike, np.full(6, OPEN), ~apart & False)).high == 1
    found = count_people(Decided(alike, np.full(6, OPEN), apart))
    assert (found.low, found.high) == (6, 6)


def cast(seed, people=10, seen=3, dimensions=40):
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), seen)
    share = rng.beta(5.6, 2.0, (len(who), 1))
    own, noise = rng.normal(size=(people, dimensions))[who], rng.normal(size=(len(who), dimensions))
    features = unit(np.sqrt(share) * own + np.sqrt(1 - share) * noise)
    return features @ features.T, who


def test_the_interval_holds_the_number_and_narrows_with_decisions():
    """Six casts; benchmarks/people.py has fifty, and real persons."""
    calibration = Calibration("", -2.96, 2.21, 0.0, 0.16, (0.0,), 20, 20, 20, "")
    held, widths = [], []
    for seed in range(6):
        similar, who = cast(seed)
        order, alike = np.random.default_rng(seed).permutation(len(who)), calibration.alike(similar)
        rows = []
        for decided in (0, 15, 30):
            people = np.full(len(who), OPEN)
            people[order[:decided]] = who[order[:decided]]
            found = count_people(Decided(alike, people, np.zeros(alike.shape, bool)))
            held.append(found.low <= 10 <= found.high)
            rows.append(found.high - found.low)
        widths.append(rows)
    begin, half, end = np.mean(widths, axis=0)
    assert begin > half > end == 0
    assert begin < 10
    assert np.mean(held) >= 0.85


def test_log_odds_of_a_pair_are_those_of_the_search_that_it_was_calibrated_in():
    """Among n tracklets, one is right in half of the searches: Bayes' rule by hand."""
    calibration = Calibration("", -2.0, 3.0, 0.1, 0.2, (0.0,), 20, 20, 20, "")
    n, s = 1000, 0.7
    odds = -2.0 + 3.0 * (s - 0.1) / 0.2 - np.log(n)  # of `log_odds`, where many tracklets give mean and spread
    before = 0.5 / n
    after = before * np.exp(calibration.alike(np.array(s)))
    assert after / (1 + after) == pytest.approx(probability(np.array(odds)))


def test_tracklets_in_one_frame_are_apart_unless_they_overlap():
    rows = pd.DataFrame({"number": [4, 5, 7, 4, 5, 9], "frame": [0, 0, 0, 1, 1, 2], "rank": [0, 1, 2, 0, 1, 0]})
    boxes = pd.DataFrame({"frame": [0, 0, 0, 1, 1, 2], "rank": [0, 1, 2, 0, 1, 0]})
    x1 = np.array([0, 2, 50, 0, 3, 0])  # 4 and 5 are on each other: one person, detected twice
    boxes = boxes.assign(x1=x1, y1=0, x2=x1 + 10, y2=20)
    found = apart_in_frames(rows, boxes, [4, 5, 7, 9])
    assert np.argwhere(found).tolist() == [[0, 2], [1, 2], [2, 0], [2, 1]]
