"""MOTChallenge's text: one box a line, `frame,id,left,top,width,height,score,…`, frames from 1 (motchallenge.net).

What follows the score differs: x,y,z in results and in the ground truth of 2015, class and visibility in that of
later years. It stays with the box as `extra["columns"]`, unchanged. Pixel coordinates are taken unchanged.
"""

from pathlib import Path

from annotate.errors import AnnotateError
from annotate.exchange.records import Clip, TrackBox, number
from annotate.files import read_text, write_text

_FORM = "frame,id,left,top,width,height,score,… with 6 to 10 numbers, frames from 1"
_UNKNOWN = [-1.0, -1.0, -1.0]  # x, y, z of results


def read_mot(path: Path, name: str) -> Clip:
    """The tracks in `path`, of the flight or sequence `name`.

    Raises:
        AnnotateError: not a text file, or a row that is none; names the line.

    """
    boxes = []
    for line_number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            try:
                boxes.append(_parse(line))
            except (ValueError, OverflowError) as error:
                raise AnnotateError(
                    f"{path} line {line_number}: '{line[:60]}': {error}; expected {_FORM}"
                ) from None
    return Clip(name, tuple(boxes))


def _parse(line: str) -> TrackBox:
    values = [float(field) for field in line.strip().rstrip(",").split(",")]
    if not 6 <= len(values) <= 10:
        raise ValueError(f"{len(values)} numbers")
    frame, track = int(values[0]), int(values[1])
    if (frame, track) != tuple(values[:2]) or frame < 1:
        raise ValueError(f"frame {values[0]:g}, id {values[1]:g}")
    left, top, width, height, *rest = values[2:]
    score = rest[0] if rest else 1.0
    columns = rest[1:]
    extra = {} if columns == _UNKNOWN else {"columns": columns}
    return TrackBox.from_size(frame - 1, track, (left, top, width, height), score=score, extra=extra)


def write_mot(path: Path, clip: Clip) -> None:
    """Write the boxes of `clip` to `path`, in their order."""
    lines = []
    for box in clip.boxes:
        columns = box.extra.get("columns", _UNKNOWN)
        values = (box.frame + 1, box.track, *box.ltwh, box.score, *columns)
        lines.append(",".join(number(value) for value in values) + "\n")
    write_text(path, "".join(lines))
