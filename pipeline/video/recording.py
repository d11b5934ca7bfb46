"""When a file was recorded, as its header says, and whether one file continues another."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import av

from pipeline.errors import PipelineError
from pipeline.video.container import open_container
from pipeline.video.content_hash import natural_key

_FULL = 3_500_000_000  # bytes: recorders begin a new file a little below 4 GB
_REACH_S = 5  # seconds; headers give whole seconds, some of them when the file was closed


@dataclass(frozen=True)
class Recording:
    """What the header of a file says: when its recording began, and for how many seconds it lasts."""

    begin: datetime
    seconds: float

    @classmethod
    def of(cls, path: Path) -> "Recording | None":
        """That of the video file `path`; None where its header does not say or it cannot be read."""
        try:
            container, _ = open_container(path)
        except PipelineError:
            return None
        with container:
            text, duration = container.metadata.get("creation_time", ""), container.duration
        try:
            begin = datetime.fromisoformat(text)
        except ValueError:
            return None
        begin = begin if begin.tzinfo else begin.replace(tzinfo=UTC)
        # Recorders without a clock say 1904 or 1970.
        return cls(begin, duration / av.time_base) if duration and begin.year > 1970 else None

    def gap(self, following: "Recording") -> float:
        """Seconds from the end of this one to the beginning of the `following` one."""
        return (following.begin - self.begin).total_seconds() - self.seconds


def find_continuation(path: Path) -> Path | None:
    """The next file beside `path` if it continues its recording; only one of nearly 4 GB is continued."""
    if not path.is_file() or path.stat().st_size < _FULL:
        return None
    following = _next_file(path)
    first, second = Recording.of(path), following and Recording.of(following)
    return following if first and second and abs(first.gap(second)) <= _REACH_S else None


def what_is_wrong_between(before: Path, after: Path) -> str:
    """What the headers of two parts of one flight say against it; "" where nothing."""
    first, second = Recording.of(before), Recording.of(after)
    if first is None or second is None:
        return ""
    if second.begin < first.begin:
        return f"was recorded before {before.name}; parts are read in the order given"
    gap = first.gap(second)
    return f"begins {gap:.0f} s after the end of {before.name}; times run on without that gap" * (gap > _REACH_S)


def _next_file(path: Path) -> Path | None:
    """The file of the same kind behind `path` in natural order of the names."""
    beside = [
        each
        for each in path.absolute().parent.iterdir()
        if each.suffix.lower() == path.suffix.lower() and not each.name.startswith(".") and each.is_file()
    ]
    key = natural_key(path.name)
    behind = [each for each in beside if natural_key(each.name) > key]
    return min(behind, key=lambda each: natural_key(each.name), default=None)
