import copy

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from annotate.errors import Refused
from annotate.log.history import Entry, History
from annotate.operations import (
    AddFlight,
    AnswerBatch,
    Assign,
    Mark,
    Merge,
    NewIdentity,
    Redo,
    Rename,
    SetMark,
    Split,
    SwapTails,
    Undo,
    read_operation,
    write_operation,
)

FLIGHT = AddFlight(
    flight="f", tracklets={1: ((0, 0), (1, 0), (2, 0)), 2: ((0, 1), (2, 1), (5, 0)), 4: ((3, 0), (4, 0))}
)


class Labels:
    """A history that is fed operations by hand."""

    def __init__(self):
        self.history = History()
        self.do("setup", FLIGHT)

    def do(self, user, operation):
        effect = self.history.plan(operation, user)
        number = len(self.history.entries) + 1
        self.history.perform(Entry(number, f"id-{number}", user, "2030-01-01T00:00:00Z", operation), effect)
        return effect.created

    def undo(self, user):
        self.do(user, Undo(target=self.history.last_decision(user)))

    def redo(self, user):
        self.do(user, Redo(target=self.history.last_undone(user)))

    @property
    def state(self):
        return self.history.state


@pytest.fixture
def labels():
    return Labels()


def test_a_split_off_tail_is_open_and_has_a_number_of_its_own(labels):
    labels.do("ann", NewIdentity(tracklets=("f/1",), name="Anna"))
    assert labels.do("ann", Split(tracklet="f/1", frame=2)) == "f/5"
    assert labels.state.tracklets["f/1"] == ((0, 0), (1, 0))
    assert labels.state.tracklets["f/5"] == ((2, 0),)
    assert labels.state.labels == {"f/1": 1, "f/2": Mark.OPEN, "f/4": Mark.OPEN, "f/5": Mark.OPEN}
    assert labels.state.labelled()["f", 2, 0] is Mark.OPEN


