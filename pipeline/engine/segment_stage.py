"""The contract of stages that are filled segment by segment, and of the writers of a segment."""

import logging
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
from pipeline.workspace.tables import Column, SegmentTable

log = logging.getLogger("uavpipe")
S = TypeVar("S", bound="SegmentStage")


class _DroppedError(Exception):
    """Makes the temporary folders of a writer vanish."""


class SegmentWriter(ABC, Generic[S]):
    """Takes the frames of one segment in order, then ends it.

    A context manager: left by an exception it removes what is unfinished.

    Attributes:
        stage: whose part it writes.
        segment: the segment.
        rows: of the part.
        runtime: of the detector, where it ran; recorded with what it found.
        unfinished: a writer enters its temporary folder here; closing it keeps the folder.

    """

    def __init__(self, stage: S, segment: Segment) -> None:
        self.stage, self.segment = stage, segment
        self.rows: list[dict[str, Any]] = []
        self.runtime = ""
        self.unfinished = ExitStack()

    def __enter__(self) -> Self:
        """Begin the segment."""
        return self

    def drop(self) -> None:
        """End the segment without a part: another process has finished it."""
        dropped = _DroppedError()
        self.unfinished.__exit__(_DroppedError, dropped, None)

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
        runtime = self.runtime if self.stage.makes_detections else ""
        self.stage.tables[-1].write(self.segment.first, self.rows, runtime)


@dataclass(frozen=True)
class SegmentStage(Stage, ABC):
    """A stage whose work divides into the segments of a video: plain data that can be sent to another process.

    What follows is said by the class.

    Attributes:
        schemas: of the tables that it fills, by file; the last one is written last.
        added: what a column gets, by name, that was added to a table since: a table without it is migrated.
        writer: of a segment.
        makes_detections: whether its writers need the detector to see the frames.
        reads_detections: whether its writers need detections, whoever made them.

    """

    schemas: ClassVar[Mapping[str, pa.Schema]]
    added: ClassVar[Mapping[str, Column]] = {}
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

    def is_current(self) -> bool:
        """As `Stage.is_current`; besides, its tables have today's columns, or can be migrated."""
        return super().is_current() and not self._unknown_layout()

    def other_files(self) -> str:
        """A table of another layout, which cannot be migrated; otherwise as `Stage`."""
        return self._unknown_layout() or super().other_files()

    def _unknown_layout(self) -> str:
        files = (self.folder.manifest() or {}).get("files", ())
        for table, path in self._parts():
            ours = path.relative_to(self.folder.path).as_posix() in files  # others' files stop nothing
            if ours and (missing := table.lacks(path, self.added)):
                return f"{table.folder.name} was made without the column {missing}"
        return ""

    def _parts(self) -> Iterator[tuple[SegmentTable, Path]]:
        for table in self.tables:
            for path in sorted(table.folder.glob("part-*.parquet")):
                yield table, path

    def migrate(self) -> int:
        """Bring the tables, those of an interrupted run too, from an earlier version's layout to today's.

        Returns:
            The number of parts that were rewritten.

        """
        former = [(table, path) for table, path in self._parts() if table.is_of_other_layout(path)]
        manifest = self.folder.manifest() if former else None
        if manifest is not None and not self.folder.is_current(self.fingerprint):
            return 0  # it runs again in any case
        count = 0
        for table, path in former:
            try:
                rewritten = table.migrate(path, self.added)
            except (OSError, pa.ArrowException):  # damaged: its segment runs again
                continue
            count += rewritten
            if rewritten and manifest is not None:  # after each, so that a killed run loses one segment at most
                manifest = self.folder.record(manifest, path)
        return count

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
        self.finish(self.counts(self.folder.path), seconds, files, "; ".join(self.check_runtimes(segments)))

    def check_runtimes(self, segments: Sequence[Segment]) -> list[str]:
        """What computed the parts of `segments` that are there; warns if it was more than one."""
        runtimes = self.tables[-1].runtimes(segment.first for segment in segments)
        if len(runtimes) > 1:
            devices = "; ".join(runtimes)
            log.warning("%s: in part computed by each of: %s; last digits may differ", self.folder.path, devices)
        return runtimes
