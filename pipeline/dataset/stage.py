"""Stage `dataset`: makes the data set from the labels of a workspace, whole or not at all."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from annotate.log.store import LABELS, LabelStore
from pipeline.chain.table import DATASET, FLIGHT_TABLES
from pipeline.config.models import DatasetConfig
from pipeline.dataset.files import FOLDERS, check_unchanged, file_names, place_files
from pipeline.dataset.labelled import read_labelled, state_of_inputs
from pipeline.dataset.leaks import check_leaks, samples_of
from pipeline.dataset.page import page
from pipeline.dataset.promises import broken_images
from pipeline.dataset.protocol import FIGURES
from pipeline.dataset.split import GALLERY, QUERY, divide
from pipeline.dataset.statistics import statistics
from pipeline.dataset.thin import kept
from pipeline.errors import PipelineError
from pipeline.relinking.keep import check_carried
from pipeline.stages.crop_store import ShardedCrop, in_shard
from pipeline.workspace.atomic import read_json, sweep, write_json
from pipeline.workspace.entries import files_below, is_ours, is_taken
from pipeline.workspace.folders import locked
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.stage import Stage, StageResult
from reid.evaluation.chance import chance_on
from reid.evaluation.protocols import ProtocolName

_TABLE, _PAGE = DATASET.file, "statistics.html"


@dataclass(frozen=True)
class DatasetStage(Stage):
    """The data set of a workspace.

    Attributes:
        workspace: its folder.
        verify: read all files, not only their lengths, to tell whether they are undamaged.

    """

    workspace: Path
    verify: bool

    def is_current(self) -> bool:
        """Whether the data set was made from these labels and settings, and no file of it is damaged or missing."""
        return super().is_current() and _all_there(self.folder, self.workspace, verify=self.verify)


def dataset_stage(workspace: Path, config: DatasetConfig, store: LabelStore) -> DatasetStage:
    """The data set that `config` wants of the labels `store` of `workspace`."""
    inputs, settings = state_of_inputs(workspace, store), config.model_dump(exclude={"verify"})
    if not config.suspect:  # a data set from before there was the setting has no suspect crops either
        del settings["suspect"]
    return DatasetStage(
        DATASET.name, StageFolder(workspace / DATASET.folder), inputs, settings, workspace, config.verify
    )


def run_dataset(workspace: Path, config: DatasetConfig) -> StageResult:
    """Bring `dataset/` of `workspace` up to date with the labels; the result's counts are `statistics.json`.

    Raises:
        PipelineError: nothing is labelled, labels wait to be carried over, a crop is gone, another run is at work,
            or the data set would leak.
        AnnotateError: the labels or tables are damaged.
        ReidError: the data set would leak, or a crop cannot be read.

    """
    if not (workspace / LABELS).is_file():  # now: a workspace without labels gets no lock file
        raise PipelineError(f"{workspace / LABELS}: no labels yet; first: uavpipe label --workspace {workspace}")

    def make(folder: Path) -> Mapping[str, Any]:
        crops, figures = _dataset(workspace, config, store)
        place_files(crops, workspace, folder, copies=config.copy_files)
        crops.to_parquet(folder / _TABLE, index=False)
        write_json(folder / FIGURES, figures)
        (folder / _PAGE).write_text(page(crops, figures), "utf-8")
        return {split: each["crops"] for split, each in figures["splits"].items()}

    check_carried(workspace)
    with locked(workspace), LabelStore(workspace / LABELS, write=False) as store:
        stage = dataset_stage(workspace, config, store)
        _check_place(stage.folder)
        sweep(stage.folder.path, f"{DATASET.ours}|{FLIGHT_TABLES}")
        result = stage.run([_TABLE, FIGURES, _PAGE], make, at_once=DATASET.ours)
    return replace(result, counts=read_json(result.folder / FIGURES) or {})


def finished_dataset(workspace: Path) -> StageResult:
    """The data set of `workspace`, whatever the labels and the configuration say by now.

    Raises:
        PipelineError: there is none.

    """
    folder = StageFolder(workspace / DATASET.folder)
    figures = read_json(folder.path / FIGURES)
    if folder.manifest() is None or figures is None:
        raise PipelineError(f"{folder.path}: this stage is incomplete, so --from cannot skip it")
    return StageResult(DATASET.name, folder.path, figures, skipped=True)


def _check_place(folder: StageFolder) -> None:
    """Refuse to replace a folder that is no data set: a video may be called `dataset` as well."""
    if (folder.manifest() or {}).get("stage") != DATASET.name and is_taken(
        folder.path, f"{DATASET.ours}|{FLIGHT_TABLES}"
    ):
        raise PipelineError(
            f"{folder.path}: already exists but was not created by uavpipe; move it or rename the flight"
        )


def _dataset(workspace: Path, config: DatasetConfig, store: LabelStore) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table of the data set and its figures."""
    labelled = read_labelled(workspace, store)
    check_unchanged(labelled.crops, workspace)
    trusted = labelled.crops[config.suspect | ~labelled.crops["suspect"]].reset_index(drop=True)
    keep = kept(trusted, workspace, config.thin)
    crops = trusted[keep].reset_index(drop=True)
    protocol = _protocol(crops, config)
    crops.insert(0, "name", file_names(crops))
    division = divide(crops, crops["name"].tolist(), config, protocol)
    if not division.identities["train"] and not division.identities["test"]:
        raise PipelineError(
            f"{workspace / LABELS}: no identity is left for a data set: of the labelled ones, "
            f"{division.identities['few_crops']} have fewer than {config.min_crops} crops and "
            f"{division.identities['seen_once']} are seen once only; label more, or change the section 'dataset'"
        )
    crops.insert(1, "split", division.splits)
    crops = crops[crops["split"] != ""].sort_values(["split", "name"], ignore_index=True)
    left_out = {
        **labelled.left_out,
        "suspect": len(labelled.crops) - len(trusted),
        "thinned": int((~keep).sum()),
        **division.left_out,
    }
    leaks = check_leaks(crops, workspace, protocol, config.gap_s)
    chance = chance_on(samples_of(QUERY, crops, workspace), samples_of(GALLERY, crops, workspace), protocol)
    by_chance = dict(chance.figures["random"]) if chance else {}
    return crops, statistics(crops, left_out, division.identities, leaks, by_chance, protocol)


