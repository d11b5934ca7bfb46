"""A data set in figures."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.dataset.labelled import DISTRACTOR, JUNK
from pipeline.dataset.split import SPLITS

_ALWAYS_RIGHT = 1 - 1e-9  # figures are sums of fractions


def statistics(
    crops: pd.DataFrame,
    left_out: Mapping[str, int],
    identities: Mapping[str, int],
    leaks: Mapping[str, dict[str, Any]],
    chance: Mapping[str, float],
    protocol: str,
) -> dict[str, Any]:
    """The content of `statistics.json`: plain numbers and texts.

    Args:
        crops: of the data set, with the columns split, identity, camera, flight, tracklet and height.
        left_out: labelled and other crops that are not in it, by reason.
        identities: how many identities what befell.
        leaks: as `check_leaks` gives it.
        chance: the figures of random features on the split; empty where nothing can be evaluated.
        protocol: that it is made for.

    """
    persons = crops[crops["identity"] > DISTRACTOR]
    sizes = persons.groupby("identity").size()
    return {
        "protocol": protocol,
        "crops": len(crops),
        "identities": dict(identities),
        "splits": {split: _split(rows) for split in SPLITS if len(rows := crops[crops["split"] == split])},
        "left_out": {reason: left_out[reason] for reason in sorted(left_out) if left_out[reason]},
        "crops_per_identity": _summary(sizes),
        "flights_per_identity": _summary(persons.groupby("identity")["camera"].nunique()),
        "height_px": _summary(crops["height"]),
        "flights": [_flight(rows) for _, rows in crops.groupby("camera")],
        "leakage": dict(leaks),
        "chance": dict(chance),
    }


def doubt_of_split(figures: Mapping[str, Any]) -> str:
    """Why an evaluation on the split of a data set says nothing, or little; empty where it can say something.

    Args:
        figures: as `statistics` gives them, perhaps those of an earlier version.

    """
    chance = figures.get("chance")  # none in a data set of an earlier version
    if chance and chance["mAP"] > _ALWAYS_RIGHT:
        return "no evaluation is possible: whatever the features, every ranking is right; label more people"
    if figures["identities"]["test"] == 1:
        return "one test identity: an evaluation says little; label more people"
    return ""


def _split(rows: pd.DataFrame) -> dict[str, int]:
    persons = rows[rows["identity"] > DISTRACTOR]
    return {
        "crops": len(rows),
        "identities": int(persons["identity"].nunique()),
        "flights": int(rows["camera"].nunique()),
        "tracklets": int(rows["tracklet"].nunique()),
        "junk": int((rows["identity"] == JUNK).sum()),
        "distractors": int((rows["identity"] == DISTRACTOR).sum()),
    }


def _flight(rows: pd.DataFrame) -> dict[str, Any]:
    persons = rows[rows["identity"] > DISTRACTOR]
    return {
        "number": int(rows["camera"].iloc[0]),
        "name": str(rows["flight"].iloc[0]),
        "crops": len(rows),
        "identities": int(persons["identity"].nunique()),
    }


def _summary(values: "pd.Series[Any]") -> dict[str, float]:
    if not len(values):
        return {}
    found = {"min": values.min(), "median": values.median(), "mean": values.mean(), "max": values.max()}
    return {name: round(float(value), 2) for name, value in found.items()}
