"""The labels at one moment, and what an operation would change in them."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import singledispatchmethod
from typing import Any, NamedTuple

from annotate.errors import Refused
from annotate.operations import (
    MAX_NOTE,
    MAX_TAGS,
    Accept,
    AddFlight,
    Answer,
    AnswerBatch,
    Assign,
    Decision,
    Mark,
    Merge,
    NewIdentity,
    Relink,
    Rename,
    Review,
    SecondLook,
    Seen,
    SetMark,
    SetNote,
    SetTags,
    Split,
    SwapTails,
    flight_of,
    tracklet_id,
)

Label = int | Mark  # the number of an identity, or a mark


class Cell(NamedTuple):
    """One value of the state: `key` in the table (the attribute of `State`) of that name."""

    table: str
    key: str | int


class Change(NamedTuple):
    """A cell's value before and after; None: it is not there."""

    cell: Cell
    before: Any
    after: Any


@dataclass(frozen=True)
class Effect:
    """The effect of an operation on a state.

    Attributes:
        changes: every cell it writes, once.
        reads: cells it relies on without writing them.
        created: the identity or the tracklet that it creates; of several identities the first.

    """

    changes: tuple[Change, ...]
    reads: frozenset[Cell] = frozenset()
    created: int | str | None = None

    def cells(self) -> set[Cell]:
        """All cells that it concerns."""
        return {change.cell for change in self.changes} | self.reads


