"""A flight of bright squares, whose detector sees them at once: each row of the picture is one person."""

import cv2
import numpy as np
from click.testing import CliRunner

from annotate.log.store import LABELS, LabelStore
from annotate.operations import Assign, NewIdentity, SetMark
from annotate.project import Project
from detector.records import Detections
from pipeline.cli import main

FRAMES, PERSONS, LANE = 24, 4, 60
SHORT = 3  # the person who is there for six frames only


class SquareDetector:
    """Finds the squares; a second version ranks them the other way round, and sees them a pixel lower."""

    batch_size, workers, runtime = 4, 1, "squares"

    def __init__(self, version):
        self.version = version

    def preprocess(self, image):
        return image

    def predict(self, batch):
        return [self._squares(image) for image in batch]

    def _squares(self, image):
        _, _, stats, _ = cv2.connectedComponentsWithStats((image[..., 1] > 128).astype(np.uint8))
        found = [(y // LANE, (x, y, x + w, y + h)) for x, y, w, h, area in stats[1:] if area > 50]
        found.sort(reverse=self.version > 1)
        boxes = np.array([box for _, box in found], np.float32).reshape(-1, 4) + (self.version > 1)
        return Detections(boxes, np.linspace(0.95, 0.85, len(found), dtype=np.float32))


def call(command, *words):
    given = ["f1"] if command in ("tracks", "detect", "crops", "run") else []
    settings = ("--set", "frames.segment_frames=8", "--set", "tracks.split_below=null") if given else ()
    return CliRunner().invoke(main, [*command.split(), *given, "--workspace", "runs", *settings, *words])


def lane(detection):
    return int(detection.box[1] // LANE)


def label(workspace, marks=()):
    """Every tracklet by its lane: identity 1 for the first one; `marks`: lane -> mark."""
    project = Project(workspace)
    known = {}
    for name in sorted(project.store.state.tracklets):
        with project.reading() as state:
            person = lane(project.detections(state, name)[0])
        if person in dict(marks):
            operation = SetMark(tracklets=(name,), mark=dict(marks)[person])
        elif person in known:
            operation = Assign(tracklets=(name,), identity=known[person])
        else:
            operation = NewIdentity(tracklets=(name,), name=f"lane {person}")
        outcome = project.store.apply(operation, user="ann", id=f"label-{name.replace('/', '-')}")
        known.setdefault(person, outcome.created)
    project.close()


def labelled(workspace):
    """(lane, frame) -> the name or the mark that the detection there is labelled with."""
    project = Project(workspace)
    with project.reading() as state:
        found = {
            (lane(each), each.frame): state.identities.get(state.labels[name], str(state.labels[name]))
            for name in state.tracklets
            for each in project.detections(state, name)
        }
    project.close()
    return found


def operations(workspace):
    with LabelStore(workspace / LABELS, create=False) as store:
        return [(entry.user, entry.operation) for entry in store.entries]
