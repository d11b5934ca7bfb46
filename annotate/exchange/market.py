"""Market-1501 folders: a picture's name holds its identity, camera, sequence and frame.

`0002_c1s1_000451_03.jpg` is identity 2, camera 1, sequence 1, frame 451, third box of the frame; identity -1 is
junk, 0 a distractor (Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015). Cameras and
sequences may have any number of digits.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from annotate.errors import AnnotateError

FOLDERS = ("bounding_box_train", "bounding_box_test", "query")
_SUFFIXES = {".jpg", ".jpeg", ".png"}
_NAME = re.compile(r"(-1|\d{1,9})_c(\d{1,9})s(\d{1,9})_(\d{1,9})_(\d{1,4})", re.ASCII)


@dataclass(frozen=True)
class NamedCrop:
    """A picture and what its name says.

    Attributes:
        path: the file.
        identity: from 1 up; 0: a distractor, -1: junk.
        camera: its number.
        sequence: of that camera.
        frame: of that sequence.
        index: of the box in the frame.

    """

    path: Path
    identity: int
    camera: int
    sequence: int
    frame: int
    index: int

    @property
    def flight(self) -> str:
        """Camera and sequence, as in "c1s1": a flight elsewhere."""
        return f"c{self.camera}s{self.sequence}"


def read_market(root: Path) -> list[NamedCrop]:
    """The pictures in those of `FOLDERS` that `root` has, by name; one that is in several of them counts once.

    Raises:
        AnnotateError: none of the folders is there or holds a picture, a picture's name is no such name, or two
            different pictures have one name; names the file.

    """
    found: dict[str, NamedCrop] = {}
    for folder in FOLDERS:
        for path in sorted((root / folder).glob("*")):
            if path.suffix.lower() not in _SUFFIXES or path.name.startswith("."):
                continue
            if not path.is_file():
                raise AnnotateError(f"{path}: not a regular file; remove it, or get the picture again")
            first = found.setdefault(path.name, _parse(path))
            if first.path != path and first.path.read_bytes() != path.read_bytes():
                raise AnnotateError(f"{path}: another picture than {first.path}; rename one of them")
    if not found:
        raise AnnotateError(f"{root}: no pictures; expected them in {', '.join(FOLDERS)}")
    return [found[name] for name in sorted(found)]


def _parse(path: Path) -> NamedCrop:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        raise AnnotateError(f"{path}: expected a name as 0002_c1s1_000451_03.jpg: identity, camera, frame, box")
    return NamedCrop(path, *(int(part) for part in match.groups()))
