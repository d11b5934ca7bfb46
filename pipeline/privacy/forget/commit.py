"""Moving the rewritten files into place: idempotent steps, and a journal that lists them.

Until the journal exists nothing is changed, and prepared files are deleted. From then on the workspace is between
two states: `pipeline.workspace.folders.locked` keeps everybody out until `resume` has finished.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from annotate.log.store import LABELS, LabelStore
from pipeline.chain.table import APPEARANCE, CROPS, DETECT, EMBEDDINGS, TRACKS
from pipeline.errors import PipelineError
from pipeline.privacy.forget.rewrite import rewrite
from pipeline.privacy.forget.selection import Selection
from pipeline.relinking.keep import check_carried
from pipeline.stages.appearance import AppearanceStage
from pipeline.stages.crops import CropsStage
from pipeline.stages.detect import DetectStage
from pipeline.stages.tracks import TracksStage
from pipeline.workspace.atomic import read_json, write_json
from pipeline.workspace.folders import FORGETTING, locked
from pipeline.workspace.manifest import MANIFEST, StageFolder

_COUNTS = {
    DETECT.name: DetectStage.counts,
    CROPS.name: CropsStage.counts,
    APPEARANCE.name: AppearanceStage.counts,
    TRACKS.name: TracksStage.counts,
}


@contextmanager
def workspace_to_oneself(workspace: Path) -> Iterator[None]:
    """Keep every other run out of `workspace` and its flights.

    Raises:
        PipelineError: another run uses it, or labels wait to be carried over.

    """
    with ExitStack() as stack:
        stack.enter_context(locked(workspace, resuming=True))
        for path in sorted(workspace.glob(f"*/{TRACKS.folder}")):
            stack.enter_context(locked(path.parent, resuming=True))
        check_carried(workspace)
        yield


def forget(workspace: Path, store: LabelStore, selection: Selection) -> None:
    """Erase `selection` from `workspace`; the caller has it to itself.

    Closes `store`, whose file is replaced.

    Raises:
        PipelineError: the labels are in use, a file is damaged or gone, or the disk is full; nothing was deleted.

    """
    area = workspace / FORGETTING
    shutil.rmtree(area, ignore_errors=True)
    try:
        new = rewrite(workspace, store, selection, area / "files")
    except (OSError, ValueError, KeyError) as error:  # a full disk, a torn table, a picture that is gone
        shutil.rmtree(area, ignore_errors=True)
        reason = " ".join(str(error).split())[:160]
        raise PipelineError(f"{workspace}: nothing was deleted, as not all could be prepared: {reason}") from None
    store.close()
    if (workspace / f"{LABELS}-wal").exists():  # the last process that closes the store removes it
        shutil.rmtree(area)
        raise PipelineError(f"{workspace / LABELS}: in use; stop the labelling app first")
    flights = sorted({name.split("/")[0] for name in new.move if "/" in name})
    os.sync()
    write_json(
        area / "journal.json", {"step": "delete", "delete": new.delete, "move": new.move, "flights": flights}
    )
    resume(workspace)


def resume(workspace: Path) -> bool:
    """Finish what a killed `forget` began; the caller has the workspace to itself.

    Returns:
        Whether there was something to finish.

    Raises:
        PipelineError: the journal is damaged, or names files outside of the workspace.

    """
    area = workspace / FORGETTING
    if not (area / "journal.json").exists():
        return False
    journal = _read_journal(area / "journal.json")
    if journal["step"] == "delete":
        for name in journal["delete"]:
            path = workspace / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        journal["step"] = "move"
        write_json(area / "journal.json", journal)
    for name in journal["move"]:
        source, target = area / "files" / name, workspace / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
    for flight in journal["flights"]:
        for path in sorted((workspace / flight).glob(f"*/{MANIFEST}")):
            _update_manifest(StageFolder(path.parent))
    os.sync()
    (area / "journal.json").unlink()
    shutil.rmtree(area)
    return True


def _read_journal(path: Path) -> dict[str, Any]:
    journal = read_json(path) or {}
    if journal.get("step") not in ("delete", "move") or not all(
        isinstance(journal.get(part), list) for part in ("delete", "move", "flights")
    ):
        raise PipelineError(f"{path}: damaged; restore the workspace from a copy and run `uavpipe forget` there")
    for name in (*journal["delete"], *journal["move"], *journal["flights"]):
        if not isinstance(name, str) or not name.isprintable() or not {"..", ".", ""}.isdisjoint(name.split("/")):
            raise PipelineError(f"{path}: {str(name)[:80]!r} is no file of this workspace")
    return journal


def _update_manifest(folder: StageFolder) -> None:
    """Write the current files and counts; inputs and settings stay, and so the stage stays up to date."""
    manifest = folder.manifest()
    if manifest is not None:
        folder.accept(manifest | {"counts": _counts(folder, manifest)})


def _counts(folder: StageFolder, manifest: dict[str, Any]) -> dict[str, Any]:
    count = _COUNTS.get(manifest["stage"])
    if count is not None:
        return count(folder.path) if any(folder.path.glob("*.parquet")) else manifest["counts"]
    if manifest["stage"] == EMBEDDINGS.name:
        return manifest["counts"] | {"crops": len(pd.read_parquet(folder.path / EMBEDDINGS.file))}
    return dict(manifest["counts"])
