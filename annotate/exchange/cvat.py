"""CVAT 1.1's XML: "for video", a `<track>` a person and a `<box>` a frame, and "for images" (docs.cvat.ai).

A box of a keyframe is valid until the next one of its track, interpolated linearly; `outside="1"` means that the
person is not visible from this frame on. Frames are those of the video, also where a task has a part of it: with
`start_frame` and a `step`, the frames between are not annotated. Tracks with the same attribute `identity` are one
identity; else each is its own.
"""

import io
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl, Locator

from annotate.errors import AnnotateError
from annotate.exchange.interpolate import Shape, fill
from annotate.exchange.persons import is_person
from annotate.exchange.records import DECIMALS, Clip, TrackBox, number
from annotate.exchange.source import Source, open_source
from annotate.files import write_text
from annotate.records import Box

_SHAPES = {"polygon", "polyline", "points", "cuboid", "ellipse", "mask", "skeleton"}
_FLAGS = ("occluded", "keyframe")
_IDENTITY = "identity"
_DEPTH = 3  # of a shape: annotations, track or image, shape; the elements of a skeleton are deeper
_FORMS = "expected 'CVAT for video 1.1' or 'CVAT for images 1.1' with boxes"
_MOST_BOXES = 2_000_000  # a short file may ask for boxes in any number of frames between two keyframes
_NO_XML = re.compile("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, and \r, which it changes


def read_cvat(path: Path, name: str) -> Clip:
    """The only task in `path`, as the flight or sequence `name`; as `parse_cvat`.

    Raises:
        AnnotateError: as `parse_cvat`, or the file has several tasks.

    """
    clips = parse_cvat(open_source(path, "cvat"))
    if len(clips) > 1:
        raise AnnotateError(f"{path}: has {len(clips)} tasks: {', '.join(clip.name for clip in clips)}; name one")
    return replace(clips[0], name=name)


def parse_cvat(source: Source) -> list[Clip]:
    """The tasks in `source`, by name, with the boxes of all labels by frame, then by track.

    `extra` holds `occluded` and `keyframe` (bool), `attributes` (name -> text), `z_order` as text, and `source` of
    the track. Of a box with a `rotation` the upright one around it is taken. Boxes "for images" have a track only
    by the attribute `identity` or `track_id`.

    Raises:
        AnnotateError: not XML, or with entities or a document type, not of this format, or a bad element; names
            the line.

    """
    from defusedxml import DefusedXmlException
    from defusedxml.sax import parse

    reader, shown = _Reader(source.shown), source.shown
    try:
        parse(io.BytesIO(source.data), reader, forbid_dtd=True)
    except DefusedXmlException:
        raise AnnotateError(f"{shown}: declares a document type or entities, which no CVAT export does") from None
    except SAXParseException as error:
        raise AnnotateError(f"{shown} line {error.getLineNumber()}: not XML: {error.getMessage()}") from None
    except (SAXException, ValueError, LookupError) as error:  # LookupError: an encoding that nobody knows
        raise AnnotateError(f"{shown}: not XML: {error}") from None
    return reader.clips()


@dataclass
class _Task:
    """What the file says about a task: texts by the name of their element, and what it has found of it."""

    told: dict[str, str] = field(default_factory=dict)
    boxes: list[TrackBox] = field(default_factory=list)
    images: dict[int, str] = field(default_factory=dict)
    sizes: set[tuple[int, int]] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)
    part: bool = False  # a job, which is a part of a task

    def number(self, name: str) -> int | None:
        """A whole number; None where there is none."""
        text = self.told.get(name, "").strip()
        return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None

    @property
    def step(self) -> int:
        """Every how many frames one was annotated."""
        match = re.search(r"step\s*=\s*(\d{1,9})", self.told.get("frame_filter", ""), re.ASCII)
        return max(1, int(match[1])) if match else 1

    @property
    def length(self) -> int | None:
        """Frames of the whole video, where the task is known to have all of them."""
        whole = not self.part and not self.number("start_frame") and self.step == 1
        return self.number("size") if whole else None

    @property
    def beginning_of(self) -> str:
        """The video of which the task has `size` frames from the first one on; "" where that is not told."""
        frames, stop = self.number("size"), self.number("stop_frame")
        first = self.number("start_frame") == 0 and frames is not None and stop == frames - 1
        return self.told.get("source", "").strip() if first else ""

    def has(self, frame: int) -> bool:
        """Whether the frame is one of the task's."""
        start, stop = self.number("start_frame") or 0, self.number("stop_frame")
        return frame >= start and (frame - start) % self.step == 0 and (stop is None or frame <= stop)

    def clip(self, place: int) -> Clip:
        """All of it as one record."""
        width, height = self.number("width"), self.number("height")
        size = (width, height) if width and height else next(iter(self.sizes), None)
        boxes = tuple(sorted(self.boxes, key=lambda box: (box.frame, box.track)))
        name = self.told.get("name", "").strip() or self.told.get("source", "").strip() or f"task {place}"
        annotated = frozenset(self.images) if self.images else None
        video = self.beginning_of
        return Clip(
            name, boxes, self.length, size, self.images, annotated=annotated, left_out=self.left_out, video=video
        )


