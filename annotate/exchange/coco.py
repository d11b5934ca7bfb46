"""COCO's JSON with track ids: `videos`, `images` with video and frame, `annotations` with `track_id`.

An image's place in its video is `frame_id` (CocoVID from 0, the converters of CenterTrack and ByteTrack from 1) or
`frame_index` (TAO, from 0). The track is `track_id`, or `track_id` in CVAT's `attributes`. Fields of an annotation
that have no place in a `TrackBox` stay in its `extra`, and are written again.
"""

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from annotate.errors import AnnotateError
from annotate.exchange.records import Clip, Role, TrackBox
from annotate.exchange.source import Source, open_source
from annotate.files import write_text

_FRAME_FIELDS = ("frame_id", "frame_index")
_NUMBERED = re.compile(r"(?:^|/)frame_([0-9]{6,9})\.\w+$")  # as CVAT names the frames of a video, from 0
_OURS = "first_frame"  # of a video: the number of its first frame, which `write_coco_tracks` tells
_USED = ("id", "image_id", "category_id", "track_id", "bbox", "area", "score")
_Id = int | str


@dataclass
class _Video:
    """The images of one clip."""

    name: str
    length: int | None = None
    size: tuple[int, int] | None = None
    first_frame: int | None = None
    images: list[Mapping[str, Any]] = field(default_factory=list)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key under which runs of digits count as numbers, as for a flight's images: frame2 before frame10."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def read_coco_tracks(path: Path, first_frame: int | None = None) -> list[Clip]:
    """The clips in `path`, by name; as `parse_coco_tracks`."""
    return parse_coco_tracks(open_source(path, "coco"), first_frame)


def parse_coco_tracks(source: Source, first_frame: int | None = None, *, tracked: bool = True) -> list[Clip]:
    """The clips in `source`, with the boxes of all categories, by name.

    Images without a video are of the clip that their folder is named after, else of one named after the file;
    images without a frame's number are all frames of their clip, in order of their names. Where no annotation has
    a track, boxes have track -1.

    Args:
        source: the JSON.
        first_frame: the number of a video's first frame; None: see `Clip.counted_from`.
        tracked: whether a box without a track is refused; else its track is -1.

    Raises:
        AnnotateError: not COCO's JSON, an annotation with an unknown image or category, a bad box, ids or names
            that occur twice; names the annotation.

    """
    try:
        content = json.loads(source.text)
    except (ValueError, RecursionError):
        raise AnnotateError(f"{source.shown}: not COCO annotations: not JSON") from None
    return _Reader(source.shown, content, first_frame, tracked=tracked).clips()


