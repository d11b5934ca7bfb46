"""Leakage checks on an evaluation: persons of the training set, neighbouring frames, copies of one picture.

Within the test set only pairs that a protocol counts as right answers can leak.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.crops import read_crop
from reid.errors import ReidError
from reid.evaluation.protocols import Candidates, Pairs
from reid.records import DISTRACTOR, Picture, Samples

_SIZE = 32, 16  # height and width of the thumbnails that are compared
# Mean difference of two thumbnails, in grey levels of 255, up to which they are one picture. JPEG's quality 30 or
# twice the size give 1 to 2; the most similar of Market-1501's pictures of one person by one camera differ by 15.
# In a simulated flight one in seven next frames is as similar, none ten frames later, and none of another tracklet.
_SAME = 3.0


def check_identities(train: Samples, query: Samples, gallery: Samples) -> None:
    """Check that no person or tracklet is both in the training and in the test set.

    Raises:
        ReidError: some are; names up to five.

    """
    for name in ("identities", "tracklets"):
        least = DISTRACTOR + 1 if name == "identities" else 0
        trained, tested = getattr(train, name), np.concatenate([getattr(query, name), getattr(gallery, name)])
        both = np.intersect1d(trained, tested)
        both = both[both >= least]
        if len(both):
            shown = ", ".join(map(str, both[:5])) + (", …" if len(both) > 5 else "")
            raise ReidError(
                f"leak: {len(both):,} {name} are both in the training and in the test set ({shown}); the figures "
                "would be too high; split the data by identity"
            )


def check_tracklets(candidates: Candidates) -> None:
    """Check that no right answer is of the query's own tracklet.

    Raises:
        ReidError: one is; names a query and its right answer.

    """
    query, gallery = candidates.query, candidates.gallery

    def one_tracklet(pairs: Pairs) -> NDArray[np.bool_]:
        own = query.tracklets[pairs.rows]
        return (own == gallery.tracklets[pairs.columns]) & (own >= 0)

    _stop(candidates, one_tracklet, "are of one tracklet", "take protocol 'tracklet' or 'strict'")


def check_images(candidates: Candidates) -> None:
    """Check that no right answer is the query's own picture or a copy of it.

    Raises:
        ReidError: one is, or a file cannot be read; names the files.

    """
    query, gallery = candidates.query, candidates.gallery
    if not query.paths or not gallery.paths:
        return
    own, others = Thumbnails(query.paths), Thumbnails(gallery.paths)

    def one_picture(pairs: Pairs) -> NDArray[np.bool_]:
        same: NDArray[np.bool_] = np.abs(own[pairs.rows] - others[pairs.columns]).mean(axis=1) <= _SAME
        return same

    _stop(candidates, one_picture, "are one picture", "remove one of each pair")


def _stop(candidates: Candidates, leaks: Callable[[Pairs], NDArray[np.bool_]], what: str, remedy: str) -> None:
    found = [pairs.where(leaks(pairs)) for pairs in candidates.right_answers()]
    count = sum(map(len, found))
    if count:
        example = _described(candidates, next(pairs for pairs in found if len(pairs)))
        raise ReidError(
            f"leak: {example} {what}, which protocol '{candidates.protocol.name}' counts as a right answer "
            f"({count:,} such pairs); {remedy}"
        )


class Thumbnails:
    """Grey pictures of one small size, each made when it is first used: many crops are never a right answer.

    `thumbnails[rows]` is int16 (n, 512): 32 x 16 grey levels from 0 to 255. A file that cannot be read raises a
    ReidError.
    """

    def __init__(self, paths: Sequence[Path | Picture]) -> None:
        self._paths = paths
        self._pixels = np.zeros((len(paths), _SIZE[0] * _SIZE[1]), np.uint8)
        self._made = np.zeros(len(paths), np.bool_)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.int16]:
        missing = np.unique(rows[~self._made[rows]])
        with ThreadPoolExecutor() as threads:
            made = threads.map(_thumbnail, [self._paths[row] for row in missing])
            for row, pixels in zip(missing, made, strict=True):
                self._pixels[row] = pixels
        self._made[missing] = True
        return self._pixels[rows].astype(np.int16)


def _thumbnail(path: Path | Picture) -> NDArray[np.uint8]:
    return read_crop(path, *_SIZE).mean(axis=2).astype(np.uint8).ravel()


def _described(candidates: Candidates, pairs: Pairs) -> str:
    first = ((candidates.query, "query", pairs.rows[0]), (candidates.gallery, "gallery", pairs.columns[0]))
    names = [str(samples.paths[row]) if samples.paths else f"{name} row {row}" for samples, name, row in first]
    return " and ".join(names)