@dataclass
class _Track:
    attributes: dict[str, str]
    own: dict[str, str] = field(default_factory=dict)  # attributes of all its boxes
    shapes: list[tuple[Shape, dict[str, str]]] = field(default_factory=list)


class _Reader(ContentHandler):
    """Gathers the tracks while the file goes by."""

    def __init__(self, shown: str) -> None:
        super().__init__()
        self._shown = shown
        self._open: list[str] = []
        self._text = ""
        self._tasks: dict[str, _Task] = defaultdict(_Task)
        self._told: dict[str, str] = {}
        self._track: _Track | None = None
        self._image: dict[str, str] = {}
        self._box: dict[str, str] = {}
        self._attributes: dict[str, str] = {}
        self._attribute = ""
        self._count = 0
        self._unnamed: list[tuple[_Task, list[TrackBox], int]] = []  # tracks without an identity, with their ids

    def clips(self) -> list[Clip]:
        """The tasks, once the file has been read."""
        self._number_unnamed()
        tasks = [task for task in self._tasks.values() if task.boxes or task.images or len(self._tasks) == 1]
        return [task.clip(place) for place, task in enumerate(tasks or [_Task(self._told)], start=1)]

    def _number_unnamed(self) -> None:
        """Give tracks without an identity the number that CVAT has for them, or one of their own if it is taken."""
        taken = {box.track for task in self._tasks.values() for box in task.boxes}
        for task, boxes, number_of in self._unnamed:
            free = number_of if number_of not in taken else max(taken) + 1
            taken.add(free)
            task.boxes.extend(replace(box, track=free) for box in boxes)

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - SAX
        if not self._open and name != "annotations":
            raise self._error(f"<{name}> is the outermost element, expected <annotations>")
        inside = "track" in self._open or "image" in self._open
        self._open.append(name)
        own = inside and len(self._open) == _DEPTH
        self._text = ""
        if name == "track" and not inside:
            self._track = _Track(dict(attrs.items()))
        elif name == "image" and not inside:
            self._image = dict(attrs.items())
            self._begin_image()
        elif name in _SHAPES and own:
            self._leave_out(name, dict(attrs.items()))
        elif name == "box" and own:
            self._box, self._attributes = dict(attrs.items()), {}
        elif name == "attribute":
            self._attribute = attrs.get("name", "")

    def characters(self, content: str) -> None:
        self._text += content

    def endElement(self, name: str) -> None:  # noqa: N802 - SAX
        self._open.pop()
        parent = self._open[-1] if self._open else ""
        if name == "attribute" and self._attribute == _IDENTITY and self._track:
            self._identity(
                f"<box> of track {self._track.attributes.get('id')}", self._text
            )  # an error of this line
        if name == "attribute" and parent == "box":
            self._attributes[self._attribute] = self._text
        elif name == "attribute" and parent == "track" and self._track:
            self._track.own[self._attribute] = self._text
        elif name == "box" and parent == "track" and self._track and len(self._open) == _DEPTH - 1:
            self._track.shapes.append((self._shape(), self._attributes))
        elif name == "box" and parent == "image":
            self._finish_image_box()
        elif name == "track" and self._track and "track" not in self._open:
            self._finish_track(self._track)
            self._track = None
        elif "meta" in self._open and parent in ("task", "job", "original_size"):
            self._told.setdefault(name, self._text)
        elif name in ("task", "job") and "meta" in self._open:
            task = self._tasks[self._told.get("id", "").strip() if parent == "tasks" else ""]
            task.told, task.part = self._told, name == "job"
            self._told = {}

    def _task(self, attributes: Mapping[str, str]) -> _Task:
        """The task of a track or image; only in a project's export it is named."""
        key = attributes.get("task_id", "")
        return self._tasks[key if key in self._tasks or "" not in self._tasks else ""]

    def _leave_out(self, shape: str, attributes: Mapping[str, str]) -> None:
        owner = self._track.attributes if self._track else self._image
        label = owner.get("label", attributes.get("label", ""))
        if is_person(label):
            raise self._error(f"<{shape}> found for a '{label}'; {_FORMS} only")
        self._task(owner).left_out[f"{shape} of {label or 'no label'}"] += 1

    def _begin_image(self) -> None:
        task, image = self._task(self._image), self._image
        try:
            frame = int(image["id"])
        except (KeyError, ValueError):
            raise self._error(f"<image> with id {image.get('id', 'missing')}; {_FORMS}") from None
        task.images[frame] = image.get("name", "")
        sides = [image.get(name, "") for name in ("width", "height")]
        if all(re.fullmatch(r"[1-9]\d{0,8}", side, re.ASCII) for side in sides):
            task.sizes.add((int(sides[0]), int(sides[1])))
        if len(task.sizes) > 1:
            sizes = ", ".join(f"{width}×{height}" for width, height in sorted(task.sizes))
            raise self._error(f"images of several sizes: {sizes}; the frames of a video have one")

    def _finish_image_box(self) -> None:
        place = f"<box> of image {self._image['id']}"
        shape = self._shape(frame=self._image["id"], place=place)
        attributes = {**self._attributes}
        name = _IDENTITY if _IDENTITY in attributes else "track_id"
        track = self._identity(place, attributes.pop(name, ""))
        box = self._finished(place, shape, self._box.get("label", ""), track, attributes, self._box.get("source"))
        self._task(self._image).boxes.append(box)

    def _finish_track(self, track: _Track) -> None:
        if not track.shapes:
            return
        task, place = self._task(track.attributes), f"<box> of track {track.attributes.get('id')}"
        identity = -1
        boxes: list[TrackBox] = []
        shapes, stale = fill(
            [(shape, attributes) for shape, attributes in track.shapes], task.has, _MOST_BOXES - self._count
        )
        if shapes is None:
            raise self._error(f"more than {_MOST_BOXES:,} boxes, counting those between keyframes; divide the task")
        if stale:
            task.left_out["stale boxes between keyframes"] += stale
        for shape, own in shapes:
            attributes = {**track.own, **own}
            identity = self._identity(place, attributes.pop(_IDENTITY, ""))
            label = track.attributes.get("label")
            if label is None:
                raise self._error(f"{place}: 'label' is missing")
            boxes.append(self._finished(place, shape, label, identity, attributes, track.attributes.get("source")))
        self._count += len(boxes)
        named = [box for box in boxes if box.track >= 0]
        task.boxes.extend(named)
        rest = [box for box in boxes if box.track < 0]
        if rest:
            self._unnamed.append((task, rest, self._track_id(track)))

    def _track_id(self, track: _Track) -> int:
        text = track.attributes.get("id", "").strip()
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
            raise self._error(f"<track> with id '{text[:20]}'; expected a whole number")
        return int(text)

    def _identity(self, place: str, text: str) -> int:
        text = text.strip()
        if not text:
            return -1
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
            raise self._error(
                f"{place}: attribute {_IDENTITY} is '{text[:20]}'; expected a whole number (a person's name goes "
                "into the attribute 'name')"
            )
        return int(text)

    def _shape(self, frame: str | None = None, place: str = "") -> Shape:
        rest = dict(self._box)
        place = place or f"<box> of track {self._track.attributes.get('id') if self._track else ''}"
        try:
            at = _frame(rest.pop("frame") if frame is None else frame)
            x1, y1, x2, y2 = (_coordinate(rest.pop(each)) for each in ("xtl", "ytl", "xbr", "ybr"))
            outside = _flag(rest.pop("outside", "0"))
            extra: dict[str, Any] = {each: _flag(rest.pop(each)) for each in _FLAGS if each in rest} | _own(rest)
        except KeyError as error:
            raise self._error(f"{place}: {error} is missing") from None
        except ValueError as error:
            raise self._error(f"{place}: {error}") from None
        if x1 > x2 or y1 > y2:
            raise self._error(f"{place}: box ({x1:g}, {y1:g}, {x2:g}, {y2:g}): expected xtl <= xbr and ytl <= ybr")
        return Shape(at, (x1, y1, x2, y2), outside, extra)

    def _finished(
        self, place: str, shape: Shape, label: str, track: int, attributes: dict[str, str], source: str | None
    ) -> TrackBox:
        extra = dict(shape.extra)
        if attributes:
            extra["attributes"] = attributes
        if source is not None:
            extra["source"] = source
        try:
            box = _upright(shape.box, extra.pop("rotation", "0"))
            return TrackBox(shape.frame, track, box, label=label, extra=extra)
        except ValueError as error:
            raise self._error(f"{place}: {error}") from None

    def setDocumentLocator(self, locator: Locator) -> None:  # noqa: N802 - SAX
        self._line = locator.getLineNumber

    def _error(self, what: str) -> AnnotateError:
        return AnnotateError(f"{self._shown} line {self._line()}: {what}")


