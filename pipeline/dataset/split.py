"""The train / query / gallery split. The paper does not define it; these rules are our choice."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config.models import DatasetConfig

TRAIN, QUERY, GALLERY = SPLITS = ("train", "query", "gallery")
_DRAWS = 1000
_LEAST_TESTED = 2  # identities: where there is one, every ranking of its crops is right


@dataclass(frozen=True, eq=False)
class Division:
    """The split of each crop.

    Attributes:
        splits: object (n,), one of `SPLITS`; "" where it is left out.
        left_out: crops left out, by reason.
        identities: number of identities by outcome: train, test, few_crops, seen_once.

    """

    splits: NDArray[np.object_]
    left_out: Counter[str]
    identities: dict[str, int]


def divide(crops: pd.DataFrame, names: Sequence[str], config: DatasetConfig, protocol: str) -> Division:
    """Divide `crops` into a training half and a test half without common identities, and choose the queries.

    Junk and distractors are in the gallery. A test identity gives up to `config.queries` queries a flight, so that
    each has a right answer in the gallery under `protocol`. Identities that cannot be tested so are `seen_once`.

    Args:
        crops: with the columns identity, flight, tracklet and pts_s.
        names: of the crops, all different. The random draw of a crop depends on its name only, not on other crops.
        config: the rules.
        protocol: of `reid.evaluation.protocols`; all but "tracklet" ignore the query's person in its own flight.

    """
    identities = crops["identity"].to_numpy()
    chance = _chance(names, config.seed)
    person = identities > 0
    few = person & (crops.groupby("identity")["identity"].transform("size").to_numpy() < config.min_crops)
    possible = person & ~few & _possible_queries(crops, chance, protocol, config.gap_s)
    testable = np.unique(identities[possible])
    training = _training_half(crops, testable, config)
    once = person & ~few & ~np.isin(identities, testable)
    train = np.isin(identities, training) | (once if config.seen_once == "train" else False)
    query = _first(crops, chance, possible & ~train, ["identity", "flight"], config.queries)
    gallery = ~(train | query | few | once)
    left_out = {"few_crops": few, "seen_once": once & ~train}
    fates = {"train": train, "test": gallery & person, "few_crops": few, "seen_once": once}
    return Division(
        np.select([train, query, gallery], [np.array(split, object) for split in SPLITS], np.array("", object)),
        Counter({reason: int(rows.sum()) for reason, rows in left_out.items()}),
        {fate: len(np.unique(identities[rows])) for fate, rows in fates.items()},
    )


def _chance(names: Sequence[str], seed: int) -> NDArray[np.uint64]:
    """A pseudo-random number for each name, which depends on the name and the seed only."""
    digests = (hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


def _first(
    crops: pd.DataFrame, chance: NDArray[np.uint64], rows: NDArray[np.bool_], group: list[str], count: int
) -> NDArray[np.bool_]:
    """Of `rows`, the `count` with the lowest numbers of `chance` in each group."""
    order = np.argsort(chance, kind="stable")
    order = order[rows[order]]
    place = crops.iloc[order].groupby(group).cumcount().to_numpy()
    found = np.zeros(len(crops), np.bool_)
    found[order[place < count]] = True
    return found


def _possible_queries(
    crops: pd.DataFrame, chance: NDArray[np.uint64], protocol: str, gap_s: float
) -> NDArray[np.bool_]:
    """Which crops can be queries: a right answer stays in the gallery, and none of them is a neighbouring frame."""
    unit = "tracklet" if protocol == "tracklet" else "flight"  # within which nothing is a right answer
    stays = _first(crops, chance, np.ones(len(crops), np.bool_), ["identity", unit], 1)
    several = crops.groupby("identity")[unit].transform("nunique").to_numpy() > 1
    possible = several & ~stays
    if unit == "tracklet":
        possible &= _seconds_to_other_tracklets(crops) >= gap_s
    return np.asarray(possible)


def _seconds_to_other_tracklets(crops: pd.DataFrame) -> NDArray[np.float64]:
    """From each crop to the nearest one of the same identity and flight, but another tracklet; infinite without."""
    ordered = crops.sort_values(["identity", "flight", "pts_s"], kind="stable")
    place = [ordered["identity"], ordered["flight"]]
    nearest = np.full(len(ordered), np.inf)
    for step in (1, -1):
        beside = ordered.groupby(["identity", "flight"])[["tracklet", "pts_s"]].shift(step)
        other = beside["pts_s"].where(beside["tracklet"] != ordered["tracklet"]).groupby(place)
        time = other.ffill() if step == 1 else other.bfill()
        nearest = np.fmin(nearest, (ordered["pts_s"] - time).abs().to_numpy())
    return pd.Series(nearest, ordered.index).reindex(crops.index).to_numpy()


def _training_half(crops: pd.DataFrame, identities: NDArray[np.int64], config: DatasetConfig) -> NDArray[np.int64]:
    """The training half of `identities`: of many draws the one whose halves match best.

    They are compared by the mean number of crops and of flights per identity. Source: Morgan and Rubin,
    "Rerandomization to improve covariate balance in experiments", Annals of Statistics 2012.
    """
    count = round(len(identities) * config.train_share)
    if 0 < config.train_share < 1:
        count = min(max(count, 1), max(len(identities) - _LEAST_TESTED, 0))
    if not 0 < count < len(identities):
        return identities[:count]
    each = crops.groupby("identity").agg(crops=("frame", "size"), flights=("flight", "nunique"))
    sizes = each.loc[identities].to_numpy(np.float64)
    sizes = (sizes - sizes.mean(axis=0)) / np.maximum(sizes.std(axis=0), 1e-12)
    rng = np.random.default_rng(config.seed)
    draws = np.array([rng.permutation(len(identities))[:count] for _ in range(_DRAWS)])
    best = np.linalg.norm(sizes[draws].mean(axis=1), axis=1).argmin()
    return np.sort(identities[draws[best]])
