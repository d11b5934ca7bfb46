"""Reading the sightings of a workspace: each tracklet with its time, place and best crop."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from annotate.operations import Mark, tracklet_id
from pipeline.chain.table import CROPS, DETECT, FRAMES, TRACKS
from pipeline.errors import PipelineError
from pipeline.sightings.places import places_on, read_places
from pipeline.sightings.plane import COLUMNS, plane_places
from pipeline.sightings.records import PlanePlace, PlaneStep, Position, Sighting, Step
from pipeline.sightings.tracklets import LabelledTracklets, read_labelled_tracklets
from pipeline.telemetry.ground_plane import read_camera
from pipeline.telemetry.position import NEEDED, circle_radii, ground_positions
from pipeline.telemetry.terrain import Hills, read_ground
from pipeline.telemetry.wall_clock import WallClock, flight_clock, zone_of
from pipeline.workspace.tables import read_rows, read_table

_KEY = ["frame", "rank"]
_BOX = ["pts_s", "x1", "y1", "x2", "y2"]
log = logging.getLogger("uavpipe")


def read_sightings(
    workspace: Path, tracklets: LabelledTracklets | None = None, zone: str | None = None
) -> list[Sighting]:
    """All sightings of `workspace`, by flight and time; also of open tracklets and junk.

    Args:
        workspace: with tracklets; labels are optional.
        tracklets: of it, where the caller has read them.
        zone: in which times are given, as "Europe/Berlin"; local times of unknown zone are of it. None: as
            recorded.

    Raises:
        AnnotateError, PipelineError: as `read_labelled_tracklets`; or a table is missing or damaged; or there is no
            such zone.

    """
    if zone is not None:
        zone_of(zone)
    tracklets = tracklets or read_labelled_tracklets(workspace)
    places = read_places(workspace)
    found = [each for flight in tracklets.rows for each in _of_flight(workspace, flight, tracklets, zone)]
    return [replace(each, places=places_on(_ways(each), places)) for each in found] if places else found


def _ways(sighting: Sighting) -> list[Position]:
    """Where the person was, in order of time."""
    path = [(step.latitude, step.longitude) for step in sighting.path]
    return path or ([sighting.position] if sighting.position else [])


def _of_flight(workspace: Path, flight: str, tracklets: LabelledTracklets, zone: str | None) -> list[Sighting]:
    folder = workspace / flight
    rows, begin_s = _joined(folder, tracklets.rows[flight])
    if not len(rows):
        return []
    groups = rows.groupby("number", sort=False)
    table = groups.agg(
        first=("frame", "min"),
        last=("frame", "max"),
        begin_s=("pts_s", "min"),
        end_s=("pts_s", "max"),
        boxes=("frame", "size"),
        suspect=("suspect", "sum"),
        latitude=("at_latitude", "median"),
        longitude=("at_longitude", "median"),
        drone_latitude=("latitude", "median"),
        drone_longitude=("longitude", "median"),
        radius_m=("radius_m", "median"),
        **{name: (name, "median") for name in COLUMNS},
    ).join(_best_crops(rows))
    table["path"] = _paths(rows, ["at_latitude", "at_longitude"], 7, Step)
    table["plane_path"] = _paths(rows, COLUMNS[:2], 3, PlaneStep)
    clock = flight_clock(folder)
    clock = clock.in_zone(zone) if clock is not None and zone is not None else clock
    table = table.reset_index().sort_values(["begin_s", "first", "number"])
    return [_sighting(flight, row, clock, begin_s, tracklets) for row in table.to_dict("records")]


def _joined(folder: Path, rows: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """The detections of tracklets with all that is known of each; and the time of the video's first frame."""
    detections = read_table(folder / DETECT.output, [*_KEY, *_BOX])[[*_KEY, *_BOX]]
    rows = rows.merge(detections, on=_KEY, how="left")
    if rows["pts_s"].isna().any():
        raise PipelineError(f"{folder / DETECT.output}: lacks detections of tracklets; run `uavpipe tracks` again")
    linked = read_table(folder / TRACKS.output)
    crops = read_table(folder / CROPS.output, [*_KEY, "crop", "sharpness"])[[*_KEY, "crop", "sharpness"]]
    rows = rows.merge(linked[[*_KEY, "suspect"]] if "suspect" in linked else linked[_KEY], on=_KEY, how="left")
    rows = rows.merge(crops, on=_KEY, how="left")
    frames = read_rows(folder / FRAMES.output, ["frame", "pts_s"])
    begin_s = 0.0 if frames is None else float(frames["pts_s"].min())
    if frames is not None:
        there = ["frame", *(name for name in NEEDED if name in frames)]
        rows = rows.merge(frames[there], on="frame", how="left")
    rows = rows.assign(**{name: np.nan for name in ("suspect", *NEEDED) if name not in rows})
    rows["suspect"] = rows["suspect"].eq(True)
    rows[["at_latitude", "at_longitude", "radius_m"]] = _on_the_ground(folder, rows, frames)
    rows[COLUMNS] = np.nan
    nowhere = rows["at_latitude"].isna().groupby(rows["number"]).transform("all")
    if nowhere.any():
        rows.loc[nowhere, COLUMNS] = plane_places(folder, rows[nowhere], linked[_KEY].merge(detections, on=_KEY))
    return rows, begin_s