def _frame(text: str) -> int:
    if not re.fullmatch(r"\d{1,10}", text.strip(), re.ASCII):
        raise ValueError(f"frame '{text[:20]}'; expected a whole number from 0 up")
    return int(text)


def _upright(box: Box, rotation: str) -> Box:
    """The upright box around `box`, turned about its centre by `rotation` degrees.

    Raises:
        ValueError: `rotation` is no number.

    """
    angle = math.radians(_coordinate(rotation))
    if not angle:
        return box
    x1, y1, x2, y2 = box
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    width, height = (x2 - x1) * cos + (y2 - y1) * sin, (x2 - x1) * sin + (y2 - y1) * cos
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    sides = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    left, top, right, bottom = (round(side, DECIMALS) for side in sides)
    return left, top, right, bottom


def _coordinate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e9:
        raise ValueError(f"'{text[:20]}' where pixels were expected")
    return value


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(f"'{text[:20]}' where 0 or 1 was expected")
    return text == "1"


def write_cvat(path: Path, clip: Clip) -> None:
    """Write `clip` to `path`; a track in two boxes of one frame becomes two `<track>`s of one identity.

    Raises:
        AnnotateError: a text has a character that XML cannot hold.

    """
    out = io.StringIO()
    xml = _Writer(out)
    tracks = _divide(clip.boxes)
    xml.startDocument()
    with xml.element("annotations"):
        xml.leaf("version", "1.1")
        with xml.element("meta"), xml.element("task"):
            _write_task(xml, clip)
        for place, boxes in enumerate(tracks):
            source = str(boxes[0].extra.get("source", "manual"))
            with xml.element("track", id=str(place), label=boxes[0].label, source=source):
                _write_boxes(xml, boxes, clip.length)
    write_text(path, out.getvalue())


