"""A stage of the chain in its folder: whether it is up to date, why not, and how it is run and finished."""

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Self

from pipeline.errors import PipelineError, during
from pipeline.workspace.atomic import atomic_folder
from pipeline.workspace.manifest import StageFolder, fingerprint

VERSIONS = ("uavpipe", "torch", "torchvision", "av", "opencv-python", "numpy", "pyarrow")


@dataclass(frozen=True)
class StageResult:
    """One stage after a run.

    Attributes:
        stage: its name.
        folder: where it wrote.
        counts: what it found.
        skipped: it was up to date already, nothing was done.

    """

    stage: str
    folder: Path
    counts: Mapping[str, Any]
    skipped: bool


@dataclass(frozen=True)
class Stage:
    """A stage as the configuration wants it.

    Attributes:
        name: as in the chain's table.
        folder: its folder in the workspace.
        inputs: fingerprints of what it reads.
        settings: those that its result depends on; the manifest calls them `section`.
        former_names: of settings that were renamed, said by the class. The manifest keeps them, so that a workspace
            of an earlier version stays up to date.

    """

    former_names: ClassVar[Mapping[str, str]] = {}
    name: str
    folder: StageFolder
    inputs: Mapping[str, Any]
    settings: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """What the result depends on, as one hash; stored in the manifest and in each of the stage's tables."""
        return fingerprint({"stage": self.name, "inputs": dict(self.inputs), "section": self._section})

    @property
    def _section(self) -> dict[str, Any]:
        return {self.former_names.get(name, name): value for name, value in self.settings.items()}

    def is_current(self) -> bool:
        """Whether the stage was finished from just these inputs and settings, and its files are undamaged."""
        return self.folder.is_current(self.fingerprint)

    def why_stale(self) -> str:
        """What of inputs, settings or files is not as it was; empty for a stage that is up to date."""
        if self.is_current():
            return ""
        manifest = self.folder.manifest()
        if manifest is None:
            return "was begun, not finished" if any(self.folder.path.glob("*")) else "not done yet"
        before, settings = manifest["inputs"], manifest["section"]
        changes = [
            f"other {name.replace('_', ' ')}" for name in self.inputs if before.get(name) != self.inputs[name]
        ]
        for name, value in self.settings.items():
            former = settings.get(self.former_names.get(name, name))
            changes += [f"{name} {former} is now {value}"] * (former != value)
        return ", ".join(changes) or "a file is damaged or gone"

    def as_finished(self) -> Self:
        """The stage with the inputs and settings that it was finished with, whatever the configuration says now.

        Raises:
            PipelineError: it is not finished, or a file of it is damaged.

        """
        manifest = self.folder.manifest()
        if manifest is None:
            raise PipelineError(f"{self.folder.path}: this stage is incomplete, so --from cannot skip it")
        current = {former: name for name, former in self.former_names.items()}
        settings = {current.get(name, name): value for name, value in manifest["section"].items()}
        stage = replace(self, inputs=manifest["inputs"], settings=settings)
        if not stage.is_current():
            raise PipelineError(f"{self.folder.path}: a file is damaged or missing; run again without --from")
        return stage

    def result(self, *, skipped: bool) -> StageResult:
        """The finished stage, its counts from the manifest."""
        return StageResult(self.name, self.folder.path, (self.folder.manifest() or {})["counts"], skipped)

    def run(
        self, files: Sequence[str], make: Callable[[Path], Mapping[str, Any]], *, at_once: str = ""
    ) -> StageResult:
        """Bring the stage up to date.

        Args:
            files: names, relative to the folder, whose content `is_current` checks.
            make: writes them into the folder it is given, and returns the counts.
            at_once: the files that the stage writes, as a regular expression: its folder is written beside the old
                one and takes its place at the end.

        """
        if self.is_current():
            return self.result(skipped=True)
        started = time.monotonic()
        with during(f"{self.name} ({self.folder.path})"):
            if at_once:
                with atomic_folder(self.folder.path, at_once) as temporary:
                    there = replace(self, folder=StageFolder(temporary))
                    there.finish(make(temporary), time.monotonic() - started, files)
            else:
                self.folder.begin()
                self.finish(make(self.folder.path), time.monotonic() - started, files)
        return self.result(skipped=False)

    def finish(self, counts: Mapping[str, Any], seconds: float, files: Sequence[str]) -> None:
        """Write the manifest: the stage's last act.

        Raises:
            PipelineError: one of `files` is not there.

        Args:
            counts: what it found, for people to read.
            seconds: wall time of the run that finished it.
            files: names, relative to the folder, whose content `is_current` checks.

        """
        self.folder.finish(
            {
                "stage": self.name,
                "fingerprint": self.fingerprint,
                "inputs": dict(self.inputs),
                "section": self._section,
                "counts": dict(counts),
                "seconds": round(seconds, 3),
                "versions": {"python": platform.python_version()} | {name: version(name) for name in VERSIONS},
                "files": sorted(files),
            }
        )
