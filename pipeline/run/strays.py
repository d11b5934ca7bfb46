"""Files in a flight's folder that no stage made; they do no harm, and are listed only."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.chain.table import REPORT, ChainStage
from pipeline.privacy.redactions import FILE
from pipeline.privacy.shared_clip import FOLDER
from pipeline.workspace.entries import MANIFEST
from pipeline.workspace.folders import BOXES, CAMERA, CARD, CLIPS, CLOCK, FAILED, TERRAIN
from pipeline.workspace.locks import LOCK, TURN

_BESIDE = {CARD, CAMERA, CLOCK, TERRAIN, FILE, BOXES, FOLDER, REPORT.folder, LOCK, TURN, FAILED, CLIPS}
_IMAGES = "images"  # of a stage: named by its table


def strays(flight: Path, manifests: Mapping[ChainStage, Mapping[str, Any] | None]) -> list[Path]:
    """The files in folder `flight` that are none of its stages', in order of names; images of stages apart."""
    known = _BESIDE | {stage.folder for stage in manifests}
    found = [path for path in flight.iterdir() if path.name not in known]
    for stage, manifest in manifests.items():
        if manifest is not None:
            found += _in_stage(flight / stage.folder, manifest["files"])
    return sorted(found)


def _in_stage(folder: Path, files: Mapping[str, str]) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            relative = path.relative_to(folder)
            image = relative.parts[0] == _IMAGES and path.suffix in (".jpg", ".tar")
            part = name.startswith("part-")  # one too many is damage, as it would be read
            if not image and not part and name not in (MANIFEST, LOCK) and relative.as_posix() not in files:
                yield path
