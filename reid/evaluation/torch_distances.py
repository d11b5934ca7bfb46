"""Distances and ranks on a GPU, with torch; the ranks are those of `reid.evaluation.distances`, to the last one."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reid.device import device_errors, usable_device
from reid.evaluation.counting import RightAnswers
from reid.evaluation.distances import SLICE, FeatureDistances, folded
from reid.evaluation.protocols import Pairs, Rivals
from reid.metric import Metric

_REMEDY = "rank with device cpu"
_PAIRS = 2**16  # features whose differences are computed at once
_MOVED = 4096  # features that are copied to the device at once


class TorchDistances(FeatureDistances):
    """Distances between features, computed and compared on `device`; the features are kept there.

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
        with device_errors(_REMEDY):
            self._on_device = self._moved(query), self._moved(gallery)
            self._squares_there = self._tensor(self._squares[0]), self._tensor(self._squares[1])
            self._lengths_there = self._tensor(self._lengths[0]), self._tensor(self._lengths[1])
            self._origin_there = None if self._origin is None else self._tensor(self._origin)

    def ranks(self, first: int, last: int, rivals: Rivals) -> NDArray[np.int64]:
        """As `Distances.ranks`."""
        answers = self._answers(first, last, rivals)
        with device_errors(_REMEDY):
            return answers.ranks(self._before(first, last, rivals, answers))

    def _values(self, first: int, last: int, start: int, stop: int) -> NDArray[np.float32]:
        with device_errors(_REMEDY):
            values: NDArray[np.float32] = self._compared(first, last, start, stop).cpu().numpy()
        return values

    def _before(self, first: int, last: int, rivals: Rivals, answers: RightAnswers) -> NDArray[np.int64]:
        """The number of gallery crops before each right answer.

        Each crop is put between two of a query's right answers: its place is how many of them are before it. Where
        the bounds of the rounded distances give two places, the exact distance decides.
        """
        within = np.arange(len(answers.rows)) - answers.bounds[answers.rows]
        shape = last - first, int(np.diff(answers.bounds).max(initial=0))
        distances, columns = np.full(shape, np.inf), np.zeros(shape, np.int64)
        distances[answers.rows, within], columns[answers.rows, within] = answers.distances, answers.columns
        wanted, wanted_columns = self._tensor(distances), self._tensor(columns)
        positives, excluded = (_ByColumn(pairs, self._device) for pairs in (rivals.positives, rivals.excluded))
        absent = _ByColumn(Pairs(rivals.absent, rivals.absent), self._device)
        parts = list(self._parts(last - first))
        errors = self._tensor(np.stack([self._errors(first, last, *part) for part in parts]))
        counts = torch.zeros((shape[0], shape[1] + 1), dtype=torch.int64, device=self._device)
        for (start, stop), error in zip(parts, errors, strict=True):
            values = self._compared(first, last, start, stop)
            own = positives.between(start, stop)
            kept = values[own]
            values[:, absent.between(start, stop)[1]] = torch.inf
            values[excluded.between(start, stop)] = torch.inf
            values[own] = kept
            low, high = (wanted - error[:, None]).float(), (wanted + error[:, None]).float()
            places = torch.searchsorted(low, values, right=True)
            unclear = (torch.searchsorted(high, values) < places) & (values < torch.inf)
            for pairs in torch.split(torch.nonzero(unclear), _PAIRS):
                rows, others = pairs[:, 0], pairs[:, 1] + start
                exact = self._exact_there(first + rows, others)[:, None]
                tied = (wanted[rows] == exact) & (wanted_columns[rows] <= others[:, None])
                places[rows, pairs[:, 1]] = ((wanted[rows] < exact) | tied).sum(dim=1)
            counts.scatter_add_(1, places, torch.ones_like(places))
        before: NDArray[np.int64] = counts.cumsum(1).cpu().numpy()[answers.rows, within]
        return before

    def _compared(self, first: int, last: int, start: int, stop: int) -> Tensor:
        """As `FeatureDistances._values`."""
        query, gallery = -2 * self._points_there(0, first, last), self._points_there(1, start, stop)
        values = query[:, :SLICE] @ gallery[:, :SLICE].T
        for number in range(SLICE, query.shape[1], SLICE):
            values += query[:, number : number + SLICE] @ gallery[:, number : number + SLICE].T
        values += self._squares_there[1][start:stop].float()
        values += self._squares_there[0][first:last, None].float()
        return values

    def _points_there(self, side: int, start: int, stop: int) -> Tensor:
        """As `FeatureDistances._points`."""
        features = self._on_device[side][start:stop]
        if self.metric == "cosine":
            return features / self._lengths_there[side][start:stop, None].float()
        return features if self._origin_there is None else features - self._origin_there

    def _exact_there(self, rows: Tensor, columns: Tensor) -> Tensor:
        """As `FeatureDistances.exact`, to the bit."""
        left, right = self._on_device[0][rows].double(), self._on_device[1][columns].double()
        if self.metric == "cosine":
            left /= self._lengths_there[0][rows, None]
            right /= self._lengths_there[1][columns, None]
        left -= right
        left *= left
        return folded(left)

    def _moved(self, features: NDArray[np.float32]) -> Tensor:
        """A part at a time, so that the host needs no second copy of a mapped file."""
        result = torch.empty(features.shape, device=self._device)
        for start in range(0, len(features), _MOVED):
            part = torch.tensor(features[start : start + _MOVED])
            result[start : start + _MOVED] = part
        return result

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.tensor(values, device=self._device)


class _ByColumn:
    """Pairs on a device, of which those of a part of the gallery are a slice."""

    def __init__(self, pairs: Pairs, device: torch.device) -> None:
        order = np.argsort(pairs.columns, kind="stable")
        self._sorted = pairs.columns[order]
        self._rows = torch.tensor(pairs.rows[order], device=device)
        self._columns = torch.tensor(self._sorted, device=device)

    def between(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Rows and columns of those of the gallery crops `start` to `stop` - 1; columns count from `start`."""
        begin, end = np.searchsorted(self._sorted, (start, stop))
        return self._rows[begin:end], self._columns[begin:end] - start
