"""Damage that no decoder owns up to: how much of a picture fits nothing in the one before it.

The picture before is moved with the camera; what differs then is noise, parallax, or something that moves, and each
of these differed about there a frame earlier too. What suddenly differs in part of the picture is suspicious. Where
most of it differs, the scene was cut or the motion is not known, and nothing is said of damage.
"""

from collections import deque
from collections.abc import Mapping, Set
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

# Share of the blocks from which a frame is suspect. In a trial, 3,583 undamaged frames of real clips stayed below
# half of it.
MISFIT = 0.03
# Share of the blocks that are unlike from which the scene was cut. In 639 frames of two real clips it was at most
# .28; in 13 cuts between them, at least .90.
CUT = 0.6
_WIDTH = 480  # px, at which pictures are compared
_BLOCK = 16  # px
_CHANGED = 0.6  # difference, as a share of what two unrelated blocks differ by, above which a block fits nothing
_VISIBLE = 12.0  # root mean square of the difference, below which it is not worth a word
_FITS, _MOST = 0.3, 0.6  # share of the difference up to which a block fits; share of the blocks that must fit
_NOISE = 30.0  # variance of blocks without texture
_AROUND = np.ones((5, 5), np.uint8)  # blocks; what moves has moved by less from frame to frame


class Compared(NamedTuple):
    """A picture beside the one before it; NaN where that cannot be told.

    Attributes:
        misfit: share of the blocks that suddenly fit nothing.
        unlike: share of the blocks that fit nothing, suddenly or not; 1 where the two show no common ground.

    """

    misfit: float
    unlike: float


class Misfit:
    """Compares each picture with the one before it."""

    def __init__(self) -> None:
        self._before: NDArray[np.uint8] | None = None
        self._usual: deque[NDArray[np.float32]] = deque(maxlen=2)

    def next(self, picture: NDArray[np.uint8], matrix: NDArray[np.float32]) -> Compared:
        """How `picture` fits the one before.

        Args:
            picture: uint8 (H, W), grey.
            matrix: float32 (2, 3): where the points of the picture before are in this one, in its pixels.

        """
        factor = min(1.0, _WIDTH / picture.shape[1])
        size = [max(_BLOCK, int(side * factor) // _BLOCK * _BLOCK) for side in picture.shape[::-1]]
        small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        before, self._before = self._before, small
        if before is None or before.shape != small.shape:
            self._usual.clear()
            return Compared(np.nan, np.nan)
        scaled = matrix.copy()
        scaled[:, 2] *= factor
        difference, visible, seen = _compare(before, small, scaled)
        usual = np.max([cv2.dilate(each, _AROUND) for each in self._usual], axis=0) if self._usual else None
        self._usual.append(difference)
        unlike = float((difference[seen] >= _CHANGED).mean()) if seen.any() else 1.0
        if usual is None or not seen.any() or (difference[seen] < _FITS).mean() < _MOST:
            return Compared(np.nan, unlike)
        return Compared(float(((difference - usual > _CHANGED) & visible)[seen].mean()), unlike)


def _compare(
    before: NDArray[np.uint8], after: NDArray[np.uint8], matrix: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """By block: the difference as a share, whether it is visible, and whether the camera saw the block before."""
    size = (after.shape[1], after.shape[0])
    moved = cv2.warpAffine(before, matrix, size, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    inside = cv2.warpAffine(np.full_like(before, 255), matrix, size)
    now = after.astype(np.float32)
    seen = _means(inside) > 0.9 * 255
    means = _means(moved), _means(now)
    spread = sum(_means(each * each) - mean * mean for each, mean in zip((moved, now), means, strict=True))
    lighter = float(np.median((means[1] - means[0])[seen])) if seen.any() else 0.0
    square = _means((now - moved - lighter) ** 2)
    return np.where(seen, square / (spread + _NOISE), 0).astype(np.float32), square > _VISIBLE**2, seen


def _means(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    height, width = pixels.shape
    size = (width // _BLOCK, height // _BLOCK)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)


def unlike_before(misfit: Mapping[int, float], key: Mapping[int, bool], suspect: Set[int]) -> set[int]:
    """The frames in doubt for their looks: from one that does not fit up to the next sound key frame.

    A key frame that does not fit is damaged itself, since after a cut next to nothing would fit. After a frame in
    doubt, however, a sound one fits no better, and nothing is concluded.

    Args:
        misfit: by frame.
        key: of every decoded frame, whether it is a key frame.
        suspect: frames that are in doubt for another reason.

    """
    found: set[int] = set()
    in_doubt = after_doubt = False
    for frame in sorted(key):
        unlike = misfit.get(frame, 0.0) >= MISFIT and not after_doubt
        in_doubt = unlike or (in_doubt and not key[frame])
        if in_doubt:
            found.add(frame)
        after_doubt = in_doubt or frame in suspect
    return found
