"""Clips: the frames around a crop, cut out around its tracklet, so that a person is seen walking."""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, NamedTuple

from fastapi import FastAPI, Path
from fastapi.responses import Response

from annotate.app.errors import MissingError
from annotate.errors import AnnotateError
from annotate.operations import MAX_TRACKLETS, tracklet_id
from annotate.project import Project
from annotate.records import Box


class Clip(NamedTuple):
    """Square windows of consecutive frames, one below the other in one picture.

    Attributes:
        data: the picture, a JPEG.
        side: of a window, in pixels of the frame.
        frames: index, and time in seconds, of each.

    """

    data: bytes
    side: float
    frames: list[tuple[int, float]]


# Cuts out the clip of a flight around a frame that follows boxes, by frame; raises AnnotateError where it cannot.
Cut = Callable[[str, Mapping[int, Box], int], Clip]


def no_video(flight: str, boxes: Mapping[int, Box], frame: int) -> Clip:
    """The `Cut` of an application without videos."""
    raise AnnotateError(f"{flight}: no video")


def add_routes(app: FastAPI, project: Project, cut: Cut) -> None:
    """The address of clips: a JPEG, in the header `X-Clip` what its windows are; 204 where there is no video."""

    @app.get("/api/clips/{flight}/{number}/{frame}.jpg")
    def clip(flight: str, number: Annotated[int, Path(ge=0, lt=MAX_TRACKLETS)], frame: int) -> Response:
        name = tracklet_id(flight, number)
        with project.reading() as state:
            if name not in state.tracklets:
                raise MissingError(f"there is no tracklet {name[:200]}")
            boxes = {each.frame: each.box for each in project.detections(state, name)}
        try:
            found = cut(flight, boxes, frame)
        except AnnotateError:
            return Response(status_code=204)  # the crops are shown instead
        words = json.dumps({"side": found.side, "frames": found.frames})
        return Response(found.data, media_type="image/jpeg", headers={"X-Clip": words})
