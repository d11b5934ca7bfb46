"""A stage's folder and its manifest: what it was made from, and whether that is still so."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import PipelineError
from pipeline.files import file_sha256, is_inside
from pipeline.workspace.atomic import TEMPORARY, read_json, remove, write_json
from pipeline.workspace.entries import MANIFEST

if TYPE_CHECKING:
    from pipeline.workspace.promises import Broken

_OF_MANIFEST = {"fingerprint": str, "inputs": dict, "section": dict, "counts": dict, "files": dict}
_LONGEST = 200  # letters of a name in a manifest
_CHECK = "check"  # the hash in a record over the rest of it


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
        """Whether the stage was finished from just these inputs and settings, and its files are undamaged."""
        manifest = self.manifest()
        if manifest is None or manifest.get("fingerprint") != stage_fingerprint:
            return False
        return not any(self._damaged(manifest))

    def begin(self) -> None:
        """Open the folder for work: without a manifest, and free of what is damaged or a killed run left."""
        self.reopen()
        self.sweep()

    def sweep(self) -> None:
        """Remove what killed runs, or machines that were lost, had not finished."""
        for leftover in self.path.rglob(f"{TEMPORARY}*"):
            remove(leftover)

    def reopen(self) -> None:
        """Open the folder for work, as `begin`, but leave what others may be writing there."""
        self.path.mkdir(parents=True, exist_ok=True)
        for path in self._damaged(self.manifest() or {}):
            if path.is_file() and is_inside(path, self.path):
                path.unlink()
        (self.path / MANIFEST).unlink(missing_ok=True)

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Write `manifest`, in which `files` are names: the stage's last act.

        Raises:
            PipelineError: one of its files is not there (any more).

        """
        digests = self._digests(manifest["files"])
        gone = next((name for name, digest in digests.items() if not digest), None)
        if gone is not None:
            raise PipelineError(f"{self.path / gone}: disappeared while its stage was finished; run again")
        write_record(self.path / MANIFEST, {**manifest, "files": digests})

    def accept(self, manifest: Mapping[str, Any], deleted: Collection[Path]) -> list[Path]:
        """Write `manifest` with its files as they are now, without those that were `deleted`.

        Returns:
            Its files that are gone otherwise: the manifest keeps them, so that the stage is stale.

        """
        files = {name: former for name, former in manifest["files"].items() if self.path / name not in deleted}
        digests = self._digests(files)
        now = {name: digests[name] or former for name, former in files.items()}
        write_record(self.path / MANIFEST, {**manifest, "files": now})
        return [self.path / name for name, digest in digests.items() if not digest]

    def record(self, manifest: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """Write `manifest` with the content of its file `path` as it is now, and return it."""
        files = {**manifest["files"], path.relative_to(self.path).as_posix(): _digest(path)}
        changed = {**manifest, "files": files}
        write_record(self.path / MANIFEST, changed)
        return changed

    def broken(self) -> "Iterator[Broken]":
        """The files of the finished stage that are missing or changed."""
        from pipeline.workspace.promises import Broken  # pandas: half a second, which not everybody needs

        for path in self._damaged(self.manifest() or {}):
            yield Broken(path, "other content than was written" if path.is_file() else "missing")

    def _digests(self, names: Iterable[str]) -> dict[str, str]:
        return {name: _digest(self.path / name) for name in names}

    def _damaged(self, manifest: Mapping[str, Any]) -> Iterator[Path]:
        """The files of `manifest` whose content is not what was written."""
        for name, digest in manifest.get("files", {}).items():
            if _digest(self.path / name) != digest:
                yield self.path / name


def _is_plain(name: str) -> bool:
    """Whether it is a file's name within a stage's folder."""
    return name.isprintable() and len(name) < _LONGEST and {"", ".", ".."}.isdisjoint(name.split("/"))


def _digest(path: Path) -> str:
    """sha256 (hex) of the file `path`; "" where there is none."""
    try:
        return file_sha256(path)
    except OSError:
        return ""
