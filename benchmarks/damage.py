"""How many visibly wrong frames of damaged videos are marked, and how many right ones.

    python benchmarks/damage.py flight.mp4 [another.mp4 …] [--frames 240] [--rounds 2]

The truth is made: each clip is encoded in several ways, decoded, damaged and read again. A frame is visibly wrong
if `WRONG_BLOCKS` or more of its 16x16 blocks differ in luma by more than `WRONG_LUMA` on average.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.stages.misfit import Misfit, unlike_before
from pipeline.stages.motion import FOLLOWED, Follower, shrink
from pipeline.video import Damage, open_video

WRONG_LUMA, WRONG_BLOCKS = 10.0, 3
SIZE = (640, 360)

ENCODINGS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264 GOP 30": ("libx264", "mp4", {"g": "30", "crf": "23", "preset": "fast"}),
    "h264 GOP 250": ("libx264", "mp4", {"g": "250", "crf": "23", "preset": "fast"}),
    "h264 no B": ("libx264", "mp4", {"g": "60", "bf": "0", "crf": "23", "preset": "veryfast"}),
    "h264 open GOP": ("libx264", "mkv", {"g": "30", "x264-params": "open-gop=1", "crf": "23", "preset": "fast"}),
    "h264 refresh": ("libx264", "mp4", {"x264-params": "intra-refresh=1:keyint=50", "crf": "23", "preset": "fast"}),
    "h264 ts": ("libx264", "ts", {"g": "30", "crf": "23", "preset": "fast"}),
    "hevc GOP 30": ("libx265", "mp4", {"preset": "ultrafast", "x265-params": "keyint=30:log-level=none"}),
    "hevc closed 120": (
        "libx265",
        "mkv",
        {"preset": "superfast", "x265-params": "keyint=120:open-gop=0:log-level=none"},
    ),
    "av1 GOP 30": ("libsvtav1", "mp4", {"preset": "11", "crf": "35", "g": "30"}),
    "av1 GOP 120": ("libsvtav1", "mkv", {"preset": "11", "crf": "35", "g": "120"}),
}


@dataclass
class Count:
    """Frames of truth against marks: those of the reader (`marked`), and with those for their looks (`doubted`)."""

    wrong: int = 0
    wrong_marked: int = 0
    wrong_doubted: int = 0
    right: int = 0
    right_marked: int = 0
    right_doubted: int = 0
    lost: int = 0

    def add(self, other: "Count") -> None:
        """Add the counts of `other`."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def __str__(self) -> str:
        """One line of the table."""
        return (
            f"lost {self.lost:5}   wrong {self.wrong:5}, marked {_percent(self.wrong_marked, self.wrong)}, "
            f"with looks {_percent(self.wrong_doubted, self.wrong)}   "
            f"right {self.right:5}, marked {_percent(self.right_marked, self.right)}, "
            f"with looks {_percent(self.right_doubted, self.right)}"
        )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:5.1f} %" if whole else "     - "


def source_pictures(path: Path, frames: int) -> list[NDArray[np.uint8]]:
    """Up to `frames` pictures of `path`, uint8 (360, 640, 3) RGB."""
    pictures = []
    for frame in open_video(path).read_all():
        pictures.append(cv2.resize(frame.image, SIZE, interpolation=cv2.INTER_AREA))
        if len(pictures) == frames:
            break
    return pictures


def encode(pictures: list[NDArray[np.uint8]], path: Path, codec: str, options: dict[str, str]) -> None:
    """Encode `pictures` at 30 frames a second."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.options = options
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = index
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


def damages(size: int, rng: random.Random) -> Iterator[tuple[str, list[tuple[int, bytes]]]]:
    """Kinds of damage to a file of `size` bytes: (name, [(place, bytes)])."""
    begin, end = int(0.04 * size), int(0.96 * size)

    def spot(length: int) -> int:
        return rng.randrange(begin, max(begin + 1, end - length))

    hole = max(64, size // 60)
    yield "zero holes", [(spot(hole), bytes(hole)) for _ in range(3)]
    yield "noise holes", [(spot(hole), rng.randbytes(hole)) for _ in range(3)]
    yield "small holes", [(spot(512), bytes(512)) for _ in range(4)]
    yield "flipped bytes", [(spot(1), rng.randbytes(1)) for _ in range(8)]


def measure(
    original: Path, damaged: Path, edits: list[tuple[int, bytes]], truth: dict[float, NDArray[np.uint8]]
) -> Count:
    """Counts over `original` with `edits`, against its own frames `truth` (luma) by time."""
    data = bytearray(original.read_bytes())
    for place, content in edits:
        data[place : place + len(content)] = content
    damaged.write_bytes(data)
    damage: list[Damage] = []
    count = Count()
    video = open_video(damaged)
    wrong, key, misfit = {}, {}, {}
    marked: set[int] = set()
    follower, looks = Follower(FOLLOWED), Misfit()
    for frame in video.read_all(damage):
        wrong[frame.index] = _is_wrong(luma(frame.image), truth[round(frame.pts_s, 3)])
        key[frame.index] = frame.key
        if frame.suspect:
            marked.add(frame.index)
        small, scale = shrink(frame.image)
        misfit[frame.index] = looks.next(small, follower.next(small, scale))
    count.lost = len(truth) - len(wrong)
    doubted = marked | unlike_before(misfit, key, marked)
    for index, bad in wrong.items():
        count.wrong += bad
        count.wrong_marked += bad and index in marked
        count.wrong_doubted += bad and index in doubted
        count.right += not bad
        count.right_marked += not bad and index in marked
        count.right_doubted += not bad and index in doubted
    return count


def luma(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (H, W) of RGB `image`."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def _is_wrong(found: NDArray[np.uint8], truth: NDArray[np.uint8]) -> bool:
    blocks = cv2.resize(cv2.absdiff(found, truth), (SIZE[0] // 16, SIZE[1] // 16), interpolation=cv2.INTER_AREA)
    return int((blocks > WRONG_LUMA).sum()) >= WRONG_BLOCKS


def main() -> None:
    """Print a line for each encoding and kind of damage, and the whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, nargs="+", metavar="VIDEO")
    parser.add_argument("--frames", type=int, default=240, help="pictures of each video")
    parser.add_argument("--rounds", type=int, default=2, help="damaged copies of each kind")
    parser.add_argument("--only", default="", help="encodings whose names contain this")
    given = parser.parse_args()
    total: dict[str, Count] = {}
    with tempfile.TemporaryDirectory() as folder:
        for source in given.videos:
            pictures = source_pictures(source, given.frames)
            for name, (codec, suffix, options) in ENCODINGS.items():
                if given.only not in name:
                    continue
                path = Path(folder) / f"clip.{suffix}"
                encode(pictures, path, codec, options)
                truth = {round(frame.pts_s, 3): luma(frame.image) for frame in open_video(path).read_all()}
                rng = random.Random(f"{source.name} {name}")
                for _ in range(given.rounds):
                    for kind, edits in damages(path.stat().st_size, rng):
                        try:
                            count = measure(path, Path(folder) / f"damaged.{suffix}", edits, truth)
                        except Exception as error:
                            print(f"{name} {kind}: {error}")
                            continue
                        for key in (f"{name:16} {kind}", f"{'all':16} {kind}", "all"):
                            total.setdefault(key, Count()).add(count)
    for key in sorted(total):
        print(f"{key:32} {total[key]}")


if __name__ == "__main__":
    main()
