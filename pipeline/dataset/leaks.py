"""Leakage checks on a finished split: matches that a protocol would wrongly count as correct."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.dataset.split import SPLITS
from pipeline.errors import PipelineError
from pipeline.stages.crop_store import picture
from reid.errors import ReidError
from reid.evaluation.leakage import check_identities, check_images
from reid.evaluation.protocols import PROTOCOLS, Candidates, ProtocolName
from reid.records import Samples

REPORTED: tuple[ProtocolName, ...] = ("flight", "tracklet", "strict")


def check_leaks(
    crops: pd.DataFrame, workspace: Path, protocol: ProtocolName, gap_s: float
) -> Mapping[str, dict[str, Any]]:
    """Refuse a split with trivial right answers under `protocol`; count those of the other protocols.

    Args:
        crops: with the columns split, identity, camera, flight, tracklet, pts_s and crop.
        workspace: what `crop` is relative to.
        protocol: of the data set.
        gap_s: seconds within which two crops of one flight are neighbours.

    Returns:
        By protocol: queries with a right answer, right answers in all, those of the query's own tracklet, and those
        within `gap_s` of it in its own flight.

    Raises:
        PipelineError: a right answer is of the query's own tracklet, a neighbouring frame or the same picture, or a
            crop cannot be read; names them.
        ReidError: an identity or a tracklet is in both halves; names them.

    """
    train, query, gallery = (samples_of(split, crops, workspace) for split in SPLITS)
    check_identities(train, query, gallery)
    queries, answers = (crops[crops["split"] == split] for split in ("query", "gallery"))
    report: dict[str, dict[str, Any]] = {}
    for name in REPORTED:
        candidates = Candidates(query, gallery, PROTOCOLS[name])
        report[name] = _exposure(candidates, queries, answers, gap_s, stops=name == protocol)
    try:
        check_images(Candidates(query, gallery, PROTOCOLS[protocol]))
    except ReidError as error:
        remedy = "mark its tracklet as junk, or raise dataset.gap_s if a person does not move"
        raise PipelineError(f"{error}; {remedy}") from None
    return report


def samples_of(split: str, crops: pd.DataFrame, workspace: Path) -> Samples:
    """The crops of `split`, as re-identification takes them; the arguments are those of `check_leaks`."""
    rows = crops[crops["split"] == split]
    tracklets = pd.Categorical(rows["tracklet"], categories=pd.unique(crops["tracklet"])).codes
    return Samples(
        rows["identity"].to_numpy(np.int64),
        rows["camera"].to_numpy(np.int64),
        tracklets.astype(np.int64),
        tuple(picture(workspace / crop) for crop in rows["crop"]),
    )


def _exposure(
    candidates: Candidates, query: pd.DataFrame, gallery: pd.DataFrame, gap_s: float, *, stops: bool
) -> dict[str, Any]:
    counts = {"queries": 0, "right_answers": 0, "own_tracklet": 0, "neighbours": 0}
    for pairs in candidates.right_answers():
        first, second = query.iloc[pairs.rows], gallery.iloc[pairs.columns]
        own = first["tracklet"].to_numpy() == second["tracklet"].to_numpy()
        near = np.abs(first["pts_s"].to_numpy() - second["pts_s"].to_numpy()) < gap_s
        near &= first["camera"].to_numpy() == second["camera"].to_numpy()
        if stops and (own | near).any():
            pair = int(np.argmax(own | near))
            raise PipelineError(
                f"leak: query {first['crop'].iloc[pair]} and its right answer {second['crop'].iloc[pair]} are of "
                f"one {'tracklet' if own[pair] else f'flight and less than {gap_s:g} s apart'}, which protocol "
                f"'{candidates.protocol.name}' counts; set dataset.protocol=flight"
            )
        counts["queries"] += len(np.unique(pairs.rows))
        counts["right_answers"] += len(pairs)
        counts["own_tracklet"] += int(own.sum())
        counts["neighbours"] += int((near & ~own).sum())
    return counts
