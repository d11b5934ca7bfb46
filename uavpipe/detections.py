"""The persons in one image, and their forms in supervision, COCO's results and pandas."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from detector import records
from uavpipe.errors import UavpipeError, one_error

if TYPE_CHECKING:
    import pandas as pd

_SIDES = ["x1", "y1", "x2", "y2"]


@dataclass(frozen=True, eq=False)
class Detections(records.Detections):
    """Persons found in one image.

    Slices, masks and indices choose some of them: `found[:3]`, `found[found.heights > 40]`; `found.above(0.5)`
    those with this score or more.

    Attributes:
        boxes: float32 (n, 4), x1, y1, x2, y2 in pixels of the image, origin at its top left corner.
        scores: float32 (n,), from 0 to 1, highest first.
        source: path of the image, the folder or the video; "" for an array.
        frame: index in the folder or video, from 0; None for one image.
        pts_s: time of the frame in the video, seconds; None for one image.

    """

    source: str = ""
    frame: int | None = None
    pts_s: float | None = None

    def to_pandas(self) -> "pd.DataFrame":
        """A row for each person: source, frame, pts_s, rank, x1, y1, x2, y2, score; rank 0 has the highest."""
        import pandas as pd

        where = {"source": self.source, "frame": self.frame, "pts_s": self.pts_s, "rank": range(len(self))}
        rows = pd.DataFrame({**where, **dict(zip(_SIDES, self.boxes.T, strict=True)), "score": self.scores})
        return rows.astype({"source": "str", "frame": "Int64", "pts_s": "float64", "rank": "int64"})

    @classmethod
    def from_pandas(cls, rows: "pd.DataFrame") -> Self:
        """The detections of one image or frame from columns x1, y1, x2, y2, score; others but these are left out.

        `source`, `frame` and `pts_s` are taken where there are such columns.

        Raises:
            UavpipeError: a column is missing, the rows are of several frames, or a value is out of range.

        """
        missing = [name for name in (*_SIDES, "score") if name not in rows]
        if missing:
            raise UavpipeError(f"detections: no column {', '.join(missing)}; expected x1, y1, x2, y2 and score")
        where: dict[str, Any] = {}
        for name in ("source", "frame", "pts_s"):
            values = rows[name].dropna().unique().tolist() if name in rows else []
            if len(values) > 1:
                raise UavpipeError(
                    f"detections: rows of {len(values)} values of {name}; choose one, as in rows[rows.frame == 0]"
                )
            if values:
                where[name] = values[0]
        return cls._of(rows[_SIDES].to_numpy(np.float32), rows["score"].to_numpy(np.float32), **where)

    def to_coco(self, image_id: int | str, category_id: int | str = 1) -> list[dict[str, Any]]:
        """Rows of COCO's result format: image_id, category_id, bbox (left, top, width, height; px), score."""
        from detector.annotations.results import result_rows

        return result_rows(image_id, self, category_id)

    @classmethod
    def from_coco(cls, rows: Sequence[Mapping[str, Any]]) -> Self:
        """The detections of one image from rows of COCO's result format; each row is taken as a person.

        Raises:
            UavpipeError: a row is not as the format has it, or the rows are of several images.

        """
        from detector.annotations.results import read_row

        with one_error():
            read = [read_row(row, f"row {number}") for number, row in enumerate(rows, start=1)]
        if len(images := {str(row["image_id"]) for row in rows}) > 1:
            raise UavpipeError(f"detections: rows of {len(images)} images; give those of one image_id")
        boxes = np.array([box for box, _ in read], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return cls._of(boxes, [score for _, score in read])

    def to_supervision(self) -> Any:
        """The same as `supervision.Detections`, all of class 0, "person"."""
        from supervision import Detections as Other

        names = np.full(len(self), "person")
        return Other(self.boxes, None, self.scores, np.zeros(len(self), int), data={"class_name": names})

    @classmethod
    def from_supervision(cls, found: Any, persons: Collection[int] | None = None) -> Self:
        """The detections in `found`, a `supervision.Detections` or anything with its attributes.

        Args:
            found: `xyxy` (n, 4), px; `confidence` (n,) or None, which counts as 1; `class_id` (n,), for `persons`.
            persons: classes that are persons; None: all are.

        Raises:
            UavpipeError: `found` has no such attributes, or a value is out of range.

        """
        try:
            boxes, scores = np.asarray(found.xyxy, np.float32), found.confidence
            classes = None if persons is None else np.asarray(found.class_id, int).reshape(len(boxes))
        except (AttributeError, TypeError, ValueError):
            raise UavpipeError(
                f"detections: expected xyxy, confidence and class_id, as supervision has, not "
                f"{type(found).__name__}"
            ) from None
        scores = np.ones(len(boxes), np.float32) if scores is None else np.asarray(scores, np.float32)
        wanted = slice(None) if classes is None or persons is None else np.isin(classes, list(persons))
        return cls._of(boxes[wanted], scores[wanted])

    @classmethod
    def _of(cls, boxes: ArrayLike, scores: ArrayLike, **where: Any) -> Self:
        """Boxes (n, 4) and scores (n,) in any order."""
        boxes, scores = np.asarray(boxes, np.float32), np.asarray(scores, np.float32)
        if boxes.shape != (len(scores), 4) or not np.isfinite(boxes).all():
            raise UavpipeError(f"detections: expected boxes ({len(scores)}, 4) of finite pixels, not {boxes.shape}")
        if not ((scores >= 0) & (scores <= 1)).all():
            raise UavpipeError("detections: a score is not from 0 to 1")
        order = np.argsort(-scores, kind="stable")
        return cls(boxes[order], scores[order], **where)
