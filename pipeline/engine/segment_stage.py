"""The interface of stages that are filled segment by segment in a pass over the video."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from detector.records import Detections
from pipeline.video import Damage, Frame, Segment
from pipeline.workspace.stage import Stage
from pipeline.workspace.tables import SegmentTable


class SegmentWriter(ABC):
    """Takes the frames of one segment in order, then ends it.

    A context manager: left by an exception it removes what is unfinished.
    """

    def __init__(self) -> None:
        self.unfinished = ExitStack()  # a subclass enters its temporary folder here; closing it keeps the folder

    def __enter__(self) -> Self:
        """Begin the segment."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what is unfinished."""
        self.unfinished.__exit__(kind, error, trace)

    @abstractmethod
    def add(self, frame: Frame, detections: Detections | None) -> None:
        """Take the next frame; `detections` is None where no stage asked for them."""

    @abstractmethod
    def finish(self, damage: Sequence[Damage]) -> None:
        """Write the segment's part; the segment is done when this returns."""


@dataclass(frozen=True)
class SegmentStage(Stage, ABC):
    """A stage whose work divides into the segments of a video: plain data that can be sent to another process.

    Attributes:
        makes_detections: whether its writers need the detector to see the frames; said by the class.
        reads_detections: whether its writers need detections, whoever made them; said by the class.

    """

    makes_detections: ClassVar[bool] = False
    reads_detections: ClassVar[bool] = False

    @property
    @abstractmethod
    def tables(self) -> tuple[SegmentTable, ...]:
        """The tables that it fills, the last one written last."""

    @abstractmethod
    def write(self, segment: Segment) -> SegmentWriter:
        """A writer for `segment`."""

    @staticmethod
    @abstractmethod
    def counts(folder: Path) -> dict[str, Any]:
        """What the stage finished in `folder` found, for its manifest and the last line on the screen."""

    def is_done(self, segment: Segment) -> bool:
        """Whether `segment` was finished from these inputs and settings."""
        return all(table.has(segment.first) for table in self.tables)

    def end(self, segments: Sequence[Segment], seconds: float) -> None:
        """Remove what no segment of the plan claims, and write the manifest.

        Raises:
            PipelineError: a part of a planned segment is not there.

        """
        firsts = [segment.first for segment in segments]
        for table in self.tables:
            table.sweep(set(firsts))
        files = [name for table in self.tables for name in table.files(self.folder.path, firsts)]
        self.finish(self.counts(self.folder.path), seconds, files)
