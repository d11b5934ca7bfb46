"""A first configuration for the videos in a folder: YAML with comments, to be changed by hand."""

import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from pipeline.config.flights import require_flights
from pipeline.config.models import FlightConfig
from pipeline.errors import PipelineError
from pipeline.video.content_hash import VIDEO_SUFFIXES, list_images, natural_key
from pipeline.video.recording import find_continuation
from pipeline.workspace.folders import CARD, flight_name

_SUGGESTED = (
    *("detector.weights", "detector.threshold", "detector.backend", "detector.tiles"),
    *("crops.stride", "crops.padding", "crops.min_height"),
    *("camera.fov_deg", "tracks.max_gap_s", "dataset.protocol", "reid.recipe"),
)
_HEAD = """\
# The configuration of uavpipe for these videos. Paths are relative to this file.
#   uavpipe run --config {name} --dry-run     shows what would run
#   uavpipe run --config {name}               runs the chain, and resumes it
"""
_SETTINGS = """
# Some settings with their defaults: to change one, remove the first "# " of its line and of its section's line.
# `uavpipe config` shows all of them.
"""
_WIDTH = 100


def draft(folder: Path, name: str = "flight.yaml") -> str:
    """A configuration for the videos in `folder`; for those in the folders below it, if it has none itself.

    Files that the recorder cut one flight into become its parts. A folder with images and no video is a flight.

    Args:
        folder: of the videos.
        name: of the file that the configuration is for.

    Raises:
        PipelineError: there is nothing to detect in, or a file cannot be a flight; names it.

    """
    flights = [_entry(parts, name_, folder) for parts, name_ in _named(_flights(folder), folder)]
    _check(flights, folder)
    lines = [
        "videos:",
        *(f"  - {_yaml(each)}" for each in flights),
        "workspace: runs  # the folder for all results",
    ]
    return _HEAD.format(name=name) + "\n".join(lines) + "\n" + _SETTINGS + "\n".join(_suggestions()) + "\n"


def _flights(folder: Path) -> list[tuple[Path, ...]]:
    """The files of each flight, in order."""
    try:
        videos = _videos(folder, [path.name for path in folder.iterdir()]) or [
            video for path, names in _below(folder) for video in _videos(path, names)
        ]
        images = not videos and list_images(folder)
    except OSError as error:
        raise PipelineError(f"{folder}: cannot be listed: {error.strerror}") from None
    if images:
        return [(folder,)]
    if not videos:
        kinds = ", ".join(sorted(suffix.removeprefix(".") for suffix in VIDEO_SUFFIXES))
        raise PipelineError(f"{folder}: no video in this folder; expected one of {kinds}, or a folder of images")
    return list(_joined(videos))


def _videos(folder: Path, names: Sequence[str]) -> list[Path]:
    shown = (name for name in names if Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith("."))
    return [folder / name for name in sorted(shown, key=natural_key) if (folder / name).is_file()]


def _below(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """The folders below `folder` and their files, without hidden folders and workspaces, whose videos are ours."""
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if any((Path(path) / name / CARD).exists() for name in folders):
            folders.clear()
        elif Path(path) != folder:
            yield Path(path), names


def _joined(videos: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    """The videos, those that continue each other as one flight."""
    parts: tuple[Path, ...] = ()
    for video in videos:
        if parts and find_continuation(parts[-1]) != video.absolute():
            yield parts
            parts = ()
        parts = (*parts, video)
    yield parts


def _named(flights: Sequence[tuple[Path, ...]], folder: Path) -> Iterator[tuple[tuple[Path, ...], str | None]]:
    """Each flight, with a name where another one of its folder's name has the same file name."""
    same = {
        name: len(list(those))
        for name, those in groupby(sorted(flight_name(parts[0]) for parts in flights), lambda each: each)
    }
    for parts in flights:
        twice = same[flight_name(parts[0])] > 1
        yield parts, "-".join(parts[0].relative_to(folder).with_suffix("").parts) if twice else None


def _entry(parts: tuple[Path, ...], name: str | None, folder: Path) -> str | dict[str, Any]:
    paths = [each.relative_to(folder).as_posix() for each in parts]
    if len(paths) == 1 and name is None:
        return paths[0]
    entry: dict[str, Any] = {"parts": paths} if len(paths) > 1 else {"path": paths[0]}
    return {**entry, **({} if name is None else {"name": name})}


def _suggestions() -> Iterator[str]:
    """The suggested settings as YAML in comments, each with its description above it."""
    for section, keys in groupby(_SUGGESTED, lambda key: key.partition(".")[0]):
        yield f"# {section}:"
        model: type[BaseModel] = type(FlightConfig.model_fields[section].default)
        for key in (each.partition(".")[2] for each in keys):
            field = model.model_fields[key]
            comment = "#   # "
            yield from textwrap.wrap(
                f"{field.description}", _WIDTH, initial_indent=comment, subsequent_indent=comment
            )
            yield f"#   {key}: {_yaml(field.default)}"


def _yaml(value: Any) -> str:
    """A value on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=sys.maxsize, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _check(flights: Sequence[str | dict[str, Any]], folder: Path) -> None:
    """Refuse files that cannot be flights, as a run would."""

    def here(entry: str | dict[str, Any]) -> dict[str, Any]:
        content = {"path": entry} if isinstance(entry, str) else dict(entry)
        if "parts" in content:
            return {**content, "parts": [folder / part for part in content["parts"]]}
        return {**content, "path": folder / content["path"]}

    require_flights(FlightConfig.model_validate({"videos": [here(each) for each in flights]}))
