import re
from xml.etree import ElementTree

import pandas as pd
import pytest

from pipeline.dataset.page import page
from pipeline.dataset.statistics import doubt_of_split, statistics

LEAKS = {"flight": {"queries": 1, "right_answers": 2, "own_tracklet": 0, "neighbours": 0}}
FATES = {"train": 1, "test": 1, "few_crops": 1, "seen_once": 0}
CHANCE = {"mAP": 0.4, "rank-1": 0.3}


def crops(flight="f1"):
    rows = [
        ("train", 1, 1, "t1", 40.0),
        ("train", 1, 1, "t1", 50.0),
        ("query", 2, 1, "t2", 60.0),
        ("gallery", 2, 2, "t3", 70.0),
        ("gallery", -1, 2, "t4", 80.0),
        ("gallery", 0, 2, "t5", 90.0),
    ]
    return pd.DataFrame(rows, columns=["split", "identity", "camera", "tracklet", "height"]).assign(flight=flight)


def figures(table):
    return statistics(table, {"open": 3, "skipped": 0}, FATES, LEAKS, CHANCE, "flight")


def test_the_figures_are_those_counted_by_hand():
    found = figures(crops())
    assert found["splits"] == {
        "train": {"crops": 2, "identities": 1, "flights": 1, "tracklets": 1, "junk": 0, "distractors": 0},
        "query": {"crops": 1, "identities": 1, "flights": 1, "tracklets": 1, "junk": 0, "distractors": 0},
        "gallery": {"crops": 3, "identities": 1, "flights": 1, "tracklets": 3, "junk": 1, "distractors": 1},
    }
    assert found["left_out"] == {"open": 3}
    assert found["crops_per_identity"] == {"min": 2, "median": 2, "mean": 2, "max": 2}
    assert found["flights_per_identity"] == {"min": 1, "median": 1.5, "mean": 1.5, "max": 2}
    assert found["height_px"] == {"min": 40, "median": 65, "mean": 65, "max": 90}
    assert [(flight["number"], flight["crops"], flight["identities"]) for flight in found["flights"]] == [
        (1, 3, 2),
        (2, 3, 1),
    ]


def test_the_page_needs_nothing_beside_it():
    table = crops()
    text = page(table, figures(table))
    assert text == page(table, figures(table))
    assert not re.search(r'(src|href)="(?!#)', text.replace('xlink:href="#', 'xlink:href="#'))
    drawings = re.findall(r"<svg.*?</svg>", text, flags=re.S)
    assert len(drawings) == 4
    for drawing in drawings:
        ElementTree.fromstring(drawing)


def test_names_of_flights_are_text():
    table = crops("<script>alert(1)</script>")
    assert "<script" not in page(table, figures(table))
    assert "&lt;script&gt;" in page(table, figures(table))


def test_a_set_without_persons_to_test_has_a_page():
    table = crops()[:2]
    assert "2 crops" in page(table, statistics(table, {}, {**FATES, "test": 0}, {}, {}, "flight"))


@pytest.mark.parametrize(
    ("chance", "tested", "doubt"),
    [
        ({"mAP": 1.0, "rank-1": 1.0}, 1, "no evaluation is possible"),
        (CHANCE, 1, "one test identity"),
        (CHANCE, 2, ""),
        ({}, 1, "one test identity"),  # of an earlier version
        ({}, 0, ""),  # no queries: said elsewhere
    ],
)
def test_a_split_that_tells_nothing_is_told(chance, tested, doubt):
    table = crops()
    found = statistics(table, {}, {**FATES, "test": tested}, {}, chance, "flight")
    text = doubt_of_split(found)
    assert bool(text) == bool(doubt)
    assert doubt in text
    assert ("Random features get an mAP of" in page(table, found)) == bool(chance)
    assert text in page(table, found)
