import numpy as np
import pytest

from annotate.log.state import State
from annotate.operations import Assign, NewIdentity, Seen, Split, SwapTails
from annotate.project import Project
from annotate.suggestions import suggest
from annotate.suggestions.co_occurrence import CoOccurrence
from annotate.suggestions.features import Features, FlightFeatures
from annotate.suggestions.ground import Place
from annotate.suggestions.suggest import Suggester


@pytest.fixture
def project(make_workspace, walk):
    """f1: person 1 twice, with person 2 beside its first walk; f2: person 1, and one that turns from 2 to 3."""
    workspace = make_workspace(
        {"f1": [walk(1, 0, 8), walk(2, 4, 8), walk(1, 20, 8)], "f2": [walk(1, 0, 6), walk(2, 0, 8, then=3)]}
    )
    project = Project(workspace)
    yield project
    project.close()


def decide(project, *operations):
    for operation in operations:
        project.store.apply(operation, user="ann", id=f"n{len(project.store.entries)}")


def candidates(project, tracklet):
    with project.reading() as state:
        return [(each.identity, round(each.similarity, 2)) for each in project.ranking(state, tracklet).candidates]


def test_the_likeliest_comes_first(project):
    decide(project, NewIdentity(tracklets=("f1/0",)), NewIdentity(tracklets=("f1/1",)))
    assert [identity for identity, _ in candidates(project, "f1/2")] == [1, 2]
    assert candidates(project, "f1/2")[0][1] == 1.0


def test_who_is_in_a_frame_with_it_is_not_suggested(project):
    decide(project, NewIdentity(tracklets=("f1/0",)), NewIdentity(tracklets=("f2/1",)))
    assert [identity for identity, _ in candidates(project, "f1/1")] == [2]  # f1/0 walks beside it
    decide(project, Assign(tracklets=("f1/0",), identity=2))
    assert candidates(project, "f1/1") == []


def test_who_was_seen_with_it_is_named_with_the_frame(project):
    decide(project, NewIdentity(tracklets=("f1/2", "f1/0")), NewIdentity(tracklets=("f2/1",)))
    with project.reading() as state:
        (excluded,) = project.ranking(state, "f1/1").excluded
        assert excluded[:1] + excluded[2:] == (1, "f1/0", 4)
        assert project.meeting(state, 1, 2) is None
    decide(project, Assign(tracklets=("f1/1",), identity=2))
    with project.reading() as state:
        assert project.meeting(state, 1, 2) == ("f1/0", "f1/1", 4)


def test_a_tracklet_is_no_candidate_for_itself(project):
    decide(project, NewIdentity(tracklets=("f1/0",)))
    assert candidates(project, "f1/0") == []


def test_after_a_split_both_parts_are_compared_as_they_are(project):
    decide(project, NewIdentity(tracklets=("f1/1",)))  # person 2
    mixed = candidates(project, "f2/1")[0][1]
    decide(project, Split(tracklet="f2/1", frame=4))
    assert candidates(project, "f2/1")[0][1] > mixed > candidates(project, "f2/2")[0][1]


def test_after_a_change_of_tails_too(project):
    decide(project, NewIdentity(tracklets=("f1/0",)))
    before = candidates(project, "f2/0")[0][1]
    decide(project, SwapTails(first="f2/0", second="f2/1", frame=2))
    assert candidates(project, "f2/0")[0][1] < before


def test_undo_brings_back_what_was_known(project):
    decide(project, NewIdentity(tracklets=("f1/1",)))
    before = candidates(project, "f2/1")
    decide(project, Split(tracklet="f2/1", frame=4))
    project.store.undo(user="ann", id="back")
    assert candidates(project, "f2/1") == before


def test_the_order_is_that_of_the_cosines_of_mean_directions(project):
    decide(project, *(NewIdentity(tracklets=(name,)) for name in ("f1/0", "f1/1", "f2/1")))

    def mean(person):  # as conftest's `look` has it, whatever the noise
        vector = np.full(16, 0.1)
        vector[person] = 1
        return vector / np.linalg.norm(vector)

    half = mean(2) + mean(3)
    expected = {1: 1.0, 2: mean(1) @ mean(2), 3: mean(1) @ half / np.linalg.norm(half)}
    assert dict(candidates(project, "f1/2")) == pytest.approx(expected, abs=0.02)