def test_tails_change_places(labels):
    labels.do("ann", SwapTails(first="f/1", second="f/2", frame=1))
    assert labels.state.tracklets["f/1"] == ((0, 0), (2, 1), (5, 0))
    assert labels.state.tracklets["f/2"] == ((0, 1), (1, 0), (2, 0))


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (Assign(tracklets=("f/1", "f/9"), identity=1), "no tracklet f/9"),
        (Assign(tracklets=("f/1",), identity=2), "no identity 2"),
        (AnswerBatch(answers=(("f/2", "junk"), ("f/1", 2))), "no identity 2"),
        (AnswerBatch(answers=(("f/2", "new"),), taken_out=(("f/9", 1),)), "no tracklet f/9"),
        (Merge(source=1, into=1), "with itself"),
        (Split(tracklet="f/1", frame=0), "frames are 0 to 2"),
        (Split(tracklet="f/1", frame=3), "frames are 0 to 2"),
        (SwapTails(first="f/1", second="f/1", frame=1), "two tracklets of one flight"),
        (SwapTails(first="f/1", second="f/2", frame=9), "neither has one"),
        (SwapTails(first="f/1", second="f/4", frame=3), "nothing of one would be left"),
        (Redo(target=2), "nothing to redo"),
        (Undo(target=1), "not the last"),
        (FLIGHT, "exists already"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(labels, operation, reason):
    labels.do("ann", NewIdentity())
    before = repr(labels.state)
    with pytest.raises(Refused, match=reason):
        labels.do("ann", operation)
    assert repr(labels.state) == before


def test_merging_undone_by_its_author_brings_both_back(labels):
    labels.do("ann", NewIdentity(tracklets=("f/1",), name="Anna"))
    labels.do("bob", NewIdentity(tracklets=("f/2",), name="Berta"))
    labels.do("ann", Merge(source=2, into=1))
    assert labels.state.identities == {1: "Anna"}
    assert labels.state.members == {1: {"f/1", "f/2"}}
    labels.undo("ann")
    assert labels.state.identities == {1: "Anna", 2: "Berta"}
    assert labels.state.members == {1: {"f/1"}, 2: {"f/2"}}


def test_undo_is_refused_while_somebody_else_builds_on_it(labels):
    labels.do("ann", NewIdentity(name="Anna"))
    labels.do("bob", Assign(tracklets=("f/1",), identity=1))
    with pytest.raises(Refused, match=r"operation 3 \(assign by bob\) builds on it \(identity 1\)"):
        labels.undo("ann")
    labels.undo("bob")
    labels.undo("ann")
    assert labels.state.identities == {}
    with pytest.raises(Refused, match="no identity 1"):
        labels.redo("bob")
    labels.redo("ann")
    labels.redo("bob")
    assert labels.state.members == {1: {"f/1"}}


def test_who_labels_relies_on_the_detections_but_not_on_the_name(labels):
    labels.do("ann", NewIdentity(name="Anna"))
    labels.do("ann", Split(tracklet="f/1", frame=1))
    labels.do("bob", SetMark(tracklets=("f/1",), mark=Mark.JUNK))
    with pytest.raises(Refused, match="builds on it"):
        labels.undo("ann")
    labels.do("ann", Rename(identity=1, name="Anne"))
    labels.do("bob", Assign(tracklets=("f/2",), identity=1))
    labels.undo("ann")
    assert labels.state.identities == {1: "Anna"}


def test_numbers_are_never_given_twice(labels):
    assert labels.do("ann", NewIdentity()) == 1
    labels.undo("ann")
    assert labels.do("bob", NewIdentity()) == 2
    labels.redo("ann")
    assert set(labels.state.identities) == {1, 2}
    assert labels.do("bob", NewIdentity()) == 3


def test_a_batch_is_one_operation_and_is_taken_back_as_one(labels):
    labels.do("ann", NewIdentity(name="Anna"))
    before = copy.deepcopy(labels.state)
    batch = AnswerBatch(answers=(("f/1", "new"), ("f/2", 1), ("f/4", "new")))
    assert labels.do("ann", batch) == 2
    assert labels.state.labels == {"f/1": 2, "f/2": 1, "f/4": 3}
    assert labels.state.identities == {1: "Anna", 2: "", 3: ""}
    labels.undo("ann")
    before.last_identity = 3  # no number is given twice
    assert labels.state == before
    assert labels.do("bob", NewIdentity()) == 4
    labels.redo("ann")
    assert labels.state.labels == {"f/1": 2, "f/2": 1, "f/4": 3}


def test_what_is_taken_out_of_a_batch_has_no_label_and_stays_out(labels):
    labels.do("ann", AnswerBatch(answers=(("f/1", "junk"),), taken_out=(("f/2", "junk"), ("f/4", "new"))))
    assert labels.state.labels == {"f/1": Mark.JUNK, "f/2": Mark.OPEN, "f/4": Mark.OPEN}
    assert labels.state.taken_out == {"f/2": "junk", "f/4": "new"}
    labels.undo("ann")
    assert labels.state.taken_out == {}


@pytest.mark.parametrize(
    "batch", [{}, {"taken_out": (("f/1", 1), ("f/1", 2))}, {"answers": (("f/1", 1),), "taken_out": (("f/1", 2),)}]
)
def test_a_batch_names_each_tracklet_once(batch):
    with pytest.raises(ValueError, match="each once"):
        AnswerBatch(**batch)


def test_a_new_decision_ends_what_can_be_done_again(labels):
    labels.do("ann", NewIdentity())
    labels.undo("ann")
    labels.do("ann", SetMark(tracklets=("f/1",), mark=Mark.SKIPPED))
    with pytest.raises(Refused, match="nothing to redo"):
        labels.redo("ann")


def naive(operations):
    """(detection -> tracklet, tracklet -> label, identity -> name), by the definitions and nothing else."""
    where, labels, names = {}, {}, {}

    def move(tracklets, label):
        assert all(each in labels for each in tracklets)
        labels.update(dict.fromkeys(tracklets, label))

    for operation, created in operations:
        match operation:
            case AddFlight():
                for number, seen in operation.tracklets.items():
                    labels[f"f/{number}"] = "open"
                    where.update(dict.fromkeys(seen, f"f/{number}"))
            case NewIdentity():
                names[created] = operation.name
                move(operation.tracklets, created)
            case Assign():
                assert operation.identity in names
                move(operation.tracklets, operation.identity)
            case SetMark():
                move(operation.tracklets, operation.mark.value)
            case AnswerBatch():
                for name, answer in operation.answers:
                    label = answer
                    if answer == "new":
                        label, created = created, created + 1
                        names[label] = ""
                    assert not isinstance(label, int) or label in names
                    move([name], label)
            case Merge():
                move([name for name, label in labels.items() if label == operation.source], operation.into)
                del names[operation.source]
            case Rename():
                assert operation.identity in names
                names[operation.identity] = operation.name
            case Split():
                labels[created] = "open"
                tail = [each for each, name in where.items() if name == operation.tracklet]
                where.update({each: created for each in tail if each[0] >= operation.frame})
            case SwapTails():
                pair = {operation.first: operation.second, operation.second: operation.first}
                tails = [each for each, name in where.items() if name in pair and each[0] >= operation.frame]
                where.update({each: pair[where[each]] for each in tails})
    return where, labels, names


class TwoLabellers(RuleBasedStateMachine):
    """Whatever two people decide, undo and redo, the labels are those of the operations that hold, in order."""

    users = st.sampled_from(["ann", "bob"])

    @initialize()
    def begin(self):
        self.labels = Labels()
        self.holding = [(FLIGHT, None, "setup")]
        self.undone = {"ann": [], "bob": []}
        self.given = set()

    def attempt(self, user, operation):
        try:
            created = self.labels.do(user, operation)
        except Refused:
            return
        several = [answer for _, answer in getattr(operation, "answers", ())].count("new") or 1
        given = {created + n for n in range(several)} if isinstance(created, int) else {created} - {None}
        assert not given & self.given
        self.given |= given
        self.holding.append((operation, created, user))
        self.undone[user].clear()

    def some_tracklets(self, data, **sizes):
        names = st.sampled_from([*sorted(self.labels.state.tracklets), "f/77"])
        return tuple(data.draw(st.lists(names, **sizes)))

    def some_identity(self, data):
        return data.draw(st.sampled_from([*self.labels.state.identities, 99]))

    @rule(data=st.data(), user=users, name=st.sampled_from(["", "Anna", "<b>"]))
    def new(self, data, user, name):
        self.attempt(user, NewIdentity(tracklets=self.some_tracklets(data, max_size=2), name=name))

    @rule(data=st.data(), user=users)
    def assign(self, data, user):
        tracklets = self.some_tracklets(data, min_size=1, max_size=2)
        self.attempt(user, Assign(tracklets=tracklets, identity=self.some_identity(data)))

    @rule(data=st.data(), user=users)
    def batch(self, data, user):
        names = list(dict.fromkeys(self.some_tracklets(data, min_size=1, max_size=4)))
        known = st.sampled_from(["new", "new", "junk", *self.labels.state.identities, 99])
        answers = data.draw(st.lists(known, max_size=len(names)))
        pairs = tuple(zip(names, answers, strict=False))
        self.attempt(
            user, AnswerBatch(answers=pairs, taken_out=tuple((name, "junk") for name in names[len(pairs) :]))
        )

    @rule(data=st.data(), user=users, mark=st.sampled_from(Mark))
    def mark(self, data, user, mark):
        self.attempt(user, SetMark(tracklets=self.some_tracklets(data, min_size=1, max_size=2), mark=mark))

    @rule(data=st.data(), user=users)
    def merge(self, data, user):
        self.attempt(user, Merge(source=self.some_identity(data), into=self.some_identity(data)))

    @rule(data=st.data(), user=users, name=st.sampled_from(["", "Berta"]))
    def rename(self, data, user, name):
        self.attempt(user, Rename(identity=self.some_identity(data), name=name))

    @rule(data=st.data(), user=users, frame=st.integers(0, 5))
    def split(self, data, user, frame):
        self.attempt(user, Split(tracklet=self.some_tracklets(data, min_size=1, max_size=1)[0], frame=frame))

    @rule(data=st.data(), user=users, frame=st.integers(0, 5))
    def swap(self, data, user, frame):
        first, second = self.some_tracklets(data, min_size=2, max_size=2)
        self.attempt(user, SwapTails(first=first, second=second, frame=frame))

    @rule(user=users)
    def undo(self, user):
        mine = [index for index, (_, _, by) in enumerate(self.holding) if by == user]
        later = bool(mine) and any(by != user for _, _, by in self.holding[mine[-1] :])
        try:
            self.labels.undo(user)
        except Refused:
            assert not mine or later  # nobody else: always possible
            return
        self.undone[user].append(self.holding.pop(mine[-1]))

    @rule(user=users)
    def redo(self, user):
        try:
            self.labels.redo(user)
        except Refused:
            return
        self.holding.append(self.undone[user].pop())

    @invariant()
    def state_is_what_holds(self):
        where, labels, names = naive([(operation, created) for operation, created, _ in self.holding])
        state = self.labels.state
        assert {seen: name for name, content in state.tracklets.items() for seen in content} == where
        assert state.labels == labels
        assert state.identities == names
        assert set(state.exists) == set(names)

    @invariant()
    def tracklets_are_tracklets(self):
        for content in self.labels.state.tracklets.values():
            frames = [seen.frame for seen in content]
            assert frames
            assert frames == sorted(set(frames))

    @invariant()
    def members_agree_with_labels(self):
        members = {}
        for name, label in self.labels.state.labels.items():
            if not isinstance(label, Mark):
                members.setdefault(label, set()).add(name)
        assert self.labels.state.members == members

    def teardown(self):
        again = History()
        for entry in self.labels.history.entries:
            operation = read_operation(write_operation(entry.operation))
            again.perform(entry, again.plan(operation, entry.user))
        assert again.state == self.labels.state


TestTwoLabellers = TwoLabellers.TestCase
TestTwoLabellers.settings = settings(max_examples=60, stateful_step_count=30, deadline=None, derandomize=True)
