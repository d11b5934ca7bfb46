"""The log of operations and the state that follows from it, with undo and redo for several labellers.

Undo takes back a labeller's own last operation that is in effect. It is refused where a later operation of another
labeller, also in effect, wrote what that operation wrote or relied on it: the later one must be undone first. A
label relies on the tracklet's detections and on the identity; a new name relies on the identity. Redo applies again
what the labeller undid last, until they decide something new.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from annotate.errors import Refused
from annotate.log.state import Cell, Change, Effect, State
from annotate.operations import AddFlight, Operation, Redo, Relink, Review, Undo, write_operation


@dataclass(frozen=True)
class Entry:
    """One operation in the log.

    Attributes:
        sequence: its place, from 1.
        id: what the client named it by.
        user: the labeller.
        time: UTC, ISO 8601.
        operation: what was done.

    """

    sequence: int
    id: str
    user: str
    time: str
    operation: Operation

    def chained(self, before: str) -> str:
        """sha256 (hex) over this entry and the hash `before` it; "" before the first."""
        text = write_operation(self.operation)
        content = json.dumps([before, self.sequence, self.id, self.user, self.time, text])
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass
class History:
    """The operations in order, and what is in effect of them.

    Attributes:
        entries: the log.
        state: what follows from it.
        by_id: the entries by the client's id.
        created: sequence -> the identity or tracklet that the operation created.
        linked: flight -> the operation that gave it its tracklets.

    """

    entries: list[Entry] = field(default_factory=list)
    state: State = field(default_factory=State)
    by_id: dict[str, Entry] = field(default_factory=dict)
    created: dict[int, int | str | None] = field(default_factory=dict)
    linked: dict[str, AddFlight | Relink] = field(default_factory=dict)
    _effects: dict[int, Effect] = field(default_factory=dict)  # of the operations in effect
    _since: dict[int, int] = field(default_factory=dict)  # sequence of an operation in effect -> since which entry
    _in_effect: Mapping[str, list[int]] = field(default_factory=lambda: defaultdict(list))  # by user
    _undone: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))  # by user
    # The entries in effect that concern a cell, in order (the values are not used), and the last that wrote it.
    _touched: Mapping[Cell, dict[int, None]] = field(default_factory=lambda: defaultdict(dict))
    _written: dict[Cell, int] = field(default_factory=dict)

    def last_decision(self, user: str) -> int:
        """The sequence number of the operation that `user` would undo.

        Raises:
            Refused: there is none.

        """
        if not self._in_effect[user]:
            raise Refused(f"{user} has nothing to undo")
        return self._in_effect[user][-1]

    def last_undone(self, user: str) -> int:
        """The sequence number of the operation that `user` would redo.

        Raises:
            Refused: there is none.

        """
        if not self._undone[user]:
            raise Refused(f"{user} has nothing to redo")
        return self._undone[user][-1]

    def written(self, cell: Cell) -> Entry | None:
        """The entry that wrote `cell` last; None where none did."""
        written = self._written.get(cell)
        return self.entries[written - 1] if written else None

    def plan(self, operation: Operation, user: str) -> Effect:
        """The effect that `operation` by `user` would have now.

        Raises:
            Refused: it does not fit the labels as they are; gives the reason.

        """
        if isinstance(operation, Undo):
            return self._plan_undo(operation.target, user)
        if isinstance(operation, Redo):
            if operation.target != self.last_undone(user):
                raise Refused(f"operation {operation.target} is not what {user} undid last")
            again = self.entries[operation.target - 1].operation
            self._check_reviewed(again)
            return self.state.plan(again, self.created[operation.target])
        self._check_reviewed(operation)
        return self.state.plan(operation)

    def check_unseen(self, effect: Effect, seen: int) -> None:
        """Check that nobody wrote what `effect` concerns after entry `seen`, the last that the client knew of.

        Raises:
            Refused: somebody did, perhaps the same labeller in another window; names them.

        """
        for cell in effect.cells():
            written = self._written.get(cell, 0)
            if written > seen:
                raise Refused(f"{_name(cell)} was changed meanwhile by {self._describe(written)}; check it again")

    def perform(self, entry: Entry, effect: Effect) -> None:
        """Put `entry` at the end of the log and make its changes, which were planned on the log as it is."""
        self.state.perform(effect)
        self.entries.append(entry)
        self.by_id[entry.id] = entry
        for change in effect.changes:
            self._written[change.cell] = entry.sequence
        operation, user = entry.operation, entry.user
        if isinstance(operation, Undo):
            self._retire(operation.target)
            self._undone[user].append(self._in_effect[user].pop())
        elif isinstance(operation, Redo):
            self._hold(operation.target, entry.sequence, effect)
            self._in_effect[user].append(self._undone[user].pop())
        else:
            self.created[entry.sequence] = effect.created
            self._hold(entry.sequence, entry.sequence, effect)
            if isinstance(operation, AddFlight | Relink):
                self.linked[operation.flight] = operation
                self._undone.clear()  # what was undone named tracklets that are other ones now
            else:
                self._in_effect[user].append(entry.sequence)
                self._undone[user].clear()

    def _check_reviewed(self, operation: Operation) -> None:
        """A review is of the decision that the reviewer saw: the label may have another one by now."""
        if isinstance(operation, Review):
            decided = self._written.get(Cell("labels", operation.tracklet))
            if decided is not None and decided != operation.decision:
                raise Refused(
                    f"{operation.tracklet}: operation {operation.decision} is not what gave it its label; that is "
                    f"{self._describe(decided)}: check it again"
                )

    def _plan_undo(self, target: int, user: str) -> Effect:
        if target != self.last_decision(user):
            raise Refused(f"operation {target} is not the last one of {user} in effect")
        effect, since = self._effects[target], self._since[target]
        for change in effect.changes:
            latest = next(reversed(self._touched[change.cell]))
            if latest != since:
                raise Refused(
                    f"{user}'s {self._describe(target)} cannot be undone: {self._describe(latest)} "
                    f"builds on it ({_name(change.cell)}); that has to be undone first"
                )
        backwards = tuple(Change(cell, after, before) for cell, before, after in reversed(effect.changes))
        return Effect(backwards)

    def _hold(self, sequence: int, since: int, effect: Effect) -> None:
        self._effects[sequence], self._since[sequence] = effect, since
        for cell in effect.cells():
            self._touched[cell][since] = None

    def _retire(self, sequence: int) -> None:
        effect, since = self._effects.pop(sequence), self._since.pop(sequence)
        for cell in effect.cells():
            del self._touched[cell][since]

    def _describe(self, sequence: int) -> str:
        entry = self.entries[sequence - 1]
        return f"operation {sequence} ({entry.operation.op.replace('_', ' ')} by {entry.user})"


def _name(cell: Cell) -> str:
    other = {"flights": "flight", "accepted": "finding"}
    kind = "identity" if isinstance(cell.key, int) else other.get(cell.table, "tracklet")
    return f"{kind} {cell.key}"
