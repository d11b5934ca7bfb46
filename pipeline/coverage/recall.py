"""A detector's recall by the height of a person in the picture, from a file."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from scipy.special import gammaln

from pipeline.errors import PipelineError
from pipeline.files import read_regular

BUNDLED = Path(__file__).with_name("recall.json")
_LONGEST = 100_000  # bytes


class Recall(BaseModel):
    """How often a detector finds a person, by height; a person smaller than the first height is not found.

    Attributes:
        origin: the detector, the score and the data, for people to read.
        from_px: ascending heights of persons in pixels of the frame, from which each of `recall` is valid.
        recall: shares of the persons that were found.
        correlation: of whether a person is found in two frames of a pass, half a second apart or more; above 0.
            With 1 a pass is one look, with its best frame; near 0 each frame is an independent look.

    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    origin: str
    from_px: tuple[float, ...] = Field(min_length=1)
    recall: tuple[float, ...]
    correlation: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _check(self) -> "Recall":
        if len(self.from_px) != len(self.recall):
            raise ValueError("expected as many values in recall as in from_px")
        if not all(0 < one < other for one, other in pairwise((*self.from_px, np.inf))):
            raise ValueError("expected positive, ascending heights in from_px")
        if not all(0 <= each <= 1 for each in self.recall):
            raise ValueError("expected shares from 0 to 1 in recall")
        return self

    def at(self, heights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The recall for persons of `heights`, px: float64 of the same shape."""
        places = np.searchsorted(np.array(self.from_px), heights, side="right")
        return np.asarray(np.array([0.0, *self.recall])[places], np.float64)

    def missed(
        self, best: NDArray[np.float64], total: NDArray[np.float64], frames: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Probability that a person is found in no frame of a pass: float64 of the same shape.

        Each person has a recall of their own, which is the same in all frames of a pass, and follows a beta
        distribution around that of `at` (Skellam, J. R. Stat. Soc. B 10, 1948). With the correlation c and
        v = (1 - c) / c, the person is found in the next frame, after k in which they were missed, with the
        probability r v / (v + k). The best frame is the first, the others have the mean of their recalls.

        Args:
            best: the highest recall of the pass.
            total: sum of the recalls of its frames.
            frames: number of frames; 0 without a pass, in which a person is missed for certain.

        """
        after = np.maximum(frames, 1)
        rest = np.clip((total - best) / np.maximum(after - 1, 1), 0.0, 1.0)
        v = (1 - self.correlation) / self.correlation
        log = gammaln(after + v * (1 - rest)) - gammaln(1 + v * (1 - rest)) + gammaln(1 + v) - gammaln(after + v)
        return np.asarray(np.where(frames > 0, (1 - best) * np.exp(log), 1.0), np.float64)


def read_recall(path: Path = BUNDLED) -> Recall:
    """The recall in the JSON file `path`, as `recall.json` beside this module is written.

    Raises:
        PipelineError: the file cannot be read, or is no such file; names the field.

    """
    try:
        content = read_regular(path)[:_LONGEST]
        return Recall.model_validate(json.loads(content))
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "recall"
        raise PipelineError(f"{path}: {field}: {first['msg']}; see docs/find.md#coverage") from None
    except ValueError:
        raise PipelineError(f"{path}: is no JSON; expected origin, from_px and recall") from None
