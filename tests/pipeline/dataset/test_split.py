import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.models import DatasetConfig
from pipeline.dataset.split import divide


@st.composite
def labelled(draw):
    """Crops of up to 12 identities, junk and distractors in up to 4 flights, two tracklets each at most."""
    stays = draw(
        st.lists(
            st.tuples(
                st.integers(-1, 12), st.integers(1, 4), st.integers(0, 1), st.integers(0, 40), st.integers(1, 6)
            ),
            max_size=40,
            unique_by=lambda stay: stay[:3],
        )
    )
    rows = [
        {
            "identity": identity,
            "flight": f"f{flight}",
            "tracklet": f"f{flight}/{2 * identity + turn + 9}",
            "frame": frame,
        }
        for identity, flight, turn, first, count in stays
        for frame in range(first, first + count)
    ]
    crops = pd.DataFrame(rows, columns=["identity", "flight", "tracklet", "frame"])
    crops = crops.astype({"identity": int, "flight": str, "tracklet": str, "frame": int})
    return crops.assign(pts_s=crops["frame"] / 10, name=crops["tracklet"] + "_" + crops["frame"].astype(str))


def done(crops, protocol="flight", **fields):
    return divide(crops, crops["name"].tolist(), DatasetConfig(**fields), protocol)


def right_answers(crops, splits, query, protocol):
    """Written in loops: the gallery rows that `protocol` counts as right for row `query`."""
    place = "tracklet" if protocol == "tracklet" else "flight"
    asked = crops.loc[query]
    return [
        row
        for row in crops.index[splits == "gallery"]
        if crops.at[row, "identity"] == asked["identity"] and crops.at[row, place] != asked[place]
    ]


CONFIGS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 3),
        "train_share": st.sampled_from([0.0, 0.3, 0.5, 1.0]),
        "queries": st.integers(1, 3),
        "min_crops": st.integers(1, 5),
        "seen_once": st.sampled_from(["train", "leave_out"]),
        "gap_s": st.sampled_from([0.0, 0.5, 2.0]),
    }
)


@settings(deadline=None, max_examples=60)
@given(labelled(), CONFIGS, st.sampled_from(["flight", "tracklet", "strict"]))
def test_whatever_the_crops_the_rules_hold(crops, fields, protocol):
    division = done(crops, protocol, **fields)
    splits, identities = division.splits, crops["identity"].to_numpy()
    assert len(splits) == len(crops)
    assert (splits == "").sum() == division.left_out.total()
    assert (splits[identities < 1] == "gallery").all()
    train, test = set(identities[splits == "train"]), set(identities[np.isin(splits, ["query", "gallery"])])
    assert not train & (test - {-1, 0})
    sizes = crops.groupby("identity").size()
    assert all(sizes[identity] >= fields["min_crops"] for identity in (train | test) - {-1, 0})
    queries = crops[splits == "query"]
    assert (queries.groupby(["identity", "flight"]).size() <= fields["queries"]).all()
    assert set(queries["identity"]) == test - {-1, 0}
    for query, row in queries.iterrows():
        answers = crops.loc[right_answers(crops, splits, query, protocol)]
        assert len(answers)
        beside = answers[answers["flight"] == row["flight"]]
        assert ((beside["pts_s"] - row["pts_s"]).abs() >= fields["gap_s"]).all()


@settings(deadline=None, max_examples=20)
@given(labelled(), st.randoms(use_true_random=False))
def test_the_order_of_the_crops_does_not_matter(crops, random):
    shuffled = crops.sample(frac=1, random_state=random.randrange(2**31))
    splits = pd.Series(done(shuffled).splits, shuffled.index, dtype=object)
    assert splits.reindex(crops.index).tolist() == done(crops).splits.tolist()


def people(sizes, flights=2):
    """Identity n has sizes[n - 1] crops in each of `flights` flights."""
    rows = [
        {"identity": number, "flight": f"f{flight}", "tracklet": f"f{flight}/{number}", "frame": frame}
        for number, size in enumerate(sizes, start=1)
        for flight in range(flights)
        for frame in range(size)
    ]
    crops = pd.DataFrame(rows)
    return crops.assign(pts_s=crops["frame"] / 10, name=crops["tracklet"] + "_" + crops["frame"].astype(str))


def test_both_halves_are_alike():
    rng = np.random.default_rng(0)
    crops = people(rng.geometric(0.02, 101) + 2)
    division = done(crops)
    assert (division.identities["train"], division.identities["test"]) == (50, 51)
    half = crops["identity"].isin(crops.loc[division.splits == "train", "identity"])
    means = [crops[side].groupby("identity").size().mean() for side in (half, ~half)]
    assert means[0] == pytest.approx(means[1], rel=0.02)


def test_seeds_differ_and_repeat():
    crops = people([9] * 20)
    first, again, other = done(crops, seed=1), done(crops, seed=1), done(crops, seed=2)
    assert first.splits.tolist() == again.splits.tolist()
    assert first.splits.tolist() != other.splits.tolist()


def test_who_cannot_be_tested_is_learnt_from_or_left_out():
    twice, once = people([6, 6], flights=2), people([6, 6, 3], flights=1)
    once = once.assign(identity=once["identity"] + 2, tracklet=once["tracklet"] + "0", name=once["name"] + "x")
    crops = pd.concat([twice, once], ignore_index=True)
    learnt = done(crops)
    assert learnt.identities == {"train": 2, "test": 2, "few_crops": 1, "seen_once": 2}
    assert learnt.left_out == {"few_crops": 3, "seen_once": 0}
    left = done(crops, seen_once="leave_out")
    assert left.identities == {"train": 0, "test": 2, "few_crops": 1, "seen_once": 2}
    assert left.left_out == {"few_crops": 3, "seen_once": 12}


@pytest.mark.parametrize(
    ("persons", "share", "halves"),
    [(1, 0.5, (0, 1)), (2, 0.5, (0, 2)), (3, 0.5, (1, 2)), (4, 0.9, (2, 2)), (5, 0.1, (1, 4)), (3, 1.0, (3, 0))],
)
def test_two_identities_are_kept_for_the_test(persons, share, halves):
    identities = done(people([6] * persons), train_share=share).identities
    assert (identities["train"], identities["test"]) == halves


def test_a_query_keeps_away_from_the_persons_next_tracklet():
    # One flight; a tracklet of frames 0 to 19 was cut at 10, where the next begins.
    crops = people([20], flights=1)
    crops["tracklet"] = np.where(crops["frame"] < 10, "f0/1", "f0/2")
    divisions = [done(crops, "tracklet", seed=seed, train_share=0, gap_s=0.5) for seed in range(20)]
    frames = [crops.loc[division.splits == "query", "frame"].item() for division in divisions]
    assert all(frame <= 5 or frame >= 14 for frame in frames)
    assert len(set(frames)) > 5
