"""Moving the rewritten files into place: idempotent steps, and a journal that lists them.

Until the journal exists nothing is changed, and prepared files are deleted. From then on the workspace is between
two states: `pipeline.workspace.folders.locked` keeps everybody out until `resume` has finished.
"""

import errno
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from annotate.log.database import in_use
from annotate.log.store import LABELS, LabelStore
from annotate.operations import Seen
from pipeline.chain.table import APPEARANCE, CROPS, DATASET, DETECT, EMBEDDINGS, REPORT, TRACKS
from pipeline.errors import PipelineError
from pipeline.files import file_sha256
from pipeline.privacy.forget.places import OF_FLIGHT, Places, find_places
from pipeline.privacy.forget.rewrite import Rewritten, rewrite
from pipeline.privacy.forget.selection import BOX, Selection
from pipeline.privacy.forget.verify import fingerprints, remains
from pipeline.relinking.keep import check_carried
from pipeline.stages.appearance import AppearanceStage
from pipeline.stages.crop_store import Picture, sharded_crops
from pipeline.stages.crops import CropsStage
from pipeline.stages.detect import DetectStage
from pipeline.stages.tracks import TracksStage
from pipeline.workspace.atomic import atomic_file, read_json, remove, sweep, write_json
from pipeline.workspace.entries import remove_empty
from pipeline.workspace.folders import FORGETTING, locked
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.tables import read_file

_AGAIN = "make it again, as `uavpipe verify` says, and run this command again"
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
        for path in sorted(workspace.glob(f"[!.]*/{TRACKS.folder}")):
            stack.enter_context(locked(path.parent, resuming=True))
        check_carried(workspace)
        yield


def forget(workspace: Path, store: LabelStore, selection: Selection) -> None:
    """Erase `selection` from `workspace`; the caller has it to itself.

    Closes `store`, whose file is replaced.

    Raises:
        PipelineError: the labels are in use, a file is damaged or gone, a link leads out, or the disk is full;
            nothing was deleted. Or as `resume`.

    """
    area = workspace / FORGETTING
    places = find_places(workspace)
    try:
        remove(area)
        for stage in (DATASET, REPORT):
            sweep(workspace / stage.folder, stage.ours)
        new = rewrite(places, store, selection, area / "files")
        _check_whole(places, selection, new)
        boxes = _boxes(places, selection)
        seen = fingerprints(new.pictures, _kept(places, selection, new))
    except (OSError, ValueError, KeyError) as error:  # a full disk, a torn table, a picture that is gone
        shutil.rmtree(area, ignore_errors=True)
        reason = " ".join(str(error).split())[:160]
        raise PipelineError(f"{workspace}: nothing was deleted, as not all could be prepared: {reason}") from None
    except PipelineError:
        shutil.rmtree(area, ignore_errors=True)
        raise
    store.close()
    if in_use(workspace / LABELS):
        shutil.rmtree(area)
        raise PipelineError(f"{workspace / LABELS}: in use; stop the labelling app first")
    flights = sorted({name.split("/")[0] for name in new.move if "/" in name})
    os.sync()
    journal = {"step": "delete", "delete": new.delete, "move": new.move, "flights": flights, "empty": new.empty}
    check = {"identity": selection.identity, "pictures": seen, "boxes": boxes}
    hashes = {name: file_sha256(area / "files" / name) for name in new.move if "/" in name}  # not the labels'
    write_json(area / "journal.json", {**journal, "check": check, "hashes": hashes})
    resume(workspace)


def _check_whole(places: Places, selection: Selection, new: Rewritten) -> None:
    """Check that no file was missing, or vanished, while the others were rewritten: nobody would notice it later.

    Raises:
        PipelineError: one is, or has other content than its stage wrote.

    """
    deleted = {places.workspace / name for name in new.delete}
    for flight in selection.flights:
        for folder in OF_FLIGHT:
            for each in StageFolder(places.workspace / flight / folder).broken():
                if each.path not in deleted:
                    raise PipelineError(f"{each.path}: {each.what}; nothing was deleted: {_AGAIN}")


def _kept(places: Places, selection: Selection, new: Rewritten) -> Iterator[Picture]:
    """The pictures that stay: crops as they are, and what was painted over, where that changed nothing in it."""
    yield from new.folder.rglob("*.jpg")
    changed = set(new.pictures)
    for flight in selection.flights:
        yield from sharded_crops(new.folder / flight / CROPS.folder)
        for name in places.below(f"{flight}/{CROPS.folder}"):
            path = places.workspace / flight / CROPS.folder / name
            if path.suffix == ".jpg" and path not in changed:
                yield path
        yield from (crop for crop in sharded_crops(places.workspace / flight / CROPS.folder) if crop not in changed)


def _boxes(places: Places, selection: Selection) -> dict[str, dict[int, list[list[float]]]]:
    """The boxes of the detections that go, by flight and frame."""
    found: dict[str, dict[int, list[list[float]]]] = {}
    for flight, part in selection.flights.items():
        rows = read_file(places.workspace / flight / DETECT.output, ["frame", "rank", *BOX])
        found[flight] = {}
        for frame, rank, *box in rows[["frame", "rank", *BOX]].itertuples(index=False):
            if Seen(frame, rank) in part.gone:
                found[flight].setdefault(frame, []).append([float(side) for side in box])
    return found


