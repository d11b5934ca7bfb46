"""Metrics of a ranking: average precision, INP and CMC from the ranks of the right answers."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

AveragePrecision = Literal["step", "trapezoid"]
CMC_RANKS = (1, 5, 10, 20)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Metrics of each query; a row is a query, and with single-shot a query in a repeat.

    Attributes:
        average_precision: float64 (n,), NaN where there is no right answer.
        first_hit: int64 (n,), the nearest right answer's rank from 1 up; 0 where there is none.
        inverse_negative_penalty: float64 (n,), right answers over the rank of the last of them; NaN without any.
        positives: int64 (n,), the number of right answers.

    """

    average_precision: NDArray[np.float64]
    first_hit: NDArray[np.int64]
    inverse_negative_penalty: NDArray[np.float64]
    positives: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.positives)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Queries with a right answer, bool (n,); the means are over these."""
        return self.positives > 0

    def figures(self) -> dict[str, float]:
        """mAP, mINP and CMC at `CMC_RANKS`, from 0 to 1; rank 20 is reached also where there are fewer crops."""
        first = self.first_hit[self.valid]
        return {
            "mAP": float(self.average_precision[self.valid].mean()),
            "mINP": float(self.inverse_negative_penalty[self.valid].mean()),
            **{f"rank-{rank}": float((first <= rank).mean()) for rank in CMC_RANKS},
        }


def rate(
    rows: NDArray[np.int64], ranks: NDArray[np.int64], queries: int, form: AveragePrecision = "step"
) -> Ranking:
    """Rate `queries` queries by the ranks of their right answers.

    Of the i-th right answer, at rank r, precision is i / r. `step` averages these precisions over the right
    answers; `trapezoid` averages each with the precision just before, (i - 1) / (r - 1), or 1 at rank 1, as
    Market-1501's own script does. INP: Ye et al. 2021, "Deep Learning for Person Re-identification", eq. 8.

    Args:
        rows: int64 (n,), the query of each right answer, from 0 up, ascending.
        ranks: int64 (n,), its rank from 1 up.
        queries: number of queries.
        form: of average precision.

    """
    order = np.lexsort((ranks, rows))
    rows, ranks = rows[order], ranks[order]
    positives = np.bincount(rows, minlength=queries)
    hits = np.arange(1, len(rows) + 1) - (np.cumsum(positives) - positives)[rows]
    precision = hits / ranks
    if form == "trapezoid":
        before = np.divide(hits - 1, ranks - 1, out=np.ones(len(hits)), where=ranks > 1)
        precision = (precision + before) / 2
    ends, valid = np.cumsum(positives), positives > 0
    first, last = np.zeros((2, queries), np.int64)
    first[valid] = ranks[(ends - positives)[valid]]
    last[valid] = ranks[ends[valid] - 1]
    with np.errstate(invalid="ignore"):  # 0 / 0: NaN for queries without a right answer
        return Ranking(
            np.bincount(rows, precision, queries) / positives, first, positives / last, positives.astype(np.int64)
        )


def joined(rankings: Sequence[Ranking]) -> Ranking:
    """The rows of `rankings`, one after the other."""
    return Ranking(*(np.concatenate([getattr(one, field.name) for one in rankings]) for field in fields(Ranking)))
