"""The record of searches in a workspace: who searched when for what."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.find.query import Photo, Upload
from pipeline.stages.crop_store import read_picture
from pipeline.workspace.folders import SEARCHES
from pipeline.workspace.locks import login


def record_search(
    workspace: Path,
    photos: Sequence[Photo] = (),
    person: int | None = None,
    flights: Sequence[str] = (),
    user: str | None = None,
) -> None:
    """Append a line to `searches.jsonl`: time (UTC), user, and the person's number or the photos' sha256.

    Neither the photos nor their names are kept: a name can be a person's. With `flights`, all their people were
    compared with the known ones. `user` is who searches, where that is not the user of this process.

    Raises:
        PipelineError: the file cannot be written.

    """
    wanted: dict[str, Any] = {"person": person} if person is not None else {"photos": [*map(_sha256, photos)]}
    wanted = {"flights": list(flights)} if flights else wanted
    line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "user": user or login(), **wanted}
    try:
        with (workspace / SEARCHES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    except OSError as error:
        raise PipelineError(
            f"{workspace / SEARCHES}: cannot be written: {error.strerror}; --no-audit searches without it"
        ) from None


def _sha256(photo: Photo) -> str:
    try:
        content = photo.data if isinstance(photo, Upload) else read_picture(photo)
        return hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise PipelineError(f"{photo}: cannot be read: {error.strerror}") from None
