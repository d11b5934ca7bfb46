"""From a decoder's picture to an upright RGB array of the video's size."""

from typing import Any

import cv2
import numpy as np
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from pipeline.video.stretch import Stretch

# Display matrices (a, b, c, d) that only turn or mirror, and what they do to an array in image coordinates:
# whether to transpose, then to reverse the rows, then the columns. Anything else is left as it is stored.
_UPRIGHT = (1, 0, 0, 1)
_TURNS = {
    _UPRIGHT: (False, False, False),
    (-1, 0, 0, 1): (False, False, True),
    (1, 0, 0, -1): (False, True, False),
    (-1, 0, 0, -1): (False, True, True),
    (0, 1, 1, 0): (True, False, False),
    (0, 1, -1, 0): (True, False, True),
    (0, -1, 1, 0): (True, True, False),
    (0, -1, -1, 0): (True, True, True),
}

_UNTAGGED = 2  # AVCOL_SPC_UNSPECIFIED
_SD = (1280, 576)  # a video that is as wide, or higher, is HD to players
_CODED_AS = 5  # AVCOL_SPC_BT470BG: the matrix of BT.601, by which FFmpeg and OpenCV make YUV of RGB


def assumed_matrix(codec: Any) -> Colorspace | None:
    """The matrix from YUV to RGB of a stream whose `codec` context names none; None: FFmpeg's own, BT.601.

    Players take BT.709 for HD, and recorders that write no tag mean it.
    """
    hd = codec.width >= _SD[0] or codec.height > _SD[1]
    if not hd or codec.colorspace != _UNTAGGED or not codec.pix_fmt or VideoFormat(codec.pix_fmt).is_rgb:
        return None
    return Colorspace.ITU709


def tag_colours(codec: Any) -> None:
    """Say in the encoder's context by which matrix its pictures are made of RGB, so that no player has to guess."""
    codec.colorspace, codec.color_range = _CODED_AS, ColorRange.MPEG


class Upright:
    """Makes RGB arrays of `width` x `height` pixels of decoded frames; not for several threads at once.

    Attributes:
        stored_size: (width, height) that the frames should have; others are scaled to it.
        turn: (a, b, c, d) of the display matrix, each −1, 0 or 1.
        stretch: of pictures of more than 8 bits that fill a small part of their range.
        matrix: from YUV to RGB, of frames that name none; see `assumed_matrix`.
    """

    def __init__(
        self,
        stored_size: tuple[int, int],
        turn: tuple[int, int, int, int],
        stretch: Stretch | None = None,
        matrix: Colorspace | None = None,
    ) -> None:
        self.stored_size = stored_size
        self.stretch, self.matrix = stretch, matrix
        self._transpose, self._flip_rows, self._flip_columns = _TURNS[turn]
        self._reformatter = VideoReformatter()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the arrays."""
        width, height = self.stored_size
        return (height, width) if self._transpose else (width, height)

    def image(self, frame: Any) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB; the frame's own matrix and range are obeyed."""
        width, height = self.stored_size
        # One thread: swscale's own are slower to start than the conversion takes beside decoder threads.
        colours = "rgb48le" if self.stretch else "rgb24"
        matrix = self.matrix if frame.colorspace == _UNTAGGED else None
        rgb = self._reformatter.reformat(frame, width, height, colours, matrix, threads=1).to_ndarray()
        image = self.stretch(rgb) if self.stretch else np.asarray(rgb, np.uint8)
        if self._transpose:
            image = image.transpose(1, 0, 2)
        if self._flip_rows:
            image = image[::-1]
        if self._flip_columns:
            image = image[:, ::-1]
        return np.ascontiguousarray(image)


def deep_pixels(frame: Any, matrix: Colorspace | None) -> NDArray[np.uint16] | None:
    """uint16 (H, W, 3) RGB of a decoded frame of more than 8 bits a sample, as `Upright`; None of any other."""
    if max((component.bits for component in frame.format.components), default=8) <= 8:
        return None
    matrix = matrix if frame.colorspace == _UNTAGGED else None
    return np.asarray(frame.reformat(format="rgb48le", src_colorspace=matrix).to_ndarray(), np.uint16)


def display_turn(frame: Any) -> tuple[int, int, int, int]:
    """(a, b, c, d) of the frame's display matrix reduced to −1, 0, 1; upright where it has none or an odd one."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return _UPRIGHT
    values = np.frombuffer(bytes(matrix), np.int32)[[0, 1, 3, 4]]
    largest = max(1, int(np.abs(values.astype(np.int64)).max()))
    a, b, c, d = (round(int(value) / largest) for value in values)
    return (a, b, c, d) if (a, b, c, d) in _TURNS else _UPRIGHT


def rotation_degrees(turn: tuple[int, int, int, int]) -> int:
    """Degrees counter-clockwise of a turn; what is also mirrored counts by its turn alone."""
    a, b, _, _ = turn
    return {(1, 0): 0, (0, -1): 90, (-1, 0): 180, (0, 1): 270}[(a, b)]


def fit(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """`image` (uint8 (H, W, 3)) scaled to `size` (width, height)."""
    shrinks = image.shape[1] >= size[0] and image.shape[0] >= size[1]
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(scaled, dtype=np.uint8)
