"""Writing the report: gathers all parts and renders the page."""

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from annotate.errors import AnnotateError
from pipeline.chain.table import CROPS, DATASET, FLIGHT_TABLES, FRAMES, REPORT, TRACKS
from pipeline.config.models import ReportConfig
from pipeline.coverage.formats import areas, as_svg
from pipeline.coverage.ground import read_coverage
from pipeline.coverage.recall import read_recall
from pipeline.dataset.page import SPLIT_COLOURS, plots
from pipeline.dataset.statistics import doubt_of_split
from pipeline.errors import PipelineError
from pipeline.headcount import Headcount, read_headcount
from pipeline.lineage.networks import networks_of
from pipeline.pages import render
from pipeline.report.flight import Bar, FlightPart, read_flight
from pipeline.report.people import People, read_people
from pipeline.report.person import read_persons
from pipeline.report.pictures import Pictures
from pipeline.report.plots import cmc
from pipeline.report.provenance import (
    provenance_id,
    provenance_of_dataset,
    provenance_of_evaluation,
    provenance_of_flight,
)
from pipeline.report.records import Fact, Provenance, clock
from pipeline.report.reidentification import OPEN_SET, EvaluationPart, read_evaluations, read_table1, read_trainings
from pipeline.report.timeline import timeline
from pipeline.sightings.drawing import HEIGHT, WIDTH
from pipeline.sightings.tracklets import LabelledTracklets, read_labelled_tracklets
from pipeline.words import counted
from pipeline.workspace.atomic import atomic_folder, read_json, sweep
from pipeline.workspace.entries import MANIFEST, is_taken
from pipeline.workspace.folders import CLIPS, locked
from pipeline.workspace.tables import read_rows

_FLIGHT = f"{FRAMES.folder}/{MANIFEST}", TRACKS.output  # a flight has one of them; imported ones have no frames
_OF_DATASET = ("split", "identity", "camera", "height")  # what its plots need
_FIGURES = (
    *("protocol", "crops", "identities", "splits", "left_out", "leakage", "flights"),
    *("crops_per_identity", "flights_per_identity", "height_px"),
)
log = logging.getLogger("uavpipe")
_OURS = 'content="uavpipe"'  # in the page: tells our folder from a foreign one


@dataclass(frozen=True, eq=False)
class DatasetPart:
    """The data set: the content of `statistics.json`, why its split says little, and plots by title."""

    figures: Mapping[str, Any]
    doubt: str
    plots: Mapping[str, Markup]


@dataclass(frozen=True)
class GroundPart:
    """The ground that was looked at: the map, the areas of each flight, and what the probabilities are by."""

    map: Markup
    areas: Sequence[Mapping[str, str]]
    recall: str


def write_report(workspace: Path, config: ReportConfig, progress: Bar) -> Path:
    """Write `report/` of `workspace`, whole or not at all; parts without data say so.

    Args:
        workspace: with at least one flight.
        config: what to show.
        progress: opens a bar.

    Returns:
        The page.

    Raises:
        PipelineError: there is no flight, a table is damaged, the folder is not a report, another run uses the
            workspace, or the file of the ground truth that the configuration names does not exist.

    """
    folders = sorted({path.parents[1] for name in _FLIGHT for path in workspace.glob(f"[!.]*/{name}")})
    if not folders:
        raise PipelineError(f"{workspace}: no flight here to report on; first: uavpipe run VIDEO")
    with locked(workspace):
        _check_place(workspace / REPORT.folder)
        sweep(workspace / REPORT.folder, REPORT.ours)
        return _write(workspace, folders, config, progress)


def _labelled(workspace: Path) -> LabelledTracklets:
    """The tracklets; none where the labels cannot be read, which the report says in its place."""
    try:
        return read_labelled_tracklets(workspace)
    except (AnnotateError, PipelineError):
        return LabelledTracklets({})