class Crowd:
    """Tracklets without a workspace: of each, where its person stands and what it looks like."""

    def __init__(self, looks, times=None, places=None):
        self.count = len(looks)
        looks = np.asarray(looks, np.float16).reshape(
            self.count, -1, np.shape(looks)[-1]
        )  # of each, one or several
        times = times or [10 * number for number in range(self.count)]
        self.contents = {
            f"f/{n}": tuple(Seen(times[n] + at, 0) for at in range(max(2, looks.shape[1])))
            for n in range(self.count)
        }
        keys = np.array([time + at << 16 for time in times for at in range(looks.shape[1])], np.int64)
        order = np.argsort(keys)
        flight = FlightFeatures(keys[order], looks.reshape(len(keys), -1)[order])
        where = dict(zip(times, places or [None] * self.count, strict=True))
        self.suggester = Suggester(
            Features({"f": flight}, looks.shape[-1], "test"),
            CoOccurrence(lambda _, seen: (0.0, 0.0, 1.0, 1.0)),
            lambda _, seen: self.place(where, seen),
        )

    @staticmethod
    def place(where, seen):
        time = max(time for time in where if time <= seen.frame)
        return None if where[time] is None else Place(*where[time], 17.0, float(seen.frame), 0)

    def candidates(self, persons, tracklet):
        """`persons`: the numbers of the tracklets of each identity, from 1."""
        members = {n + 1: {f"f/{each}" for each in those} for n, those in enumerate(persons)}
        state = State()
        state.tracklets.update(self.contents)
        state.members.update(members)
        return [each.identity for each in self.suggester.ranking(state, f"f/{tracklet}").candidates]


def test_labels_teach_what_does_not_tell_persons_apart(monkeypatch):
    """Light changes four directions a lot, whoever it is; who it is shows in all of them, a little."""
    rng = np.random.default_rng(0)
    looks = np.repeat(rng.normal(size=(30, 16)) * 0.3, 3, axis=0) + rng.normal(size=(90, 16)) * 0.1
    looks[:, :4] += rng.normal(size=(90, 4)) * 1.2
    labelled = [[3 * person, 3 * person + 1] for person in range(30)]

    def found_first():
        crowd = Crowd(looks)
        return sum(crowd.candidates(labelled, 3 * person + 2)[0] == person + 1 for person in range(30))

    learnt = found_first()
    monkeypatch.setattr(suggest, "_FEWEST", 1000)
    assert learnt > found_first() + 5


def test_tracklets_teach_it_before_there_are_labels(monkeypatch):
    """As before, but a person walks from light into shade and back within each tracklet."""
    rng = np.random.default_rng(0)
    persons = np.repeat(rng.normal(size=(30, 16)) * 0.3, 2, axis=0)
    looks = persons[:, None] + rng.normal(size=(60, 4, 16)) * 0.1
    looks[..., :4] += rng.normal(size=(60, 4, 4)) * 1.2
    known = [[2 * person] for person in range(30)]

    def found_first():
        crowd = Crowd(looks)
        return sum(crowd.candidates(known, 2 * person + 1)[0] == person + 1 for person in range(30))

    learnt = found_first()
    monkeypatch.setattr(suggest, "_FEWEST", 1000)
    assert learnt > found_first() + 5


def test_the_colours_of_a_flight_say_nothing_about_its_people(monkeypatch):
    """Two flights, one in evening light; each person is in both, known by the first."""
    rng = np.random.default_rng(1)
    persons, light = rng.normal(size=(20, 16)), 3 * rng.normal(size=(2, 1, 16))
    vectors = (persons + light + rng.normal(size=(2, 20, 16)) * 0.4).astype(np.float16)
    keys = np.arange(20, dtype=np.int64) << 16
    flights = {name: FlightFeatures(keys, vectors[at]) for at, name in enumerate("fg")}
    state = State()
    state.tracklets.update({f"{name}/{n}": (Seen(n, 0),) for name in "fg" for n in range(20)})
    state.members.update({n + 1: {f"f/{n}"} for n in range(20)})

    def found_first():
        apart = CoOccurrence(lambda *_: (0, 0, 1, 1))
        suggester = Suggester(Features(flights, 16, "test"), apart, lambda *_: None)
        first = [suggester.ranking(state, f"g/{n}").candidates[0].identity for n in range(20)]
        return sum(identity == n + 1 for n, identity in enumerate(first))

    about_the_mean = found_first()
    monkeypatch.setattr(suggest, "_FEWEST", 1000)
    assert about_the_mean > found_first() + 5


def test_of_whom_nothing_is_known_nobody_is_more_alike_than_others():
    crowd = Crowd(np.vstack([np.random.default_rng(2).normal(size=(40, 8)), np.zeros((1, 8))]))
    state = State()
    state.tracklets.update(crowd.contents)
    state.members.update({n + 1: {f"f/{n}"} for n in range(40)})
    assert {each.similarity for each in crowd.suggester.ranking(state, "f/40").candidates} == {0.0}


def test_who_could_have_walked_on_comes_before_who_looks_the_same():
    looks = [[1, 0.0], [1, 0.1], [1, 0.0]]
    near = Crowd(looks, times=[0, 60, 63], places=[(500, 0), (0, 0), (3, 0)])
    assert near.candidates([[0], [1]], 2) == [2, 1]
    far = Crowd(looks, times=[0, 60, 63], places=[(3, 0), (900, 0), (3, 0)])
    assert far.candidates([[0], [1]], 2) == [1, 2]
    unknown = Crowd(looks, times=[0, 60, 63])
    assert unknown.candidates([[0], [1]], 2) == [1, 2]
