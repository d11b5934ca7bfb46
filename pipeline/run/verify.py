"""A finished workspace, compared with what its stages promise: their manifests, tables, images and labels.

Nothing is changed, and no video is opened. Each stage says itself what it promises, see `SegmentStage.broken`; here
it is asked along the chain, with the command that makes it again.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from annotate.errors import AnnotateError
from annotate.log.store import LABELS, LabelStore
from pipeline.chain.table import (
    APPEARANCE,
    CHAIN,
    CROPS,
    DATASET,
    DETECT,
    EVALUATE,
    FRAMES,
    LABEL,
    MOTION,
    TRACKS,
    ChainStage,
    Scope,
)
from pipeline.dataset.files import FOLDERS
from pipeline.dataset.labelled import state_of_inputs
from pipeline.dataset.promises import broken_dataset
from pipeline.engine.progress import Progress
from pipeline.engine.segment_stage import SegmentStage
from pipeline.errors import PipelineError
from pipeline.labelling.check import broken_labels
from pipeline.lineage.commands import command_of
from pipeline.run.contents import changed_inputs, flight_folders
from pipeline.run.strays import strays
from pipeline.stages.appearance import AppearanceStage
from pipeline.stages.crops import CropsStage
from pipeline.stages.detect import DetectStage
from pipeline.stages.evaluation import FILES, broken_evaluation
from pipeline.stages.frames import FramesStage
from pipeline.stages.motion import MotionStage
from pipeline.stages.tracks import TracksStage
from pipeline.workspace.entries import MANIFEST, files_below, is_ours
from pipeline.workspace.folders import BOXES, CARD, read_card
from pipeline.workspace.manifest import StageFolder, read_record
from pipeline.workspace.promises import Advance, Broken

_OF_FLIGHT = tuple(stage for stage in CHAIN if stage.scope is not Scope.WORKSPACE)
_CLASSES: Mapping[ChainStage, type[SegmentStage] | type[TracksStage]] = {
    FRAMES: FramesStage,
    DETECT: DetectStage,
    CROPS: CropsStage,
    MOTION: MotionStage,
    APPEARANCE: AppearanceStage,
    TRACKS: TracksStage,
}
_SHOWN = 3  # files that no stage made
_RESTORE = "restore a copy, or rebuild it from an exported log with `uavpipe annotate replay`"


@dataclass(frozen=True)
class Finding:
    """A file that is not as its stage promises.

    Attributes:
        path: of the file.
        what: is wrong with it.
        mend: what to do, with a command.

    """

    path: Path
    what: str
    mend: str


@dataclass
class Verified:
    """A flight, or what is made of all flights, after the check.

    Attributes:
        name: for people.
        findings: what is damaged.
        remarks: what is no damage, but worth knowing.
        whole: stages that keep their promises.

    """

    name: str
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)

    def take(self, broken: Iterator[Broken], mend: Callable[[Broken], str]) -> bool:
        """Add what is `broken`; whether nothing is."""
        before = len(self.findings)
        try:
            for each in broken:
                self.findings.append(Finding(each.path, each.what, mend(each)))
        except (PipelineError, AnnotateError) as error:
            path, _, what = str(error).partition(": ")
            self.findings.append(Finding(Path(path), what, mend(Broken(Path(path), what))))
        return len(self.findings) == before


def verify(workspace: Path, progress: Progress) -> Iterator[Verified]:
    """Check each flight of `workspace`, then the labels and what was made of them.

    Raises:
        PipelineError: there is no workspace, or somebody is half forgotten there.

    """
    flights = flight_folders(workspace)
    for flight in flights:
        with progress(f"{flight.name}: images", _images(flight / CROPS.folder)) as advance:
            yield _check_flight(flight, advance)
    with progress(f"{DATASET.name}: images", _images(workspace / DATASET.folder)) as advance:
        yield _check_all(workspace, {path.name for path in flights}, advance)


def _images(folder: Path) -> int:
    counts = (StageFolder(folder).manifest() or {}).get("counts", {})
    return sum(counts.get(name, 0) for name in (CROPS.name, *FOLDERS))


def _check_flight(flight: Path, advance: Advance) -> Verified:
    check = _Flight(flight, advance)
    if check.card is None and not any(check.manifests.values()):
        check.result.remarks.append("was imported: it has tables and no manifests")
        return check.result
    if check.card is None:
        mend = f"run the flight again: {command_of(FRAMES, flight / FRAMES.folder, {})}"
        check.result.findings.append(Finding(flight / CARD, "missing or damaged", mend))
    for stage in _OF_FLIGHT:
        if check.is_whole(stage):
            check.result.whole.append(stage.name)
    others = strays(flight, check.manifests)
    if others:
        shown = ", ".join(map(str, others[:_SHOWN])) + (" …" if len(others) > _SHOWN else "")
        check.result.remarks.append(f"{len(others):,} files that no stage made: {shown}")
    return check.result


class _Flight:
    """The check of one flight, along the chain."""

    def __init__(self, folder: Path, advance: Advance) -> None:
        self.folder, self.advance = folder, advance
        self.result = Verified(folder.name)
        self.card = read_card(folder)
        self.manifests = {stage: StageFolder(folder / stage.folder).manifest() for stage in _OF_FLIGHT}

    def is_whole(self, stage: ChainStage) -> bool:
        """Whether `stage` is finished and keeps its promises; else it is among the findings, if it was begun."""
        folder, manifest = StageFolder(self.folder / stage.folder), self.manifests[stage]
        command = command_of(stage, folder.path, manifest or {})
        if manifest is None:
            if self._is_missed(stage) or has_files(folder.path, stage):
                self.result.findings.append(unfinished(folder, command))
            return False
        if not self.result.take(folder.broken(), lambda _: command):
            return False
        stale = changed_inputs(stage, self.manifests, self.card)
        if stale:
            self.result.remarks.append(f"{stage.name} is stale: {stale}; {command}")
        made = _CLASSES.get(stage)
        if stale or made is None or not {FRAMES.name, *stage.needs} - {stage.name} <= set(self.result.whole):
            return not stale

        def mend(broken: Broken) -> str:
            if broken.path.suffix == ".jpg":
                return f"{command} --set crops.verify=true" if stage is CROPS else command
            return f"remove {folder.path}, then: {command}"

        return self.result.take(made.broken(self.folder, folder, self.advance), mend)

    def _is_missed(self, stage: ChainStage) -> bool:
        """Whether a finished stage was made from `stage`."""
        return any(stage.name in other.needs for other, manifest in self.manifests.items() if manifest)


def has_files(folder: Path, stage: ChainStage) -> bool:
    """Whether `folder` has files of `stage`, hidden ones apart; others' files are no unfinished stage."""
    return any(is_ours(name, stage.ours) and "/." not in f"/{name}" for name in files_below(folder))


