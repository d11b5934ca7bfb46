"""The search of the labelling app: for the person in a picture that somebody dropped on the page."""

import threading
from pathlib import Path

from annotate.app.search import Found, Similar, Upload
from annotate.errors import AnnotateError, Refused
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.find import query
from pipeline.find.find import Findings, Wanted, find
from reid.errors import ReidError

_TOP = 9
_ONE = threading.Lock()  # a search at a time: it takes all cores


def find_picture(workspace: Path, wanted: Upload | str, user: str) -> Found:
    """The people of `workspace` who look like the one in a picture; nothing of it is kept but the record's hash.

    Args:
        workspace: whose flights are embedded.
        wanted: the picture, or the path of a crop in the workspace.
        user: who searches, for the record.

    Raises:
        Refused: it is no picture, or shows nobody.
        AnnotateError: a table or a network is damaged.

    """
    photo = query.Upload(wanted.data) if isinstance(wanted, Upload) else workspace / wanted
    box = wanted.box if isinstance(wanted, Upload) else None
    try:
        with _ONE:
            found = find(workspace, Wanted((photo,), box=box), progress_bar, top=_TOP, user=user)
    except query.SeveralPersonsError as error:
        boxes = tuple((float(x1), float(y1), float(x2), float(y2)) for x1, y1, x2, y2 in error.boxes)
        return Found(choose=boxes, size=error.size)
    except PipelineError as error:
        raise Refused(str(error)) from None
    except ReidError as error:
        raise AnnotateError(str(error)) from None
    return _in_words(found)


def _in_words(found: Findings) -> Found:
    answers = (
        Similar(
            tuple(each.tracklet for each in answer.found),
            answer.found[0].similarity,
            answer.found[0].score,
            answer.likely,
        )
        for answer in found.answers
    )
    if found.calibration is None:
        note = "no calibration of this network: similarities only, no threshold"
    else:
        note = f"'right' is how often such an answer is right, by {found.calibration.origin}; it is no proof"
    return Found(tuple(answers), found.nobody, note)
