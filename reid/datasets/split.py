"""Training, query and gallery for crops that come without a split."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

from reid.datasets.parts import Parts
from reid.labels import Label
from reid.records import DISTRACTOR


def split(labels: Sequence[Label], train_share: float = 0.5, seed: int = 0) -> Parts:
    """Persons for training, others for the test; of these a crop for each camera is a query, as in Market-1501.

    A camera that has but one crop of a person gives no query of it, as long as another one does: somebody has to be
    left to be found. Distractors and junk go to the gallery; who has one crop in all goes there as well.

    Args:
        labels: in an order that does not depend on the file system.
        train_share: of the persons, rounded.
        seed: of the persons' draw and of the queries'.

    """
    # A text as seed is hashed the same way everywhere, and shuffle is the same for equal seeds.
    draw = random.Random(f"split {seed}")  # noqa: S311 - not for secrets
    persons = sorted({label.identity for label in labels if label.identity > DISTRACTOR})
    draw.shuffle(persons)
    learnt = set(persons[: round(train_share * len(persons))])
    by_person: dict[int, list[Label]] = defaultdict(list)
    for label in labels:
        if label.identity > DISTRACTOR and label.identity not in learnt:
            by_person[label.identity].append(label)
    chosen = {id(label) for _, crops in sorted(by_person.items()) for label in _queries(crops, draw)}
    rest = [label for label in labels if label.identity not in learnt]
    return Parts(
        [label for label in labels if label.identity in learnt],
        [label for label in rest if id(label) in chosen],
        [label for label in rest if id(label) not in chosen],
    )


def _queries(crops: Sequence[Label], draw: random.Random) -> Iterable[Label]:
    """Of one person: a crop for each camera that keeps others."""
    by_camera: dict[int, list[Label]] = defaultdict(list)
    for label in crops:
        by_camera[label.camera].append(label)
    several = [own for _, own in sorted(by_camera.items()) if len(own) > 1]
    if several:
        return [draw.choice(own) for own in several]
    return crops[:1] if len(crops) > 1 else []