def _divide(boxes: Sequence[TrackBox]) -> list[list[TrackBox]]:
    """The boxes by `<track>`, in order of frames, no frame twice."""
    tracks: dict[tuple[object, ...], list[TrackBox]] = {}
    used: set[tuple[object, ...]] = set()
    for box in sorted(boxes, key=lambda each: each.frame):
        key: tuple[object, ...] = (box.track, box.label, box.extra.get("source"))
        while (key, box.frame) in used:
            key = (*key, "again")
        used.add((key, box.frame))
        tracks.setdefault(key, []).append(box)
    return list(tracks.values())


def _write_task(xml: "_Writer", clip: Clip) -> None:
    xml.leaf("name", clip.name)
    if clip.length is not None:
        xml.leaf("size", str(clip.length))
    xml.leaf("mode", "interpolation")
    attributes = sorted({name for box in clip.boxes for name in box.extra.get("attributes", ())})
    with xml.element("labels"):
        for label in sorted({box.label for box in clip.boxes}):
            with xml.element("label"):
                xml.leaf("name", label)
                with xml.element("attributes"):
                    for name in (_IDENTITY, *attributes):
                        _write_attribute(xml, name)
    if clip.size:
        with xml.element("original_size"):
            xml.leaf("width", str(clip.size[0]))
            xml.leaf("height", str(clip.size[1]))


