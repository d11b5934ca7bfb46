"""Thinning: neighbouring frames show the same picture, so that not every crop of a tracklet is kept."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config.models import ThinConfig
from pipeline.stages.crop_store import picture
from reid.evaluation.leakage import Thumbnails


def kept(crops: pd.DataFrame, workspace: Path, config: ThinConfig) -> NDArray[np.bool_]:
    """Which rows of `crops`, in order of frames, stay: a tracklet's first, then what is far enough from the last.

    Args:
        crops: with the columns tracklet, frame and crop.
        workspace: what `crop` is relative to.
        config: how far that is.

    Returns:
        bool (n,).

    Raises:
        ReidError: a crop cannot be read, where pictures are compared.

    """
    keep = np.ones(len(crops), np.bool_)
    if config.frames <= 1 and config.difference == 0:
        return keep
    frames = crops["frame"].to_numpy()
    pictures = Thumbnails([picture(workspace / crop) for crop in crops["crop"]]) if config.difference > 0 else None
    tracklets = pd.factorize(crops["tracklet"])[0]
    for rows in np.split(np.argsort(tracklets, kind="stable"), np.cumsum(np.bincount(tracklets))[:-1]):
        shown = pictures[rows] if pictures is not None else None
        last = 0
        for place in range(1, len(rows)):
            far = frames[rows[place]] - frames[rows[last]] >= config.frames
            if far and shown is not None:
                far = np.abs(shown[place] - shown[last]).mean() >= config.difference
            keep[rows[place]] = far
            last = place if far else last
    return keep