def _write(workspace: Path, folders: Sequence[Path], config: ReportConfig, progress: Bar) -> Path:
    tracklets = _labelled(workspace)  # once: their table and log are as long as all flights together
    flights = [read_flight(folder, config, tracklets, progress) for folder in folders]
    people = read_people(workspace, config.identities)
    headcount = read_headcount(workspace, tracklets.log)
    spans = {flight.name: (flight.begin_s, flight.seconds) for flight in flights}
    persons = read_persons(workspace, people.persons, spans)
    dataset = _dataset(workspace)
    trainings = read_trainings(workspace)
    evaluations = read_evaluations(workspace, config.queries)
    with atomic_folder(workspace / REPORT.folder, REPORT.ours) as folder:
        pictures = Pictures(folder, _roots(workspace, folders, evaluations))
        for flight in flights:
            if flight.clip is not None:
                shutil.copyfile(flight.clip.file, folder / f"{flight.name}.mp4")
        page = render(
            "pipeline.report",
            "report.html",
            written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            workspace=workspace,
            facts=list(_summary(flights, people, headcount, dataset, evaluations)),
            flights=flights,
            columns=list(dict.fromkeys(name for flight in flights for name in flight.facts)),
            people=people,
            headcount=headcount,
            persons=persons,
            map_size=(WIDTH, HEIGHT),
            timelines={
                flight.name: timeline(people.strips[flight.name], flight.begin_s, flight.seconds)
                for flight in flights
                if people.strips.get(flight.name)
            },
            ground=_ground(workspace),
            dataset=dataset,
            colours=SPLIT_COLOURS,
            trainings=trainings,
            evaluations=evaluations,
            open_set_names=OPEN_SET,
            cmc=cmc({each.name: each.curve for each in evaluations}) if evaluations else None,
            table1=read_table1(workspace),
            networks=networks_of(workspace, folders),
            provenance=list(_provenance(workspace, folders, dataset, evaluations)),
            picture=pictures.add,
            clip=partial(_copy_clip, folder / CLIPS),
            clock=clock,
        )
        (folder / REPORT.file).write_text(page, "utf-8")
    if pictures.missing:
        log.warning(
            "%s: %d crops without a picture, as %s: missing, or not of the workspace or an evaluated data set",
            workspace / REPORT.output,
            len(pictures.missing),
            pictures.missing[0],
        )
    return workspace / REPORT.output


def _copy_clip(folder: Path, clip: Path) -> str:
    """The address, relative to the page, of the copy of `clip` in `folder`, which is beside the page."""
    folder.mkdir(exist_ok=True)
    shutil.copyfile(clip, folder / clip.name)
    return f"{folder.name}/{clip.name}"


def _roots(workspace: Path, folders: Sequence[Path], evaluations: Sequence[EvaluationPart]) -> list[Path]:
    """The folders whose pictures are shown."""
    recorded = [root for each in evaluations for root in each.roots]
    return [*(folder / CROPS.folder for folder in folders), workspace / DATASET.folder, *recorded]


def _check_place(folder: Path) -> None:
    """Refuse to replace a folder that is no report: a video may be called `report` as well."""
    page = folder / REPORT.file
    if page.is_file() and _OURS in page.read_text("utf-8", errors="replace")[:2000]:
        return
    if is_taken(folder, f"{REPORT.ours}|{FLIGHT_TABLES}"):
        raise PipelineError(
            f"{folder}: already exists but is not a report by uavpipe; move it, or rename the flight"
        )


def _ground(workspace: Path) -> GroundPart | None:
    """None where no flight has telemetry and an angle of view."""
    try:
        found = read_coverage(workspace, read_recall())
    except PipelineError:
        return None
    return GroundPart(Markup(as_svg(found)), areas(found), found.recall.origin)  # noqa: S704 - numbers alone


def _dataset(workspace: Path) -> DatasetPart | None:
    file = workspace / DATASET.folder / "statistics.json"
    figures, crops = read_json(file), read_rows(workspace / DATASET.output, _OF_DATASET)
    if figures is None or crops is None:
        return None
    missing = [name for name in _FIGURES if name not in figures]
    if missing:
        raise PipelineError(f"{file}: no {', '.join(missing)}; make it again with `uavpipe dataset`")
    return DatasetPart(figures, doubt_of_split(figures), plots(crops))


def _summary(
    flights: Sequence[FlightPart],
    people: People,
    headcount: Headcount | None,
    dataset: DatasetPart | None,
    evaluations: Sequence[EvaluationPart],
) -> Iterator[Fact]:
    """The figures at the top."""
    frames, damaged = sum(each.frames for each in flights), sum(each.damaged for each in flights)
    yield Fact("flights", f"{len(flights):,}", "flights")
    yield Fact("of video", clock(sum(each.seconds for each in flights)), "flights")
    yield Fact(f"of {counted(frames, 'frame')} damaged", f"{damaged:,}", "flights")
    if people.tracklets:
        yield Fact(f"of {counted(people.tracklets, 'tracklet')} labelled", f"{people.labelled:,}", "people")
    if headcount is not None:
        name = f"different people ({headcount.interval})" if headcount.interval else "different people"
        yield Fact(name, f"{headcount.people:,}", "people")
    if people.persons:
        yield Fact("identities", f"{len(people.persons) + people.more:,}", "people")
    if dataset is not None:
        yield Fact("crops in the data set", f"{dataset.figures['crops']:,}", provenance_id(DATASET.folder))
    if evaluations:
        best = evaluations[0]
        for fact in best.facts:
            if fact.name in ("rank-1", "mAP"):
                beside = f"; {best.doubt}" if best.doubt else ""
                yield Fact(f"{fact.name} of {best.name}{beside}", fact.value, fact.provenance)


def _provenance(
    workspace: Path, folders: Sequence[Path], dataset: DatasetPart | None, evaluations: Sequence[EvaluationPart]
) -> Iterator[Provenance]:
    for folder in folders:
        yield from provenance_of_flight(folder)
    if dataset is not None:
        yield provenance_of_dataset(workspace / DATASET.folder)
    for each in evaluations:
        yield provenance_of_evaluation(each.name, each.metrics)
