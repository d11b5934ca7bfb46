"""The contract of stages that are filled segment by segment, and of the writers of a segment."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

import pyarrow as pa

from detector.records import Detections
from pipeline.video import Damage, Frame, Segment
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.promises import Advance, Broken
from pipeline.workspace.stage import Stage
from pipeline.workspace.tables import SegmentTable

S = TypeVar("S", bound="SegmentStage")


class SegmentWriter(ABC, Generic[S]):
    """Takes the frames of one segment in order, then ends it.

    A context manager: left by an exception it removes what is unfinished.

    Attributes:
        stage: whose part it writes.
        segment: the segment.
        rows: of the part.
        unfinished: a writer enters its temporary folder here; closing it keeps the folder.

    """

    def __init__(self, stage: S, segment: Segment) -> None:
        self.stage, self.segment = stage, segment
        self.rows: list[dict[str, Any]] = []
        self.unfinished = ExitStack()

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

    def finish(self, damage: Sequence[Damage]) -> None:
        """Write the segment's part; the segment is done when this returns."""
        # Folders first: a part without its files would be believed, files without a part are written again.
        self.unfinished.close()
        self.stage.tables[-1].write(self.segment.first, self.rows)


@dataclass(frozen=True)
class SegmentStage(Stage, ABC):
    """A stage whose work divides into the segments of a video: plain data that can be sent to another process.

    What follows is said by the class.

    Attributes:
        schemas: of the tables that it fills, by file; the last one is written last.
        writer: of a segment.
        makes_detections: whether its writers need the detector to see the frames.
        reads_detections: whether its writers need detections, whoever made them.

    """

    schemas: ClassVar[Mapping[str, pa.Schema]]
    writer: ClassVar[type[SegmentWriter[Any]]]
    makes_detections: ClassVar[bool] = False
    reads_detections: ClassVar[bool] = False

    @staticmethod
    @abstractmethod
    def counts(folder: Path) -> dict[str, Any]:
        """What the stage finished in `folder` found, for its manifest and the last line on the screen."""

    @classmethod
    def broken(cls, flight: Path, folder: StageFolder, advance: Advance) -> Iterator[Broken]:
        """The promises of the finished stage, beyond the hashes of its files, that are not kept.

        A part that the plan of segments does not have would be read as if it were one of them.

        Args:
            flight: the flight's folder: the stages that this one needs are in it, whole.
            folder: of the stage; its files are as they were written.
            advance: called with numbers of images that were read.

        """
        manifest = folder.manifest() or {}
        for file in cls.schemas:
            for path in sorted((folder.path / file).glob("part-*.parquet")):
                if path.relative_to(folder.path).as_posix() not in manifest["files"]:
                    yield Broken(path, "a part that the plan of segments does not have; remove it")
        found = cls.counts(folder.path)
        for name, count in manifest["counts"].items():
            if found.get(name, count) != count:
                yield Broken(folder.path, f"{found[name]} {name.replace('_', ' ')}, expected {count}")

    @property
    def tables(self) -> tuple[SegmentTable, ...]:
        """The tables of `schemas`."""
        return tuple(
            SegmentTable(self.folder.path / file, schema, self.fingerprint) for file, schema in self.schemas.items()
        )

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
