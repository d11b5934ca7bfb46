"""COCO's JSON with track ids: `videos`, `images` with video and frame, `annotations` with `track_id`.

This is the form of CocoVID and TAO (cocodataset.org gives the rest): `video_id` and `frame_id`, from 0, with each
image. Fields of an annotation that have no place in a `TrackBox` stay in its `extra`, and are written again.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from annotate.errors import AnnotateError
from annotate.exchange.records import Clip, TrackBox
from annotate.files import read_text, write_text
from annotate.operations import describe

_Number = Annotated[float, Field(allow_inf_nan=False)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Video(_Row):
    id: int
    name: str
    length: int | None = None
    width: int | None = None
    height: int | None = None


class _Image(_Row):
    id: int | str
    file_name: str = ""
    width: int | None = None
    height: int | None = None
    video_id: int | None = None
    frame_id: Annotated[int, Field(ge=0)] | None = None


class _Category(_Row):
    id: int
    name: str


class _Annotation(_Row):
    model_config = ConfigDict(extra="allow", frozen=True)

    id: int | str | None = None
    image_id: int | str
    category_id: int
    track_id: Annotated[int, Field(ge=-1)]
    bbox: tuple[_Number, _Number, _Number, _Number]
    area: _Number | None = None
    score: _Number = 1.0


class _File(_Row):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]
    videos: list[_Video] = []


def read_coco_tracks(path: Path) -> list[Clip]:
    """The clips in `path`, by name.

    Images without a video are of the clip that their folder is named after, else of one named after the file;
    images without `frame_id` are numbered in order of their names.

    Raises:
        AnnotateError: not COCO's JSON, an annotation without a track or with an unknown image or category, or a bad
            box; names the annotation.

    """
    try:
        content = _File.model_validate_json(read_text(path))
    except ValidationError as error:
        raise AnnotateError(f"{path}: not COCO annotations with track ids: {describe(error)}") from None
    videos = {video.id: video for video in content.videos}
    labels = {category.id: category.name for category in content.categories}
    clips: dict[str, list[_Image]] = defaultdict(list)
    for image in content.images:
        clips[_clip_name(path, image, videos)].append(image)
    frames = {image.id: place for images in clips.values() for image, place in _number(path, images)}
    boxes: dict[Any, list[TrackBox]] = defaultdict(list)
    for index, row in enumerate(content.annotations):
        try:
            boxes[row.image_id].append(_box(row, frames[row.image_id], labels[row.category_id]))
        except (KeyError, ValueError) as error:
            what = f"no such image or category: {error}" if isinstance(error, KeyError) else str(error)
            raise AnnotateError(f"{path}: annotations.{index}: {what}") from None
    lengths = {video.name: video.length for video in content.videos}
    return [_clip(name, clips[name], frames, boxes, lengths.get(name)) for name in sorted(clips)]


def _clip_name(path: Path, image: _Image, videos: Mapping[int, _Video]) -> str:
    if image.video_id is None:
        return PurePosixPath(image.file_name).parent.name or path.stem
    if image.video_id not in videos:
        raise AnnotateError(f"{path}: image {image.id}: there is no video {image.video_id}")
    return videos[image.video_id].name


def _number(path: Path, images: Sequence[_Image]) -> Iterable[tuple[_Image, int]]:
    if all(image.frame_id is None for image in images):
        return [(image, place) for place, image in enumerate(sorted(images, key=lambda each: each.file_name))]
    numbered = [(image, image.frame_id) for image in images if image.frame_id is not None]
    if len(numbered) < len(images) or len({place for _, place in numbered}) < len(images):
        raise AnnotateError(
            f"{path}: images of one video with frame_id missing or twice, near image {images[0].id}"
        )
    return numbered


def _box(row: _Annotation, frame: int, label: str) -> TrackBox:
    extra = dict(row.model_extra or {})
    if row.area is not None and row.area != _area(row.bbox):
        extra["area"] = row.area  # of a mask, not of the box
    if extra.get("iscrowd") == 0:
        del extra["iscrowd"]
    return TrackBox.from_size(frame, row.track_id, row.bbox, score=row.score, label=label, extra=extra)


def _clip(
    name: str,
    images: Sequence[_Image],
    frames: Mapping[Any, int],
    boxes: Mapping[Any, Sequence[TrackBox]],
    length: int | None,
) -> Clip:
    ordered = sorted(images, key=lambda image: frames[image.id])
    first = ordered[0]
    return Clip(
        name,
        tuple(box for image in ordered for box in boxes.get(image.id, ())),
        length,
        (first.width, first.height) if first.width and first.height else None,
        {frames[image.id]: image.file_name for image in ordered if image.file_name},
    )


def write_coco_tracks(path: Path, clips: Sequence[Clip]) -> None:
    """Write `clips` to `path`; ids count from 1. Frames without a picture's name and without boxes are left out."""
    content: dict[str, list[dict[str, Any]]] = {"videos": [], "images": [], "annotations": [], "categories": []}
    labels = sorted({box.label for clip in clips for box in clip.boxes} or {"person"})
    content["categories"] = [{"id": place, "name": name} for place, name in enumerate(labels, start=1)]
    for video_id, clip in enumerate(clips, start=1):
        size = dict(zip(("width", "height"), clip.size, strict=True)) if clip.size else {}
        length = {} if clip.length is None else {"length": clip.length}
        content["videos"].append({"id": video_id, "name": clip.name, **length, **size})
        boxes: dict[int, list[TrackBox]] = defaultdict(list)
        for box in clip.boxes:
            boxes[box.frame].append(box)
        for frame in sorted(boxes.keys() | clip.files.keys()):
            image_id = len(content["images"]) + 1
            name = {"file_name": clip.files[frame]} if frame in clip.files else {}
            content["images"].append({"id": image_id, **name, **size, "video_id": video_id, "frame_id": frame})
            for box in boxes[frame]:
                place = {"id": len(content["annotations"]) + 1, "image_id": image_id}
                content["annotations"].append({**place, **_annotation(box, labels)})
    write_text(path, json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n")


def _annotation(box: TrackBox, labels: Sequence[str]) -> dict[str, Any]:
    return {
        "iscrowd": 0,
        "area": _area(box.ltwh),
        **box.extra,
        "category_id": labels.index(box.label) + 1,
        "track_id": box.track,
        "bbox": list(box.ltwh),
        "score": box.score,
    }


def _area(bbox: Sequence[float]) -> float:
    return bbox[2] * bbox[3]