class _Reader:
    """Reads one file; every error names the row."""

    def __init__(self, shown: str, content: Any, first_frame: int | None, *, tracked: bool) -> None:
        self._shown, self._tracked = shown, tracked
        self._first_frame = first_frame
        if not isinstance(content, dict):
            raise AnnotateError(f"{shown}: not COCO annotations: expected images, annotations and categories")
        self._content = content

    def clips(self) -> list[Clip]:
        """Each video with its boxes."""
        labels = self._labels()
        videos = self._videos()
        annotations = self._rows("annotations")
        tracked = any(_names_track(row) for row in annotations)
        numbers: dict[_Id, int] = {}
        for video in videos:
            found = self._number(video)
            if not numbers.keys().isdisjoint(found):
                raise self._error(f"an image of {video.name} has the id of another video's; each needs its own")
            numbers |= found
        boxes: dict[_Id, list[TrackBox]] = defaultdict(list)
        for index, row in enumerate(annotations):
            place = f"annotations.{index}"
            image, category = self._id(row, "image_id", place), self._id(row, "category_id", place)
            for kind, number, known in (("image", image, numbers), ("category", category, labels)):
                if number not in known:
                    raise self._error(f"{place}: no such image or category: {number} (its {kind})")
            boxes[image].append(self._box(place, row, numbers[image], labels[category], tracked=tracked))
        return [self._clip(video, numbers, boxes) for video in sorted(videos, key=lambda each: each.name)]

    def _error(self, what: str) -> AnnotateError:
        return AnnotateError(f"{self._shown}: {what}")

    def _rows(self, name: str, *, needed: bool = True) -> list[dict[str, Any]]:
        rows = self._content.get(name, None if needed else [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._error(f"not COCO annotations: expected a list of rows as '{name}'")
        return rows

    def _id(self, row: Mapping[str, Any], name: str, place: str) -> _Id:
        value = row.get(name)
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise self._error(f"{place}.{name}: expected a number or a text, found {_shown(value)}")
        if isinstance(value, str) and re.fullmatch(r"0|[1-9]\d{0,8}", value, re.ASCII):
            return int(value)  # some tools write ids as text in one list, and as numbers in another
        return value

    def _whole(self, row: Mapping[str, Any], name: str, place: str, least: int = 0) -> int | None:
        value = row.get(name)
        if value is None:
            return None
        if isinstance(value, str) and value.strip().lstrip("-").isdecimal() and len(value) < 10:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_whole(value) or value < least:
            raise self._error(f"{place}.{name}: expected a whole number from {least} up, found {_shown(value)}")
        return int(value)

    def _labels(self) -> dict[_Id, str]:
        labels: dict[_Id, str] = {}
        for index, row in enumerate(self._rows("categories")):
            number, name = self._id(row, "id", f"categories.{index}"), row.get("name")
            if not isinstance(name, str):
                raise self._error(f"categories.{index}.name: expected a text, found {_shown(name)}")
            if number in labels or name in labels.values():
                raise self._error(
                    f"categories.{index}: id {number} or name '{name}' occurs twice; keep one of them"
                )
            labels[number] = name
        return labels

    def _videos(self) -> list[_Video]:
        """The videos with their images; images that name none are gathered by folder."""
        known: dict[_Id, _Video] = {}
        for index, row in enumerate(self._rows("videos", needed=False)):
            place = f"videos.{index}"
            number, name = self._id(row, "id", place), row.get("name", row.get("file_name"))
            if number in known or not isinstance(name, str):
                raise self._error(
                    f"{place}: expected an id of its own and a name, found {_shown(number)}, {_shown(name)}"
                )
            length = self._whole(row, "length", place)
            known[number] = _Video(name, length, self._size(row, place), self._whole(row, _OURS, place))
        folders: dict[str, _Video] = {}
        for index, row in enumerate(self._rows("images")):
            name = row.get("file_name") or ""
            if not isinstance(name, str):
                raise self._error(f"images.{index}.file_name: expected a text, found {_shown(name)}")
            if row.get("video_id") is None:
                folder = PurePosixPath(name).parent.name or Path(self._shown).stem
                folders.setdefault(folder, _Video(folder)).images.append(row)
                continue
            video = self._id(row, "video_id", f"images.{index}")
            if video not in known:
                raise self._error(f"images.{index}: there is no video {video} in the file")
            known[video].images.append(row)
        return [*(video for video in known.values() if video.images), *folders.values()]

    def _size(self, row: Mapping[str, Any], place: str) -> tuple[int, int] | None:
        width, height = self._whole(row, "width", place), self._whole(row, "height", place)
        return (width, height) if width and height else None

    def _number(self, video: _Video) -> dict[_Id, int]:
        """Image -> frame, from 0 where the file tells its first number, else the file's own number."""
        ids = [self._id(row, "id", f"an image of {video.name}") for row in video.images]
        given = [self._frame(row, number) for row, number in zip(video.images, ids, strict=True)]
        if all(frame is None for frame in given):
            frames = self._number_by_name(video, ids)
        else:
            frames = {number: frame for number, frame in zip(ids, given, strict=True) if frame is not None}
            video.first_frame = self._first(video, frames)
        if len(set(frames.values())) < len(video.images):
            raise self._error(
                f"images of {video.name} with an id or a frame_id missing or twice, near image {ids[0]}; "
                "each image needs its own"
            )
        return {number: frame - (video.first_frame or 0) for number, frame in frames.items()}

    def _number_by_name(self, video: _Video, ids: Sequence[_Id]) -> dict[_Id, int]:
        """Image -> frame, where only the files' names tell it: their numbers, or their order if they are all."""
        names = [str(row.get("file_name")) for row in video.images]
        twice = next((name for name, count in Counter(names).items() if count > 1), None)
        if twice is not None and len(set(ids)) == len(ids):
            raise self._error(f"several images of {video.name} are called {twice}; export one task alone")
        numbers = [int(match[1]) for match in map(_NUMBERED.search, names) if match]
        if len(numbers) == len(names) and min(numbers) != 1:
            video.first_frame = 0 if min(numbers) == 0 else self._first_frame
            if video.first_frame is not None and min(numbers) < video.first_frame:
                raise self._error(f"{names[0]} comes before frame {video.first_frame}, the first one")
            return dict(zip(ids, numbers, strict=True))
        if self._first_frame is not None or video.length not in (None, len(ids)):
            raise self._error(
                f"the images of {video.name} have no {' or '.join(_FRAME_FIELDS)}, and are {len(ids)} of "
                f"{video.length or '?'} frames; add frame_id"
            )
        ordered = sorted(zip(names, ids, strict=True), key=lambda each: _natural(each[0]))
        video.first_frame, video.length = 0, len(ids)
        return {number: place for place, (_, number) in enumerate(ordered)}

    def _frame(self, row: Mapping[str, Any], number: _Id) -> int | None:
        for name in _FRAME_FIELDS:
            found = self._whole(row, name, f"image {number}")
            if found is not None:
                return found
        return None

    def _first(self, video: _Video, frames: Mapping[_Id, int]) -> int | None:
        """The number of the first frame; None where the file does not tell."""
        lowest, highest = min(frames.values()), max(frames.values())
        told = self._first_frame if self._first_frame is not None else video.first_frame
        if told is None and (lowest == 0 or not any("frame_id" in row for row in video.images)):
            told = 0
        elif told is None and video.length is not None and highest == video.length:
            told = 1
        if told is not None and lowest < told:
            raise self._error(f"an image of {video.name} has frame {lowest}; expected frames from {told} up")
        return told

    def _box(self, place: str, row: Mapping[str, Any], frame: int, label: str, *, tracked: bool) -> TrackBox:
        bbox = row.get("bbox")
        if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
            raise self._error(f"{place}.bbox: expected [left, top, width, height] in pixels, found {_shown(bbox)}")
        if min(bbox[2:]) < 0:
            raise self._error(f"{place}: box {_shown(bbox)} has a negative width or height")
        score = 1.0 if row.get("score") is None else row["score"]
        if not _is_number(score):
            raise self._error(f"{place}.score: expected a number, found {_shown(score)}")
        left, top, width, height = map(float, bbox)
        extra = {name: value for name, value in row.items() if name not in _USED}
        area = row.get("area")
        if _is_number(area) and area != width * height:
            extra["area"] = area  # of a mask, not of the box
        crowd = bool(extra.get("iscrowd"))
        if not crowd:
            extra.pop("iscrowd", None)
        return TrackBox.from_size(
            frame,
            self._track(place, row) if tracked else -1,
            (left, top, width, height),
            score=float(score),
            label=label,
            extra=extra,
            role=Role.REGION if crowd else Role.OBJECT,
        )

    def _track(self, place: str, row: Mapping[str, Any]) -> int:
        for where in (row, row.get("attributes")):
            if isinstance(where, dict):
                found = self._whole(where, "track_id", place, least=-1)
                if found is not None:
                    return found
        if not self._tracked:
            return -1
        raise self._error(
            f"{place}.track_id: no track_id here or in the attributes, which other annotations have; give all of "
            "them one, or none"
        )

    def _clip(self, video: _Video, numbers: Mapping[_Id, int], boxes: Mapping[_Id, Sequence[TrackBox]]) -> Clip:
        frames = {id(row): numbers[self._id(row, "id", "an image")] for row in video.images}
        ordered = sorted(video.images, key=lambda row: frames[id(row)])
        sizes = {size for row in ordered if (size := self._size(row, f"image {row['id']}"))}
        if len(sizes) > 1:
            shown = ", ".join(f"{width}×{height}" for width, height in sorted(sizes)[:3])
            raise self._error(f"images of {video.name} have several sizes: {shown}; a video has one")
        return Clip(
            video.name,
            tuple(box for row in ordered for box in boxes.get(self._id(row, "id", "an image"), ())),
            video.length,
            next(iter(sizes), video.size),
            {frames[id(row)]: row["file_name"] for row in ordered if row.get("file_name")},
            annotated=frozenset(frames.values()),
            counted_from=video.first_frame,
        )


def _names_track(row: Mapping[str, Any]) -> bool:
    places = (row, row.get("attributes"))
    return any(isinstance(place, dict) and place.get("track_id") is not None for place in places)


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e15
        and not math.isnan(value)
    )


def _is_whole(value: float) -> bool:
    return _is_number(value) and float(value).is_integer()


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{str(value)[:60]!r}" if isinstance(value, str) else str(value)[:60]


def write_coco_tracks(path: Path, clips: Sequence[Clip]) -> None:
    """Write `clips` to `path`; ids count from 1. Frames without a picture's name and without boxes are left out."""
    content: dict[str, list[dict[str, Any]]] = {"videos": [], "images": [], "annotations": [], "categories": []}
    labels = sorted({box.label for clip in clips for box in clip.boxes} or {"person"})
    content["categories"] = [{"id": place, "name": name} for place, name in enumerate(labels, start=1)]
    for video_id, clip in enumerate(clips, start=1):
        size = dict(zip(("width", "height"), clip.size, strict=True)) if clip.size else {}
        length = {} if clip.length is None else {"length": clip.length}
        content["videos"].append({"id": video_id, "name": clip.name, _OURS: 0, **length, **size})
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
