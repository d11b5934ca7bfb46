"""A line over the logits of scores, which makes them say how often they are right; importable without torch."""

from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

_SURE = 1e-6  # scores count as at least this far from 0 and 1, where logits end


class ScoreLine(BaseModel):
    """Platt's calibration (1999): sigmoid(slope * logit(score) + offset). It keeps the order of the scores."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    slope: float = Field(gt=0, allow_inf_nan=False)
    offset: float = Field(allow_inf_nan=False)

    def __call__(self, scores: Any) -> NDArray[np.float64]:
        """The calibrated scores of `scores` (n,)."""
        return _sigmoid(self.slope * logits(scores) + self.offset)

    def inverse(self, score: float) -> float:
        """The score whose calibrated one is `score`."""
        return float(_sigmoid((logits(score) - self.offset) / self.slope))


class TileScores(ScoreLine):
    """The calibration of scores in tiles, which depends on how much larger persons are there than in whole images.

    The larger, the fewer persons a piece shows, among as much that looks like one. Slope and offset follow the
    logarithm of the enlargement: from whole images, whose scores are calibrated in the weights, to `enlargement`.
    """

    enlargement: float | None = Field(
        None, gt=1, allow_inf_nan=False, description="of the tiles in which the line was fitted; null: for all"
    )

    def at(self, enlargement: float) -> ScoreLine | None:
        """The line where persons are `enlargement` times as large as in the whole image; None: scores are right."""
        if enlargement <= 1:
            return None
        share = 1.0 if self.enlargement is None else min(1.0, log(enlargement) / log(self.enlargement))
        return ScoreLine(slope=1 + share * (self.slope - 1), offset=share * self.offset)


def logits(scores: Any) -> NDArray[np.float64]:
    """log(score / (1 - score)), finite for 0 and 1 too; of the shape of `scores`."""
    inside = np.clip(np.asarray(scores, np.float64), _SURE, 1 - _SURE)
    return np.asarray(np.log(inside / (1 - inside)))


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-values)))
