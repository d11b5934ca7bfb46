from dataclasses import replace

import numpy as np
import pytest

from reid.errors import ReidError
from reid.evaluation.comparison import Measured, check_alike, compare
from reid.evaluation.data_hash import data_hashes
from reid.evaluation.intervals import DRAWS, SEED, QueryFigures
from reid.evaluation.protocols import PROTOCOLS, Candidates
from reid.records import Samples

SETTINGS = {"protocol": "market", "ap": "step", "rerank": False, "metric": "euclidean", "repeats": 10, "seed": 0}


def measured(name, precision, identities, **changes):
    first_hit = np.where(np.array(precision) > 0.5, 1, 3)
    queries = QueryFigures(np.array(identities), np.array(precision), np.array(precision), first_hit)
    data = {"labels_sha256": "a", "images_sha256": "b"} | changes.pop("data", {})
    return Measured(
        name, SETTINGS | changes, data, {"mAP": float(np.mean(precision))}, {"mAP": (0.1, 0.9)}, queries
    )


def test_intervals_of_differences_draw_the_same_persons_for_both():
    rng = np.random.default_rng(0)
    identities, one = rng.integers(1, 8, 40), rng.random(40)
    other = np.clip(one + rng.normal(0.05, 0.02, 40), 0, 1)
    first, second = compare([measured("a", one, identities), measured("b", other, identities)])
    assert (first.difference, first.paired, first.is_clear) == (None, None, False)
    persons = np.unique(identities)
    draws = np.random.default_rng(SEED).multinomial(len(persons), np.full(len(persons), 1 / len(persons)), DRAWS)
    changes = [np.repeat(other - one, draw[np.searchsorted(persons, identities)]).mean() for draw in draws]
    assert second.difference == pytest.approx(np.mean(other - one))
    assert second.paired == pytest.approx(tuple(np.percentile(changes, [2.5, 97.5])))
    assert second.is_clear
    assert second.paired[1] - second.paired[0] < 0.1 < second.interval[1] - second.interval[0]


@pytest.mark.parametrize(
    ("changes", "differing"),
    [
        ({"protocol": "strict"}, r"protocol \(market, strict\);"),
        ({"ap": "trapezoid"}, r"form of average precision \(step, trapezoid\);"),
        ({"rerank": True}, r"re-ranking \(False, True\);"),
        ({"data": {"images_sha256": "c"}}, "images of the data;"),
        (
            {"data": {"labels_sha256": "c"}, "ap": "trapezoid"},
            r"precision \(step, trapezoid\), labels of the data;",
        ),
    ],
)
def test_what_is_unlike_is_named(changes, differing):
    with pytest.raises(ReidError, match=f"a and b cannot be compared: they differ in .*{differing}"):
        check_alike(measured("a", [0.4], [1]), measured("b", [0.4], [1], **changes))


def test_another_seed_or_metric_or_features_without_images_are_compared():
    one = measured("a", [0.4, 0.8], [1, 2])
    other = measured("b", [0.6, 0.9], [1, 2], seed=3, metric="cosine")
    check_alike(one, replace(other, data={"labels_sha256": "a"}))
    single = measured("a", [0.4], [1], protocol="single-shot")
    with pytest.raises(ReidError, match=r"differ in seed \(0, 3\)"):
        check_alike(single, measured("b", [0.4], [1], protocol="single-shot", seed=3))
    with pytest.raises(ReidError, match="b: an earlier version evaluated it"):
        check_alike(one, replace(other, data={}))


def samples(identities, cameras, tracklets, paths=()):
    return Samples(*(np.array(each, np.int64) for each in (identities, cameras, tracklets)), tuple(paths))


def test_hashes_see_what_the_protocol_sees(tmp_path):
    def hashed(cameras=(1, 2, 2), tracklets=(0, 1, 2), identities=(1, 1, 2), protocol="market", content=b"x"):
        files = [tmp_path / str(number) for number in range(3)]
        for file in files:
            file.write_bytes(content)
        query, gallery = (
            samples(identities[part], cameras[part], tracklets[part], files[part])
            for part in (slice(1), slice(1, 3))
        )
        return data_hashes(Candidates(query, gallery, PROTOCOLS[protocol]))

    whole = hashed()
    assert hashed(cameras=(4, 3, 3), tracklets=(5, 5, 6)) == whole
    assert hashed(cameras=(1, 2, 1))["labels_sha256"] != whole["labels_sha256"]
    assert hashed(identities=(1, 1, 3))["labels_sha256"] != whole["labels_sha256"]
    assert hashed(cameras=(1, 2, 1), protocol="tracklet") == hashed(protocol="tracklet")
    assert hashed(tracklets=(0, 1, 1), protocol="tracklet") != hashed(protocol="tracklet")
    changed = hashed(content=b"y")
    assert changed["images_sha256"] != whole["images_sha256"]
    assert changed["labels_sha256"] == whole["labels_sha256"]
