"""CVAT's "for video 1.1": XML with a `<track>` a person and a `<box>` a frame (docs.cvat.ai, format-cvat).

A box is valid until the next one of its track, interpolated linearly; `outside="1"` means that the person is not
visible from this frame on. Tracks with the same attribute `identity` are one identity; else each is its own.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl, Locator

from annotate.errors import AnnotateError
from annotate.exchange.records import Clip, TrackBox, number
from annotate.files import open_regular, write_text

_SHAPES = {"polygon", "polyline", "points", "cuboid", "ellipse", "mask", "skeleton"}
_FLAGS = ("occluded", "keyframe")
_IDENTITY = "identity"
_MOST_BOXES = 2_000_000  # a short file may ask for boxes in any number of frames between two keyframes
_NO_XML = re.compile("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, and \r, which it changes


def read_cvat(path: Path, name: str) -> Clip:
    """The tracks in `path`, of the flight or sequence `name`; boxes by frame, then by track.

    `extra` holds `occluded` and `keyframe` (bool), `attributes` (name -> text), `z_order` and `rotation` as
    text, and `source` of the track.

    Raises:
        AnnotateError: not XML, or with entities or a document type, not of this format, or a bad element; names
            the line.

    """
    from defusedxml import DefusedXmlException
    from defusedxml.sax import parse

    reader = _Reader(path)
    try:
        with open_regular(path) as file:
            parse(file, reader, forbid_dtd=True)
    except OSError as error:
        raise AnnotateError(f"{path}: cannot be read: {error.strerror}") from None
    except DefusedXmlException:
        raise AnnotateError(f"{path}: declares a document type or entities, which no CVAT export does") from None
    except SAXParseException as error:
        raise AnnotateError(f"{path} line {error.getLineNumber()}: not XML: {error.getMessage()}") from None
    except (SAXException, ValueError, LookupError) as error:  # LookupError: an encoding that nobody knows
        raise AnnotateError(f"{path}: not XML: {error}") from None
    boxes = sorted(reader.boxes, key=lambda box: (box.frame, box.track))
    width, height = reader.number_of("width"), reader.number_of("height")
    return Clip(name, tuple(boxes), reader.number_of("size"), (width, height) if width and height else None)


@dataclass
class _Track:
    attributes: dict[str, str]
    boxes: list[tuple[TrackBox, bool]] = field(default_factory=list)  # and whether it is outside


class _Reader(ContentHandler):
    """Gathers the tracks while the file goes by."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.boxes: list[TrackBox] = []
        self._path = path
        self._open: list[str] = []
        self._text = ""
        self._sizes: dict[str, str] = {}
        self._track: _Track | None = None
        self._box: dict[str, str] = {}
        self._attributes: dict[str, str] = {}
        self._attribute = ""

    def number_of(self, name: str) -> int | None:
        """A whole number of the file's description of the task."""
        text = self._sizes.get(name, "").strip()
        return int(text) if text.isdecimal() and len(text) < 10 else None

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - SAX
        if not self._open and name != "annotations":
            raise self._error(f"<{name}> is the outermost element, expected <annotations>")
        self._open.append(name)
        self._text = ""
        if name == "track":
            self._track = _Track(dict(attrs.items()))
        elif name == "image" or (self._track and name in _SHAPES):
            raise self._error(f"<{name}> found; expected the format 'CVAT for video 1.1' with boxes only")
        elif name == "box" and self._track:
            self._box, self._attributes = dict(attrs.items()), {}
        elif name == "attribute":
            self._attribute = attrs.get("name", "")

    def characters(self, content: str) -> None:
        self._text += content

    def endElement(self, name: str) -> None:  # noqa: N802 - SAX
        self._open.pop()
        parent = self._open[-1] if self._open else ""
        if name == "attribute" and parent == "box":
            self._attributes[self._attribute] = self._text
        elif name == "box" and self._track:
            self._track.boxes.append(self._finish_box(self._track))
        elif name == "track" and self._track:
            self._finish_track(self._track)
            self._track = None
        elif (name == "size" and parent in ("task", "job")) or parent == "original_size":
            self._sizes.setdefault(name, self._text)

    def _finish_track(self, track: _Track) -> None:
        track.boxes.sort(key=lambda each: each[0].frame)
        if len(self.boxes) + _extent(track.boxes) > _MOST_BOXES:
            raise self._error(f"more than {_MOST_BOXES:,} boxes, counting those between keyframes; divide the task")
        self.boxes.extend(_visible(track.boxes))

    def _finish_box(self, track: _Track) -> tuple[TrackBox, bool]:
        rest = dict(self._box)
        try:
            frame = int(rest.pop("frame"))
            corners = [float(rest.pop(each)) for each in ("xtl", "ytl", "xbr", "ybr")]
            identity = int(self._attributes.pop(_IDENTITY, track.attributes["id"]))
            label = track.attributes["label"]
            outside = _flag(rest.pop("outside", "0"))
            extra: dict[str, Any] = {each: _flag(rest.pop(each)) for each in _FLAGS if each in rest} | _own(rest)
        except KeyError as error:
            raise self._error(f"<box> of track {track.attributes.get('id')}: {error} is missing") from None
        except ValueError as error:
            raise self._error(f"<box> of track {track.attributes.get('id')}: {error}") from None
        if self._attributes:
            extra["attributes"] = self._attributes
        if "source" in track.attributes:
            extra["source"] = track.attributes["source"]
        x1, y1, x2, y2 = corners
        try:
            return TrackBox(frame, identity, (x1, y1, x2, y2), label=label, extra=extra), outside
        except ValueError as error:
            raise self._error(f"<box> of track {track.attributes.get('id')}: {error}") from None

    def setDocumentLocator(self, locator: Locator) -> None:  # noqa: N802 - SAX
        self._line = locator.getLineNumber

    def _error(self, what: str) -> AnnotateError:
        return AnnotateError(f"{self._path} line {self._line()}: {what}")


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(f"'{text[:20]}' where 0 or 1 was expected")
    return text == "1"


def _extent(boxes: Sequence[tuple[TrackBox, bool]]) -> int:
    """An upper bound of the number of boxes that `_visible` gives."""
    return 1 + sum(after.frame - box.frame for (box, outside), (after, _) in pairwise(boxes) if not outside)


def _visible(boxes: Sequence[tuple[TrackBox, bool]]) -> Iterator[TrackBox]:
    """The boxes of one track, which come in order, in every frame where somebody is there."""
    for (box, outside), (following, _) in pairwise(boxes):
        if not outside:
            yield box
            yield from _between(box, following)
    if boxes and not boxes[-1][1]:
        yield boxes[-1][0]


def _between(first: TrackBox, last: TrackBox) -> Iterator[TrackBox]:
    for frame in range(first.frame + 1, last.frame):
        share = (frame - first.frame) / (last.frame - first.frame)
        x1, y1, x2, y2 = (a + share * (b - a) for a, b in zip(first.box, last.box, strict=True))
        yield replace(first, frame=frame, box=(x1, y1, x2, y2), extra={**first.extra, "keyframe": False})


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
    if outside:
        known["keyframe"] = True
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
