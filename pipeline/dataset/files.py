"""The files of the data set: crops under Market-1501's names, in Market-1501's folders."""

import os
import shutil
import stat
from pathlib import Path

import pandas as pd

from pipeline.chain.table import CROPS
from pipeline.dataset.labelled import JUNK, UNKNOWN
from pipeline.errors import PipelineError
from pipeline.files import is_inside
from pipeline.lineage.commands import stage_of
from pipeline.stages.crop_store import in_shard, read_picture
from pipeline.stages.crops import changed_files

_GONE = "the crop is missing; make it again with `uavpipe crops`"
FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}


def file_names(crops: pd.DataFrame) -> list[str]:
    """`0002_c1s1_000451_03.jpg` for identity 2, flight 1, frame 451, detection 3 of the frame; each name once.

    Junk is -1, a distractor 0000. Frames and detections count from 0. Larger numbers get more digits.
    """
    columns = (crops[name].tolist() for name in ("identity", "camera", "frame", "rank"))
    return [
        f"{'-1' if identity == JUNK else f'{identity:04d}'}_c{camera}s1_{frame:06d}_{rank:02d}.jpg"
        for identity, camera, frame, rank in zip(*columns, strict=True)
    ]


def place_files(crops: pd.DataFrame, workspace: Path, folder: Path, *, copies: bool) -> None:
    """Put the crops, each a file, into `FOLDERS` below `folder`; a split without crops gets none.

    Args:
        crops: with the columns split, name and crop.
        workspace: what `crop` is relative to; nothing outside of a flight's folder of crops is taken.
        folder: the data set's.
        copies: instead of hard links. Where the disk has no such links, or of crops in shards, copies are made
            anyway.

    Raises:
        PipelineError: a crop is missing, is no file, or is outside the workspace; names it.

    """
    for split in crops["split"].unique():
        (folder / FOLDERS[split]).mkdir()
    for parent in {os.path.dirname(crop) for crop in crops["crop"]}:  # noqa: PTH120 - a Path for each takes seconds
        parts = Path(parent).parts
        own = (
            workspace.joinpath(*parts[:2]) if parts[1:2] == (CROPS.folder,) else workspace
        )  # may be on another disk
        if not is_inside(workspace / parent, own):
            raise PipelineError(
                f"{workspace / parent}: a link out of the workspace's crops; only crops inside are accepted"
            )
    for split, name, crop in crops[["split", "name", "crop"]].itertuples(index=False):
        source, target = f"{workspace}/{crop}", f"{folder}/{FOLDERS[split]}/{name}"
        if in_shard(source):
            _take_out(Path(source), Path(target))
            continue
        _check(source)
        if copies or not _linked(source, target):
            shutil.copyfile(source, target)


def _take_out(source: Path, target: Path) -> None:
    """Write the crop `source`, which is in a shard, to `target`."""
    try:
        content = read_picture(source)
    except FileNotFoundError:
        raise PipelineError(f"{source}: {_GONE}") from None
    except OSError as error:
        raise PipelineError(f"{source}: {error.strerror}; make it again with `uavpipe crops`") from None
    target.write_bytes(content)


def _check(source: str) -> None:
    try:
        mode = os.lstat(source).st_mode
    except OSError:
        raise PipelineError(f"{source}: {_GONE}") from None
    if not stat.S_ISREG(mode):
        raise PipelineError(f"{source}: not a plain file; make the crop again with `uavpipe crops`")


def check_unchanged(crops: pd.DataFrame, workspace: Path) -> None:
    """Refuse crops (columns flight, crop and crc32) whose bytes changed since they were cut.

    Raises:
        PipelineError: names the first one, and the command that makes it again.

    """
    known = crops[crops["crc32"] != UNKNOWN]
    try:
        changed = changed_files(workspace, dict(zip(known["crop"], known["crc32"], strict=True)))
    except FileNotFoundError as error:
        raise PipelineError(f"{error.filename}: {_GONE}") from None
    except OSError as error:
        raise PipelineError(f"{error.filename}: {error.strerror}; make it again with `uavpipe crops`") from None
    if changed:
        made = stage_of(workspace / changed[0].partition("/")[0], CROPS) or {}
        raise PipelineError(
            f"{workspace / changed[0]}: changed since it was cut, and {len(changed) - 1:,} more of {len(known):,}; "
            f"make it again with `{made.get('command', 'uavpipe crops')} --set crops.verify=true`"
        )


def _linked(source: str, target: str) -> bool:
    try:
        os.link(source, target)
    except OSError:  # no such links here, another disk, or too many of one file
        return False
    return True