def _write_attribute(xml: "_Writer", name: str) -> None:
    with xml.element("attribute"):
        xml.leaf("name", name)
        xml.leaf("mutable", "True")
        xml.leaf("input_type", "text")
        xml.leaf("default_value", "")
        xml.leaf("values", "")


def _write_boxes(xml: "_Writer", boxes: Sequence[TrackBox], length: int | None) -> None:
    following = [box.frame for box in boxes[1:]] + [length]
    for box, next_frame in zip(boxes, following, strict=True):
        _write_box(xml, box, box.frame, outside=False)
        if box.frame + 1 != next_frame:
            _write_box(xml, box, box.frame + 1, outside=True)


def _write_box(xml: "_Writer", box: TrackBox, frame: int, *, outside: bool) -> None:
    corners = dict(zip(("xtl", "ytl", "xbr", "ybr"), map(number, box.box), strict=True))
    known = {"keyframe": True, "occluded": False, "z_order": "0"} | _own(box.extra)
    known["keyframe"] = True  # any other box is replaced by what its keyframes give
    rest = {name: str(int(value)) if isinstance(value, bool) else str(value) for name, value in known.items()}
    with xml.element("box", frame=str(frame), outside=str(int(outside)), **corners, **rest):
        for name, value in {_IDENTITY: box.track, **box.extra.get("attributes", {})}.items():
            xml.leaf("attribute", str(value), name=name)


def _own(extra: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `extra` that CVAT knows as attributes of a box."""
    return {name: extra[name] for name in (*_FLAGS, "z_order", "rotation") if name in extra}


class _Writer(XMLGenerator):
    """Writes elements, one a line."""

    def __init__(self, out: io.StringIO) -> None:
        super().__init__(out, encoding="utf-8", short_empty_elements=True)

    @contextmanager
    def element(self, tag: str, /, **attributes: str) -> Iterator[None]:
        """An element around what is written in the `with`."""
        for text in attributes.values():
            self._check(text)
        self.startElement(tag, AttributesImpl(attributes))
        self.ignorableWhitespace("\n")
        yield
        self.endElement(tag)
        self.ignorableWhitespace("\n")

    def leaf(self, tag: str, text: str, /, **attributes: str) -> None:
        """An element that holds `text`."""
        for each in (text, *attributes.values()):
            self._check(each)
        self.startElement(tag, AttributesImpl(attributes))
        self.characters(text)
        self.endElement(tag)
        self.ignorableWhitespace("\n")

    def _check(self, text: str) -> None:
        if _NO_XML.search(text):
            raise AnnotateError(f"{text[:40]!r} has a character that XML cannot hold; remove it first")