def resume(workspace: Path) -> bool:
    """Finish what a killed `forget` began; the caller has the workspace to itself.

    Returns:
        Whether there was something to finish.

    Raises:
        PipelineError: the journal is damaged, or names files outside of the workspace; a file cannot be deleted; or
            something of the person is left, by the content of the files. The erasure is not finished then, and the
            next call resumes it. Or, after the erasure, that other files vanished meanwhile.

    """
    area = workspace / FORGETTING
    if area.is_symlink():
        raise PipelineError(f"{area}: a link, which `uavpipe forget` does not make; remove it")
    if not (area / "journal.json").exists():
        return False
    journal, places = _read_journal(area / "journal.json"), find_places(workspace)
    for name in (*journal["delete"], *journal["move"], *journal["flights"]):
        places.locate(name)
    for name in journal["empty"]:
        places.locate_folder(name)
    if journal["step"] == "delete":
        _delete(places, journal["delete"])
        for name in journal["empty"]:
            remove_empty(places.locate_folder(name))
        journal["step"] = "move"
        write_json(area / "journal.json", journal)
    _move(places, area / "files", journal["move"], journal["hashes"])
    deleted = {workspace / name for name in {*journal["delete"]} - {*journal["move"]}}
    folders = [f"{flight}/{folder}" for flight in journal["flights"] for folder in OF_FLIGHT]
    lost = [path for name in folders for path in _update_manifest(places.locate_folder(name), deleted)]
    os.sync()
    _check_gone(places, journal["check"])
    (area / "journal.json").unlink()
    shutil.rmtree(area)
    if lost:
        raise PipelineError(
            f"{lost[0]}: vanished meanwhile ({len(lost):,} such files); the person is erased; what is missing is "
            "made again as `uavpipe verify` says"
        )
    return True


def _delete(places: Places, names: Sequence[str]) -> None:
    failed: list[tuple[Path, str]] = []
    for name in names:
        path = places.locate(name)
        try:
            remove(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            failed.append((path, error.strerror or type(error).__name__))
    if failed:
        path, reason = failed[0]
        raise PipelineError(
            f"{path}: cannot be deleted: {reason} ({len(failed):,} such files); the person is not erased yet: "
            "make it possible, then run `uavpipe forget` again with the same number to resume"
        )


def _move(places: Places, source: Path, names: Sequence[str], hashes: Mapping[str, str]) -> None:
    for name in names:
        new, target = source / name, places.locate(name)
        if not new.exists():
            _drop_unless_moved(target, hashes.get(name))
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _put(new, target)
        except OSError as error:
            raise PipelineError(
                f"{target}: cannot be replaced: {error.strerror}; the person is not erased yet: make it possible, "
                "then run `uavpipe forget` again with the same number to resume"
            ) from None


def _drop_unless_moved(target: Path, sha256: str | None) -> None:
    """Delete `target` if it is not the file that was to be put there, which vanished: the person is in it."""
    if sha256 is not None and target.is_file() and file_sha256(target) != sha256:
        target.unlink()


def _put(new: Path, target: Path) -> None:
    try:
        new.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:  # behind a link to another disk
            raise
        with atomic_file(target) as temporary:
            shutil.copyfile(new, temporary)
        new.unlink()


def _check_gone(places: Places, check: Mapping[str, Any]) -> None:
    left = remains(places, check["identity"], check["pictures"], check["boxes"])
    if left:
        raise PipelineError(
            f"{places.workspace}: not erased yet, {len(left):,} files still have something of the person: "
            f"{', '.join(left[:10])}; delete or move them, then run `uavpipe forget` again with the same number"
        )


def _read_journal(path: Path) -> dict[str, Any]:
    """The journal; one of an earlier version has no check, no empty folders and no hashes."""
    check = {"identity": 0, "pictures": [], "boxes": {}}
    journal = {"empty": [], "check": check, "hashes": {}} | (read_json(path) or {})
    names = [journal.get(part) for part in ("delete", "move", "flights", "empty")]
    names.append([*journal["hashes"].values()] if isinstance(journal["hashes"], dict) else None)
    if journal.get("step") in ("delete", "move") and all(map(_are_names, names)) and _is_check(journal["check"]):
        return journal
    raise PipelineError(f"{path}: damaged; restore the workspace from a copy and run `uavpipe forget` there")


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_check(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("identity"), int):
        return False
    pictures, boxes = value.get("pictures"), value.get("boxes")
    if not isinstance(pictures, list) or not isinstance(boxes, dict):
        return False
    if any(not isinstance(each, list) or [*map(type, each)] != [int, str, str] for each in pictures):
        return False
    return all(isinstance(frames, dict) and all(map(str.isdecimal, frames)) for frames in boxes.values())


def _update_manifest(path: Path, deleted: Collection[Path]) -> list[Path]:
    """Write the current files and counts of the stage in `path`; it stays up to date. Gives files that vanished."""
    folder = StageFolder(path)
    manifest = folder.manifest()
    if manifest is None:
        return []
    lost = folder.accept(manifest, deleted)
    if not lost:
        folder.accept(manifest | {"counts": _counts(folder, manifest)}, deleted)
    return lost


def _counts(folder: StageFolder, manifest: dict[str, Any]) -> dict[str, Any]:
    count = _COUNTS.get(manifest["stage"])
    if count is not None:
        return count(folder.path) if any(folder.path.glob("*.parquet")) else manifest["counts"]
    if manifest["stage"] == EMBEDDINGS.name:
        return manifest["counts"] | {"crops": len(read_file(folder.path / EMBEDDINGS.file))}
    return dict(manifest["counts"])
