"""A line over the logits of scores, which makes them say how often they are right; importable without torch."""

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


def logits(scores: Any) -> NDArray[np.float64]:
    """log(score / (1 - score)), finite for 0 and 1 too; of the shape of `scores`."""
    inside = np.clip(np.asarray(scores, np.float64), _SURE, 1 - _SURE)
    return np.asarray(np.log(inside / (1 - inside)))


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-values)))