def _on_the_ground(folder: Path, rows: pd.DataFrame, frames: pd.DataFrame | None) -> Any:
    """Latitude, longitude and radius of the circle for each detection, (n, 3); NaN where they are not known."""
    unknown = np.full((len(rows), 3), np.nan)
    try:
        camera = read_camera(folder)
    except ValueError as error:  # pydantic's
        log.warning("%s: its camera cannot be read: %s", folder, " ".join(str(error).split())[:120])
        camera = None
    if camera is None or frames is None:
        return unknown
    try:
        ground = read_ground(folder, frames)
    except PipelineError as error:  # flat ground would give positions that nobody asked for
        log.warning("%s: positions of persons are left out: %s", folder.name, error)
        return unknown
    found = np.column_stack([ground_positions(rows, camera, ground), circle_radii(rows, camera, ground)])
    found[np.isnan(found).any(axis=1)] = np.nan
    if isinstance(ground, Hills):
        _warn_of_lost(folder, found, ground_positions(rows, camera), ground.file)
    return found


def _warn_of_lost(folder: Path, found: Any, flat: Any, file: Path) -> None:
    """Say how many detections have a position on flat ground and none on the terrain of `file`."""
    possible = ~np.isnan(flat[:, 0])
    lost = np.isnan(found[possible, 0]).sum()
    if lost:
        log.warning(
            "%s: %d of %d positions are left out: their lines of sight do not meet the ground of %s",
            folder.name,
            lost,
            possible.sum(),
            file,
        )


def _paths(rows: pd.DataFrame, columns: Sequence[str], digits: int, step: Callable[..., Any]) -> pd.Series:
    """The path of each tracklet, by number: a `step` for each second of the video, the medians of the second."""
    known = rows.dropna(subset=list(columns))
    seconds = known.groupby(["number", known["pts_s"].floordiv(1)])
    medians = seconds[["pts_s", *columns]].median().groupby("number")
    steps = {
        number: tuple(step(*row) for row in np.round(part.to_numpy(np.float64), digits).tolist())
        for number, part in medians
    }
    return pd.Series({number: steps.get(number, ()) for number in rows["number"].unique().tolist()}, dtype=object)


def _best_crops(rows: pd.DataFrame) -> pd.Series:
    """The best crop of each tracklet, by number: of the sharper half, the tallest; suspect frames last."""
    shown = rows.dropna(subset=["crop"])
    blurred = shown["sharpness"] < shown.groupby("number")["sharpness"].transform("median")
    order = shown.assign(blurred=blurred, short=shown["y1"] - shown["y2"])
    order = order.sort_values(["suspect", "blurred", "short", "frame"])
    return order.drop_duplicates("number").set_index("number")["crop"]


def _sighting(
    flight: str, row: dict[Any, Any], clock: WallClock | None, begin_s: float, tracklets: LabelledTracklets
) -> Sighting:
    name = tracklet_id(flight, row["number"])
    label = tracklets.label(name)
    identity = None if isinstance(label, Mark) else label
    crop = row["crop"]

    def at(seconds: float) -> datetime | None:
        return None if clock is None else clock.at(seconds - begin_s)

    return Sighting(
        tracklet=name,
        flight=flight,
        identity=identity,
        name="" if identity is None else tracklets.names.get(identity, ""),
        mark=str(label) if isinstance(label, Mark) else "",
        first_frame=row["first"],
        last_frame=row["last"],
        begin_s=row["begin_s"],
        end_s=row["end_s"],
        begin=at(row["begin_s"]),
        end=at(row["end_s"]),
        clock="" if clock is None else clock.source,
        zone="" if clock is None else clock.zone,
        position=_position(row["latitude"], row["longitude"]),
        drone=_position(row["drone_latitude"], row["drone_longitude"]),
        radius_m=None if np.isnan(row["radius_m"]) else round(row["radius_m"], 1),
        path=row["path"],
        plane=_plane(row),
        plane_path=row["plane_path"],
        boxes=row["boxes"],
        crop=f"{flight}/{CROPS.folder}/{crop}" if isinstance(crop, str) else None,
        suspect=row["suspect"],
        tags=tracklets.tags.get(identity or 0, ()),
        note=tracklets.notes.get(identity or 0, ""),
    )


def _plane(row: dict[Any, Any]) -> PlanePlace | None:
    x, y, piece = (row[name] for name in COLUMNS)
    return None if np.isnan(piece) else PlanePlace(round(x, 2), round(y, 2), int(piece))


def _position(latitude: float, longitude: float) -> Position | None:
    return None if np.isnan(latitude) or np.isnan(longitude) else (round(latitude, 7), round(longitude, 7))
