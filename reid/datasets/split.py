"""Splitting crops without a split into training, query and gallery."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

from reid.datasets.parts import Parts
from reid.labels import Label
from reid.records import DISTRACTOR


def split(labels: Sequence[Label], train_share: float = 0.5, seed: int = 0) -> Parts:
    """Some persons for training, others for the test; of these one crop per camera is a query, as in Market-1501.

    A camera with a single crop of a person gives no query of that person if another camera does: the gallery needs
    a right answer. Distractors, junk and persons with a single crop go to the gallery.

    Args:
        labels: in an order that does not depend on the file system.
        train_share: of the persons, rounded.
        seed: of the draw of persons and queries.

    """
    # A seed that is text gives the same shuffle on every machine.
    draw = random.Random(f"split {seed}")  # noqa: S311 - not for secrets
    persons = sorted({label.identity for label in labels if label.identity > DISTRACTOR})
    draw.shuffle(persons)
    trained = set(persons[: round(train_share * len(persons))])
    by_person: dict[int, list[Label]] = defaultdict(list)
    for label in labels:
        if label.identity > DISTRACTOR and label.identity not in trained:
            by_person[label.identity].append(label)
    chosen = {id(label) for _, crops in sorted(by_person.items()) for label in _queries(crops, draw)}
    rest = [label for label in labels if label.identity not in trained]
    return Parts(
        [label for label in labels if label.identity in trained],
        [label for label in rest if id(label) in chosen],
        [label for label in rest if id(label) not in chosen],
    )


def _queries(crops: Sequence[Label], draw: random.Random) -> Iterable[Label]:
    """The queries of one person: a crop of each camera that has more of them."""
    by_camera: dict[int, list[Label]] = defaultdict(list)
    for label in crops:
        by_camera[label.camera].append(label)
    several = [own for _, own in sorted(by_camera.items()) if len(own) > 1]
    if several:
        return [draw.choice(own) for own in several]
    return crops[:1] if len(crops) > 1 else []
