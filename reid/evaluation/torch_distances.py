"""Distances and ranks on a GPU, with torch; the ranks are those of `reid.evaluation.distances`."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reid.device import usable_device
from reid.evaluation.distances import FeatureDistances, Metric
from reid.evaluation.protocols import Pairs, Rivals

_TIED_AT_ONCE = 64  # rows of the gallery's length that are compared at once where distances are equal


class TorchDistances(FeatureDistances):
    """Distances between features, computed and sorted on `device`; the features are kept there.

    Args:
        query: float32 (n, d).
        gallery: float32 (m, d).
        metric: as in `FeatureDistances`.
        names: of the two, for errors.
        device: as torch names it.

    Raises:
        ReidError: as `FeatureDistances`; or the device is missing.

    """

    def __init__(
        self,
        query: NDArray[np.float32],
        gallery: NDArray[np.float32],
        metric: Metric = "euclidean",
        names: tuple[str, str] = ("query", "gallery"),
        device: str = "cuda",
    ) -> None:
        super().__init__(query, gallery, metric, names)
        self._device = usable_device(device)
        self._features = self._tensor(query), self._tensor(gallery)
        self._norms = self._tensor(self._squares[0]), self._tensor(self._squares[1])

    def rows(self, first: int, last: int) -> NDArray[np.float32]:
        """As `FeatureDistances.rows`."""
        result: NDArray[np.float32] = self._rows(first, last).cpu().numpy()
        return result

    def ranks(self, first: int, last: int, rivals: Rivals) -> NDArray[np.int64]:
        """As `Distances.ranks`."""
        rows = self._rows(first, last)
        positives = self._indices(rivals.positives)
        wanted = rows[positives]
        rows[:, self._tensor(rivals.absent)] = torch.inf
        rows[self._indices(rivals.excluded)] = torch.inf
        rows[positives] = wanted
        nearer = self._nearer(rows, wanted, positives)
        result: NDArray[np.int64] = (nearer + 1).cpu().numpy()
        return result

    def _nearer(self, rows: Tensor, wanted: Tensor, positives: tuple[Tensor, Tensor]) -> Tensor:
        """Count the crops before each positive. A row of `searchsorted` is a query, so its positives are padded."""
        counts = torch.bincount(positives[0], minlength=len(rows))
        within = torch.arange(len(wanted), device=self._device) - (counts.cumsum(0) - counts)[positives[0]]
        padded = rows.new_full((len(rows), int(counts.max()) if len(rows) else 0), torch.inf)
        padded[positives[0], within] = wanted
        ordered = rows.sort(dim=1).values
        below, upto = (
            torch.searchsorted(ordered, padded, side=side)[positives[0], within] for side in ("left", "right")
        )
        for tied in torch.split(torch.nonzero(upto - below > 1).flatten(), _TIED_AT_ONCE):
            equal = rows[positives[0][tied]] == wanted[tied, None]
            earlier = torch.arange(rows.shape[1], device=self._device) < positives[1][tied, None]
            below[tied] += (equal & earlier).sum(dim=1)
        return below

    def _rows(self, first: int, last: int) -> Tensor:
        query, gallery = self._features
        own, others = self._norms
        if self.metric == "cosine":
            return 1 - (query[first:last] / own[first:last, None].sqrt()) @ gallery.T / others.sqrt()
        return (-2 * query[first:last]) @ gallery.T + others + own[first:last, None]

    def _indices(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        return self._tensor(pairs.rows), self._tensor(pairs.columns)

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.tensor(values, device=self._device)