def unfinished(folder: StageFolder, command: str) -> Finding:
    """A stage without a whole manifest, which `command` makes again."""
    what = "missing or damaged: the stage was interrupted, or its files are gone"
    return Finding(folder.path / MANIFEST, what, command)


def _check_all(workspace: Path, flights: set[str], advance: Advance) -> Verified:
    result = Verified("all flights")
    for flight in sorted(flights):
        if (workspace / flight / BOXES).exists():
            result.remarks.append(f"labels of {flight} wait to be carried over: `uavpipe {TRACKS.command}`")
    dataset = StageFolder(workspace / DATASET.folder)
    if (workspace / LABELS).is_file():
        if result.take(broken_labels(workspace, flights), lambda _: _RESTORE):
            result.whole.append(LABEL.name)
    elif has_files(dataset.path, DATASET):
        result.findings.append(Finding(workspace / LABELS, "missing, and a data set was made of it", _RESTORE))
    if has_files(dataset.path, DATASET):
        _check_dataset(workspace, dataset, result, advance)
    networks = workspace / EVALUATE.folder
    for folder in sorted({path.parent for name in (MANIFEST, *FILES) for path in networks.rglob(name)}):
        _check_evaluation(workspace, folder, result)
    return result


def _check_dataset(workspace: Path, folder: StageFolder, result: Verified, advance: Advance) -> None:
    manifest = folder.manifest()
    command = command_of(DATASET, folder.path, manifest or {})
    if manifest is None:
        result.findings.append(unfinished(folder, command))
        return
    with ExitStack() as stack:
        store = None
        if LABEL.name in result.whole:
            store = stack.enter_context(LabelStore(workspace / LABELS, create=False))
        if store is None or manifest["inputs"] != state_of_inputs(workspace, store):
            result.remarks.append(f"{DATASET.name} is stale: other labels, crops or tracklets; {command}")
            store = None
        if result.take(broken_dataset(workspace, store, advance), lambda _: f"{command} --set dataset.verify=true"):
            result.whole.append(DATASET.name)


def _check_evaluation(workspace: Path, place: Path, result: Verified) -> None:
    folder = StageFolder(place)
    command = command_of(EVALUATE, place, folder.manifest() or {})
    if folder.manifest() is None and read_record(place / MANIFEST):
        result.remarks.append(f"{place} is of an earlier version, without hashes of its files; {command}")
    elif folder.manifest() is None:
        result.findings.append(unfinished(folder, command))
    elif result.take(broken_evaluation(place, workspace), lambda _: command):
        result.whole.append(place.relative_to(workspace).as_posix())