def _protocol(crops: pd.DataFrame, config: DatasetConfig) -> ProtocolName:
    if config.protocol != "auto":
        return config.protocol
    persons = crops[crops["identity"] > 0].groupby("identity")["flight"].agg(["size", "nunique"])
    flights = persons.loc[persons["size"] >= config.min_crops, "nunique"]
    return "flight" if (flights > 1).any() else "tracklet"


def _all_there(folder: StageFolder, workspace: Path, *, verify: bool) -> bool:
    """Whether the folders hold just the images of the table, each as long as its crop, where that is left.

    With `verify` also whether they have the bytes that they had.
    """
    rows = pd.read_parquet(folder.path / _TABLE)
    there = {name for name in files_below(folder.path) if name.endswith(".jpg") and is_ours(name, DATASET.ours)}
    if len(there) != len(rows):
        return False
    for split, name, crop in rows[["split", "name", "crop"]].itertuples(index=False):
        size = _size(f"{folder.path}/{FOLDERS[split]}/{name}")
        if size is None or _size_of_crop(f"{workspace}/{crop}") not in (None, size):
            return False
    return not verify or not any(broken_images(folder.path, rows, lambda _: None))


def _size_of_crop(path: str) -> int | None:
    if not in_shard(path):
        return _size(path)
    try:
        return ShardedCrop(Path(path)).size()
    except OSError:
        return None


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - a Path for each of 50,000 takes seconds
    except OSError:
        return None
