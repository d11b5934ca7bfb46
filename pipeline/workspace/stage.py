"""A stage of the chain in its folder: whether it is up to date, why not, and how it is run and finished."""

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
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
        return "" if self.is_current() else self.what_changed()

    def what_changed(self) -> str:
        """Why the stage, which is not up to date, has to run: for a line before it does."""
        manifest = self.folder.manifest()
        if manifest is None:
            return "was begun, not finished" if any(self.folder.path.glob("*")) else "not done yet"
        changes = [*_changed_inputs(manifest["inputs"], self.inputs), *self._changed_settings(manifest["section"])]
        made, now = (manifest.get("versions") or {}).get("uavpipe"), version("uavpipe")
        by_other = f"made by uavpipe {made}, this is {now}" if made not in (None, now) else ""
        if changes:
            return ", ".join(filter(None, (*changes, by_other)))
        if manifest["fingerprint"] != self.fingerprint:
            return by_other or "made by another version of uavpipe"
        damaged = next(iter(self.folder.broken()), None)
        return f"a file is damaged or gone: {damaged.path.name}" if damaged else self.other_files()

    def other_files(self) -> str:
        """What is wrong with the files of a stage that are as they were written."""
        return "a file is damaged or gone"

    def _changed_settings(self, before: Mapping[str, Any]) -> Iterator[str]:
        for name, value in self.settings.items():
            former = self.former_names.get(name, name)
            if former not in before:
                yield f"{name} is new, and {value}"
            elif before[former] != value:
                yield f"{name} {before[former]} is now {value}"
        known = {self.former_names.get(name, name) for name in self.settings}
        yield from (f"{name} {value} is no setting any more" for name, value in before.items() if name not in known)

    def as_recorded(self, defaults: Mapping[str, Any]) -> Self:
        """The stage with the settings that its result was recorded with, where these mean the same as now.

        A setting that a later version adds does with its default what was done before there was the setting, so
        that a result without it is not made again.

        Args:
            defaults: of the settings.

        """
        manifest = self.folder.manifest()
        if manifest is None or manifest["fingerprint"] == self.fingerprint:
            return self
        current = {former: name for name, former in self.former_names.items()}
        before = {current.get(name, name): value for name, value in manifest["section"].items()}
        stage = replace(self, settings=_without_added(self.settings, before, defaults))
        return stage if stage.fingerprint == manifest["fingerprint"] else self

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

    def finish(self, counts: Mapping[str, Any], seconds: float, files: Sequence[str], runtime: str = "") -> None:
        """Write the manifest: the stage's last act.

        Raises:
            PipelineError: one of `files` is not there.

        Args:
            counts: what it found, for people to read.
            seconds: wall time of the run that finished it.
            files: names, relative to the folder, whose content `is_current` checks.
            runtime: precision, device and versions of the network that computed it; empty: none did.

        """
        device = {"device": runtime} if runtime else {}
        self.folder.finish(
            {
                "stage": self.name,
                "fingerprint": self.fingerprint,
                "inputs": dict(self.inputs),
                "section": self._section,
                "counts": dict(counts),
                "seconds": round(seconds, 3),
                "versions": _versions() | device,
                "files": sorted(files),
            }
        )


@cache  # a package's record takes milliseconds to read, and each stage of each flight asks
def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in VERSIONS}


def _changed_inputs(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in {**now, **before}:
        if before.get(name) != now.get(name):
            words = name.replace("_", " ")
            if name in before:
                yield f"{'other' if name in now else 'without'} {words}"
            else:
                yield f"with {words} {now[name]}" if " " in str(now[name]) else f"with {words}"


def _without_added(
    settings: Mapping[str, Any], before: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """`settings` without those that are not in `before` and have their default, also in sections of sections."""
    kept: dict[str, Any] = {}
    for name, value in settings.items():
        former, default = before.get(name), defaults.get(name)
        if isinstance(value, Mapping) and isinstance(former, Mapping):
            kept[name] = _without_added(value, former, default if isinstance(default, Mapping) else {})
        elif name in before or name not in defaults or value != default:
            kept[name] = value
    return kept
