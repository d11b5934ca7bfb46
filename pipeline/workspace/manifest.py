"""A stage's folder and its manifest: what it was made from, and whether that is still so."""

import hashlib
import json
import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.workspace.atomic import TEMPORARY, read_json, write_json

MANIFEST = "manifest.json"
_OF_MANIFEST = {"fingerprint": str, "inputs": dict, "section": dict, "counts": dict, "files": dict}
_LONGEST = 200  # letters of a name in a manifest
_CHECK = "check"  # the hash in a record over the rest of it
VERSIONS = ("uavpipe", "torch", "torchvision", "av", "opencv-python", "numpy", "pyarrow")


def fingerprint(content: Mapping[str, Any]) -> str:
    """sha256 (hex) of `content` as canonical JSON: equal content, equal fingerprint, whatever the order."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` to `path` with a hash over it, so that `read_record` tells when it was damaged."""
    write_json(path, {**content, _CHECK: fingerprint(content)})


def read_record(path: Path) -> dict[str, Any] | None:
    """What `write_record` wrote to `path`; None if there is nothing whole."""
    content = read_json(path) or {}
    check = content.pop(_CHECK, None)
    return content if content and check in (None, fingerprint(content)) else None


@dataclass(frozen=True)
class StageFolder:
    """The folder of one stage of one flight."""

    path: Path

    def manifest(self) -> dict[str, Any] | None:
        """What the finished stage said of itself; None while it is unfinished, or where that is damaged."""
        content = read_record(self.path / MANIFEST) or {}
        whole = all(isinstance(content.get(name), kind) for name, kind in _OF_MANIFEST.items())
        return content if whole and all(map(_is_plain, content["files"])) else None

    def is_current(self, stage_fingerprint: str) -> bool:
        """Whether the stage was finished from just these inputs and settings, and its files still stand."""
        manifest = self.manifest()
        if manifest is None or manifest.get("fingerprint") != stage_fingerprint:
            return False
        return not any(self._damaged(manifest))

    def begin(self) -> None:
        """Open the folder for work: without a manifest, and free of what is damaged or a killed run left."""
        self.path.mkdir(parents=True, exist_ok=True)
        for path in self._damaged(self.manifest() or {}):
            if path.is_file():
                path.unlink()
        (self.path / MANIFEST).unlink(missing_ok=True)
        for leftover in self.path.rglob(f"{TEMPORARY}*"):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()

    def finish(
        self,
        stage: str,
        inputs: Mapping[str, Any],
        section: Mapping[str, Any],
        counts: Mapping[str, Any],
        seconds: float,
        files: list[str],
    ) -> None:
        """Write the manifest: the stage's last act.

        Args:
            stage: its name.
            inputs: fingerprints of what it read.
            section: the settings it obeyed.
            counts: what it found, for people to read.
            seconds: wall time of the run that finished it.
            files: names, relative to the folder, whose content `is_current` checks.

        """
        self.accept(
            {
                "stage": stage,
                "fingerprint": stage_fingerprint(stage, inputs, section),
                "inputs": dict(inputs),
                "section": dict(section),
                "counts": dict(counts),
                "seconds": round(seconds, 3),
                "versions": {"python": platform.python_version()} | {name: version(name) for name in VERSIONS},
                "files": sorted(files),
            }
        )

    def accept(self, manifest: Mapping[str, Any]) -> None:
        """Write `manifest` with those of its files that are there, as they are now."""
        files = {name: digest for name in manifest["files"] if (digest := _digest(self.path / name))}
        write_record(self.path / MANIFEST, {**manifest, "files": files})

    def _damaged(self, manifest: Mapping[str, Any]) -> Iterator[Path]:
        """The files of `manifest` whose content is not what was written."""
        for name, digest in manifest.get("files", {}).items():
            if _digest(self.path / name) != digest:
                yield self.path / name


def stage_fingerprint(stage: str, inputs: Mapping[str, Any], section: Mapping[str, Any]) -> str:
    """What a stage's result depends on, as one hash; stored in its manifest and in each of its tables."""
    return fingerprint({"stage": stage, "inputs": dict(inputs), "section": dict(section)})


def _is_plain(name: str) -> bool:
    """Whether it is a file's name within a stage's folder."""
    return name.isprintable() and len(name) < _LONGEST and {"", ".", ".."}.isdisjoint(name.split("/"))


def _digest(path: Path) -> str:
    """sha256 (hex) of the file `path`; "" where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
