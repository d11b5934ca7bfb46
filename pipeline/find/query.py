"""Queries: photos, crops of the workspace, and labelled persons as vectors."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageOps

from annotate.operations import tracklet_id
from pipeline.boxes import pixel_window
from pipeline.chain.table import CROPS
from pipeline.errors import PipelineError
from pipeline.find.gallery import Gallery, unit
from pipeline.find.search import Query
from pipeline.sightings.tracklets import LabelledTracklets
from pipeline.stages.crop_store import read_picture
from pipeline.workspace.tables import read_table
from reid.crops import scaled
from reid.embedder import Embedder

Box = tuple[float, float, float, float]
Image = NDArray[np.uint8]
Detect = Callable[[Image], NDArray[np.float32]]
_PADDING = 0.05  # margin of a box, as that of the crops
_CUT_OUT = 512  # px: the height up to which an upright picture without a detection is one person, cut out
_LISTED = 20  # boxes in an error
_FORMATS = ("JPEG", "PNG", "WEBP")  # of an upload: no others are decoded
_MOST_PIXELS = 50_000_000  # of an upload; read from its head, before a pixel is decoded


@dataclass(frozen=True)
class Upload:
    """A picture that somebody sent, and that may be anything.

    Attributes:
        data: its bytes.

    """

    data: bytes

    def __str__(self) -> str:
        return "the picture"


class SeveralPersonsError(PipelineError):
    """A photo shows several persons.

    Attributes:
        boxes: float32 (n, 4), x1, y1, x2, y2, px.
        size: width and height of the photo, px.

    """

    def __init__(self, message: str, boxes: NDArray[np.float32], size: tuple[int, int]) -> None:
        super().__init__(message)
        self.boxes, self.size = boxes, size


Photo = Path | Upload


def person_query(person: int, gallery: Gallery, tracklets: LabelledTracklets) -> Query:
    """The query for a labelled person: all embedded crops.

    Raises:
        PipelineError: there is no such person, or it has no crop.

    """
    numbers = sorted({label for label in tracklets.labels.values() if isinstance(label, int)})
    if person not in numbers:
        raise PipelineError(f"there is no person {person}; known: {', '.join(map(str, numbers[:20])) or 'none'}")
    own = [name for name in gallery.names if tracklets.label(name) == person]
    if not own:
        raise PipelineError(f"person {person} has no crop in the workspace; give a photo")
    return Query(np.concatenate([gallery.of_crops(name) for name in own]), frozenset(own))


def photo_query(
    photos: Sequence[Photo],
    box: Box | None,
    embedder: Embedder,
    detect: Detect,
    workspace: Path,
    tracklets: LabelledTracklets,
    gallery: Gallery,
) -> Query:
    """The query for the person in `photos`.

    Args:
        photos: pictures; a crop of the workspace is taken as it is.
        box: of the person in the only photo: x1, y1, x2, y2, px; None: the detector finds it.
        embedder: makes the vectors.
        detect: gives the boxes of the persons in an image, float32 (n, 4).
        workspace: that is searched.
        tracklets: of the workspace.
        gallery: of the workspace.

    Raises:
        PipelineError: a photo cannot be read, shows nobody, or several persons; lists their boxes.

    """
    if box is not None and len(photos) > 1:
        raise PipelineError(f"a box is of one photo; {len(photos)} are given")
    vectors, own = [], set[str]()
    for photo in photos:
        image, flight = _read(photo), None
        inside = _in_workspace(photo, workspace)
        if inside is not None and box is None:
            flight = inside[0]
            own |= _tracklets_of(inside, workspace, tracklets)
        else:
            image = _cut(image, photo, _person(image, photo, detect) if box is None else np.array(box, np.float32))
        vector = embedder.embed(scaled(image, *embedder.size)[None])
        vectors.append(gallery.centred(unit(vector), flight))
    return Query(np.concatenate(vectors), frozenset(own))


def _read(path: Photo) -> Image:
    if isinstance(path, Upload):
        return _decoded(path)
    try:
        data = np.frombuffer(read_picture(path), np.uint8)
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}") from None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    if image is None:
        raise PipelineError(f"{path}: not a picture that can be read; expected a JPEG, PNG or similar file")
    return np.asarray(image, np.uint8)


def _decoded(upload: Upload) -> Image:
    """The picture, upright, as one of the formats that browsers make; the decoders of all others stay unused."""
    try:
        with Pictures.open(io.BytesIO(upload.data), formats=_FORMATS) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise PipelineError(
                    f"{upload} has {picture.width}x{picture.height} px; expected {_MOST_PIXELS:,} px at most"
                )
            upright = ImageOps.exif_transpose(picture)
            return np.asarray(upright.convert("RGB"), np.uint8)
    except PipelineError:
        raise
    except Exception:  # Pillow's decoders raise nearly anything on a damaged file
        raise PipelineError(f"{upload} cannot be read; expected a whole JPEG, PNG or WebP file") from None


def _in_workspace(photo: Photo, workspace: Path) -> tuple[str, str] | None:
    """Flight and name, relative to its folder of crops, of a crop of the workspace; None for another picture."""
    if isinstance(photo, Upload):
        return None
    path, root = photo.resolve(), workspace.resolve()
    parts = path.relative_to(root).parts if path.is_relative_to(root) else ()
    return (parts[0], "/".join(parts[2:])) if len(parts) > 2 and parts[1] == CROPS.folder else None


def _tracklets_of(crop: tuple[str, str], workspace: Path, tracklets: LabelledTracklets) -> set[str]:
    flight, name = crop
    if flight not in tracklets.rows:
        return set()
    table = read_table(workspace / flight / CROPS.output, ["crop", "frame", "rank"])
    rows = tracklets.rows[flight].merge(table.loc[table["crop"] == name, ["frame", "rank"]], on=["frame", "rank"])
    return {tracklet_id(flight, number) for number in rows["number"].tolist()}


def _person(image: Image, photo: Photo, detect: Detect) -> NDArray[np.float32]:
    """The box of the one person in `image`."""
    boxes = detect(image)
    height, width = image.shape[:2]
    if len(boxes) == 1:
        return boxes[0]
    if len(boxes) > 1:
        from_left = sorted(boxes[:_LISTED].tolist())
        listed = "; ".join(",".join(f"{value:.0f}" for value in box) for box in from_left)
        raise SeveralPersonsError(
            f"{photo}: shows {len(boxes)} persons; choose one with --box X1,Y1,X2,Y2; from the left: {listed}",
            boxes,
            (width, height),
        )
    if width < height <= _CUT_OUT:
        return np.array([0, 0, width, height], np.float32)
    raise PipelineError(f"{photo}: no person is found in it; say where it is with --box X1,Y1,X2,Y2")


def _cut(image: Image, photo: Photo, box: NDArray[np.float32]) -> Image:
    height, width = image.shape[:2]
    if not (0 <= box[0] < box[2] and 0 <= box[1] < box[3] and box[0] < width and box[1] < height):
        raise PipelineError(
            f"{photo}: box {','.join(f'{value:g}' for value in box)} is not inside of the picture, "
            f"which has {width}x{height} px; expected X1,Y1,X2,Y2 with X1 < X2 and Y1 < Y2"
        )
    left, top, right, bottom = pixel_window(box, _PADDING, width, height)
    return np.ascontiguousarray(image[top:bottom, left:right])