@dataclass
class State:
    """The labels. Anybody may read it; only `perform` changes it.

    Attributes:
        tracklets: name -> its detections in order of frames, at least one, each frame once.
        labels: name of a tracklet -> its label.
        identities: number -> name, "" where none was given.
        notes: number of an identity -> what a labeller wrote about it, where somebody did.
        tags: number of an identity -> its tags in order, where it has some.
        members: number -> its tracklets. Kept in step with `labels`.
        second_looks: name of a labelled tracklet -> its label at that time, and the second answer.
        reviews: name of a tracklet -> its label at that time, and the last review of it.
        taken_out: name of a tracklet that somebody took out of a batch, and is in none again -> the wrong answer.
        accepted: name of a finding that is no error -> True.
        exists: number -> True: what relies on an identity relies on this cell, not on its name.
        flights: name of a flight -> the highest number that one of its tracklets ever had.
        last_identity: the highest number that an identity ever had. No number is given twice, also where
            the operation that got it was undone.

    """

    flights: dict[str, int] = field(default_factory=dict)
    tracklets: dict[str, tuple[Seen, ...]] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    identities: dict[int, str] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)
    tags: dict[int, tuple[str, ...]] = field(default_factory=dict)
    exists: dict[int, bool] = field(default_factory=dict)
    members: dict[int, set[str]] = field(default_factory=dict)
    second_looks: dict[str, tuple[Label, Answer]] = field(default_factory=dict)
    reviews: dict[str, tuple[Label, Review]] = field(default_factory=dict)
    taken_out: dict[str, Answer] = field(default_factory=dict)
    accepted: dict[str, bool] = field(default_factory=dict)
    last_identity: int = 0

    def labelled(self) -> Mapping[tuple[str, int, int], Label]:
        """The label of every detection, by (flight, frame, rank)."""
        return {
            (flight_of(name), seen.frame, seen.rank): self.labels[name]
            for name, content in self.tracklets.items()
            for seen in content
        }

    def people(self) -> list[int]:
        """The identities that have a tracklet, ascending: the people that the app and the report count and show."""
        return sorted(self.members)

    def perform(self, effect: Effect) -> None:
        """Make `effect`'s changes; it must have been planned on this very state."""
        for cell, before, after in effect.changes:
            table = getattr(self, cell.table)
            if after is None:
                del table[cell.key]
            else:
                table[cell.key] = after
            if cell.table == "labels":
                self._move(str(cell.key), before, after)
            elif cell.table == "exists":
                self.last_identity = max(self.last_identity, int(cell.key))
        if isinstance(effect.created, str):
            flight, _, number = effect.created.rpartition("/")
            self.flights[flight] = max(self.flights[flight], int(number))

    def _move(self, tracklet: str, before: Label | None, after: Label | None) -> None:
        if isinstance(before, int):
            self.members[before].discard(tracklet)
            if not self.members[before]:
                del self.members[before]
        if isinstance(after, int):
            self.members.setdefault(after, set()).add(tracklet)

    @singledispatchmethod
    def plan(self, operation: Decision | AddFlight | Relink, created: int | str | None = None) -> Effect:
        """The effect that `operation` would have.

        Args:
            operation: any but undo and redo, which `annotate.log.history` resolves.
            created: the identity or tracklet that it created before it was undone.

        Raises:
            Refused: it refers to what does not exist, or would change nothing.

        """
        raise TypeError(f"no plan for {operation!r}")

    @plan.register
    def _(self, operation: NewIdentity, created: int | str | None = None) -> Effect:
        number = int(created or self.last_identity + 1)
        labels, reads = self._label(operation.tracklets, number)
        return Effect((*_new(number, operation.name), *labels), reads, number)

    @plan.register
    def _(self, operation: Assign, created: int | str | None = None) -> Effect:
        exists = self._identity(operation.identity)
        labels, reads = self._label(operation.tracklets, operation.identity)
        return Effect(labels, reads | {exists})

    @plan.register
    def _(self, operation: SetMark, created: int | str | None = None) -> Effect:
        return Effect(*self._label(operation.tracklets, operation.mark))

    @plan.register
    def _(self, operation: AnswerBatch, created: int | str | None = None) -> Effect:
        first = number = int(created or self.last_identity + 1)
        changes: list[Change] = []
        relied: set[Cell] = set()
        for name, answer in operation.answers:
            label: Label
            if answer == "new":
                label, number = number, number + 1
                changes += _new(label)
            elif isinstance(answer, int):
                label = answer
                relied.add(self._identity(answer))
            else:
                label = Mark(answer)
            labels, reads = self._label((name,), label)
            changes += labels
            relied |= reads
        for name, answer in operation.taken_out:
            self._tracklet(name)
            changes.append(Change(Cell("taken_out", name), self.taken_out.get(name), answer))
        return Effect(tuple(changes), frozenset(relied), first if number > first else None)

    @plan.register
    def _(self, operation: Merge, created: int | str | None = None) -> Effect:
        source, into = self._identity(operation.source), self._identity(operation.into)
        if source == into:
            raise Refused(f"identity {operation.into} cannot be merged with itself")
        labels, reads = self._label(sorted(self.members.get(operation.source, ())), operation.into)
        gone = Change(source, True, None)
        nameless = Change(Cell("identities", operation.source), self.identities[operation.source], None)
        return Effect((gone, nameless, *labels, *self._joined(operation.source, operation.into)), reads | {into})

    @plan.register
    def _(self, operation: Rename, created: int | str | None = None) -> Effect:
        exists = self._identity(operation.identity)
        cell = Cell("identities", operation.identity)
        return Effect((Change(cell, self.identities[operation.identity], operation.name),), frozenset({exists}))

    @plan.register
    def _(self, operation: SetNote, created: int | str | None = None) -> Effect:
        exists = self._identity(operation.identity)
        return Effect((self._about("notes", operation.identity, operation.text),), frozenset({exists}))

    @plan.register
    def _(self, operation: SetTags, created: int | str | None = None) -> Effect:
        exists = self._identity(operation.identity)
        return Effect((self._about("tags", operation.identity, operation.tags),), frozenset({exists}))

    @plan.register
    def _(self, operation: Split, created: int | str | None = None) -> Effect:
        content = self._tracklet(operation.tracklet)
        head, tail = _cut(content, operation.frame)
        if not head or not tail:
            raise Refused(
                f"{operation.tracklet} cannot be split at frame {operation.frame}: "
                f"its frames are {content[0].frame} to {content[-1].frame}"
            )
        flight = flight_of(operation.tracklet)
        name = created or tracklet_id(flight, self.flights[flight] + 1)
        return Effect(
            (
                Change(Cell("tracklets", operation.tracklet), content, head),
                Change(Cell("tracklets", name), None, tail),
                Change(Cell("labels", name), None, Mark.OPEN),
            ),
            created=name,
        )

    @plan.register
    def _(self, operation: SwapTails, created: int | str | None = None) -> Effect:
        first, second = self._tracklet(operation.first), self._tracklet(operation.second)
        if operation.first == operation.second or flight_of(operation.first) != flight_of(operation.second):
            raise Refused(f"{operation.first} and {operation.second}: expected two tracklets of one flight")
        head1, tail1 = _cut(first, operation.frame)
        head2, tail2 = _cut(second, operation.frame)
        if not head1 + tail2 or not head2 + tail1 or not tail1 + tail2:
            raise Refused(
                f"{operation.first} and {operation.second} cannot change tails at frame {operation.frame}: "
                "neither has one, or nothing of one would be left"
            )
        return Effect(
            (
                Change(Cell("tracklets", operation.first), first, head1 + tail2),
                Change(Cell("tracklets", operation.second), second, head2 + tail1),
            )
        )

    @plan.register
    def _(self, operation: SecondLook, created: int | str | None = None) -> Effect:
        self._tracklet(operation.tracklet)
        label = self.labels[operation.tracklet]
        if label in (Mark.OPEN, Mark.SKIPPED):
            raise Refused(f"{operation.tracklet} has no label yet: there is nothing to compare a second look with")
        cell = Cell("second_looks", operation.tracklet)
        return Effect((Change(cell, self.second_looks.get(operation.tracklet), (label, operation.answer)),))

    @plan.register
    def _(self, operation: Review, created: int | str | None = None) -> Effect:
        self._tracklet(operation.tracklet)
        label = self.labels[operation.tracklet]
        if label in (Mark.OPEN, Mark.SKIPPED):
            raise Refused(f"{operation.tracklet} has no label: there is nothing to review")
        cell = Cell("reviews", operation.tracklet)
        return Effect((Change(cell, self.reviews.get(operation.tracklet), (label, operation)),))

    @plan.register
    def _(self, operation: Accept, created: int | str | None = None) -> Effect:
        return Effect((Change(Cell("accepted", operation.finding), self.accepted.get(operation.finding), True),))

    @plan.register
    def _(self, operation: AddFlight, created: int | str | None = None) -> Effect:
        if operation.flight in self.flights:
            raise Refused(f"flight {operation.flight} exists already")
        last = max(operation.tracklets, default=-1)
        changes = [Change(Cell("flights", operation.flight), None, last)]
        for number, seen in sorted(operation.tracklets.items()):
            name = tracklet_id(operation.flight, number)
            changes.append(Change(Cell("tracklets", name), None, tuple(Seen(*each) for each in seen)))
            changes.append(Change(Cell("labels", name), None, Mark.OPEN))
        return Effect(tuple(changes))

    @plan.register
    def _(self, operation: Relink, created: int | str | None = None) -> Effect:
        flight = operation.flight
        if flight not in self.flights:
            raise Refused(f"there is no flight {flight}")
        highest = max(self.flights[flight], *operation.tracklets, -1)
        changes = [Change(Cell("flights", flight), self.flights[flight], highest)]
        new = {tracklet_id(flight, number): seen for number, seen in sorted(operation.tracklets.items())}
        old = [name for name in self.tracklets if flight_of(name) == flight]
        for name in dict.fromkeys((*old, *new)):
            content = tuple(Seen(*each) for each in new[name]) if name in new else None
            changes.append(Change(Cell("tracklets", name), self.tracklets.get(name), content))
            changes.append(Change(Cell("labels", name), self.labels.get(name), Mark.OPEN if content else None))
        # What was said of the tracklets that were: each of their names means another one now.
        looks = [Cell("second_looks", name) for name in old if name in self.second_looks]
        looks += [Cell("reviews", name) for name in old if name in self.reviews]
        looks += [Cell("taken_out", name) for name in old if name in self.taken_out]
        accepted = [Cell("accepted", key) for key in self.accepted if not set(old).isdisjoint(key.split())]
        changes += [Change(cell, getattr(self, cell.table)[cell.key], None) for cell in (*looks, *accepted)]
        return Effect(tuple(changes))

    def _tracklet(self, name: str) -> tuple[Seen, ...]:
        if name not in self.tracklets:
            raise Refused(f"there is no tracklet {name}")
        return self.tracklets[name]

    def _identity(self, number: int) -> Cell:
        if number not in self.exists:
            raise Refused(f"there is no identity {number}")
        return Cell("exists", number)

    def _about(self, table: str, identity: int, after: str | tuple[str, ...]) -> Change:
        """The change of an identity's note or tags; none are not there."""
        before = getattr(self, table).get(identity)
        if before is None and not after:
            raise Refused(f"identity {identity} has no {'note' if table == 'notes' else table} to remove")
        return Change(Cell(table, identity), before, after or None)

    def _joined(self, source: int, into: int) -> list[Change]:
        """Both notes and all tags of two identities are of the second one, as far as they may be long."""
        found = []
        if source in self.notes:
            both = "\n".join(self.notes[each] for each in (into, source) if each in self.notes)
            found.append(Change(Cell("notes", source), self.notes[source], None))
            found.append(Change(Cell("notes", into), self.notes.get(into), both[:MAX_NOTE].strip()))
        if source in self.tags:
            every = tuple(sorted({*self.tags.get(into, ()), *self.tags[source]}))[:MAX_TAGS]
            found.append(Change(Cell("tags", source), self.tags[source], None))
            found.append(Change(Cell("tags", into), self.tags.get(into), every))
        return found

    def _label(self, names: Iterable[str], label: Label) -> tuple[tuple[Change, ...], frozenset[Cell]]:
        """The changes that give tracklets `names` that label; a label relies on the tracklet's detections."""
        changes, reads = [], set()
        for name in dict.fromkeys(names):
            self._tracklet(name)
            changes.append(Change(Cell("labels", name), self.labels[name], label))
            reads.add(Cell("tracklets", name))
        return tuple(changes), frozenset(reads)


def _new(number: int, name: str = "") -> tuple[Change, ...]:
    """The changes that create identity `number`."""
    return Change(Cell("exists", number), None, True), Change(Cell("identities", number), None, name)


def _cut(content: tuple[Seen, ...], frame: int) -> tuple[tuple[Seen, ...], tuple[Seen, ...]]:
    at = bisect_left(content, frame, key=lambda seen: seen.frame)
    return content[:at], content[at:]
