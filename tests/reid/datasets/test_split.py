from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from reid.datasets.split import split
from reid.labels import Label

crops = st.lists(st.tuples(st.integers(-1, 6), st.integers(0, 3)), max_size=40)


@given(crops, st.integers(0, 5))
def test_persons_are_in_one_part_and_every_query_leaves_somebody_to_find(rows, seed):
    labels = [Label(person, camera, "", "", Path(f"{n}.jpg")) for n, (person, camera) in enumerate(rows)]
    parts = split(labels, 0.5, seed)
    assert sorted(map(id, (label for part in parts for label in part))) == sorted(map(id, labels))
    learnt, looked_for, there = ({label.identity for label in part} for part in parts)
    assert not learnt & (looked_for | there)
    assert looked_for <= there
    persons = {person for person, _ in rows if person > 0}
    assert len(learnt) == round(0.5 * len(persons))
    assert max(Counter((label.identity, label.camera) for label in parts.query).values(), default=1) == 1
    # Who has two crops or more is looked for, by each camera that has two or more.
    for person in persons - learnt:
        cameras = Counter(camera for who, camera in rows if who == person)
        several = {camera for camera, count in cameras.items() if count > 1}
        asked = {label.camera for label in parts.query if label.identity == person}
        assert asked == several if several else len(asked) == min(1, cameras.total() - 1)
    assert split(labels, 0.5, seed) == parts


def test_the_seed_tells_who_is_learnt_from():
    labels = [Label(person, 1, "", "", None) for person in range(1, 41) for _ in range(2)]
    learnt = [{label.identity for label in split(labels, 0.25, seed).train} for seed in (0, 0, 1)]
    assert learnt[0] == learnt[1] != learnt[2]
    assert list(map(len, learnt)) == [10, 10, 10]
