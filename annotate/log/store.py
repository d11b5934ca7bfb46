"""The labels on disk: every decision is durable before the call returns, and none is applied twice.

    with LabelStore(workspace / LABELS) as store:
        store.add_flight(tracklets)
        new = store.apply(NewIdentity(tracklets=("flight01/7",)), user="ann", id="b1c2")
        store.apply(Assign(tracklets=("flight01/9",), identity=new.created), user="ann", id="b1c3")
        store.undo(user="ann", id="b1c4")

Several processes may have one file open: each takes in what the others wrote before it decides. Within a process
one store serves all threads; a thread that reads the state beside one that decides does so in `reading`. A decision
is in the database and in the text beside it (`annotate.log.text_log`) before it is answered.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Literal, Protocol

from pydantic import TypeAdapter, ValidationError

from annotate.errors import AnnotateError, Busy, Refused, Unusable
from annotate.log import database
from annotate.log.history import Entry, History
from annotate.log.leases import Leases
from annotate.log.state import Cell, State
from annotate.log.text_log import TextLog, how_to_recover
from annotate.operations import (
    AddFlight,
    Decision,
    Mark,
    Operation,
    OperationId,
    Redo,
    Relink,
    SetMark,
    Undo,
    UserName,
    describe,
)
from annotate.records import Tracklet

LABELS = "labels.sqlite"  # in the workspace

_Request = Decision | type[Undo] | type[Redo]
_USER: TypeAdapter[str] = TypeAdapter(UserName)
_ID: TypeAdapter[str] = TypeAdapter(OperationId)


@dataclass(frozen=True)
class Outcome:
    """The result of a request.

    Attributes:
        entry: the operation as it is in the log.
        created: the number of the identity or the name of the tracklet that it created; of several identities the
            first, their numbers follow one another.
        repeated: the request had been answered before; nothing was done now.

    """

    entry: Entry
    created: int | str | None
    repeated: bool


Own = Callable[[Entry], bool]


class Decide(Protocol):
    """Applies one decision of several; gives the identity or the tracklet that it creates."""

    def __call__(self, operation: Decision | Relink, by: str = ...) -> int | str | None:
        """Apply `operation`, by another user than the others' where `by` is given."""


def contents_of(tracklets: Iterable[Tracklet]) -> dict[int, tuple[tuple[int, int], ...]]:
    """The detections of `tracklets`, by number, as the log names them: frame and rank."""
    return {each.number: tuple((one.frame, one.rank) for one in each.detections) for each in tracklets}


class LabelStore:
    """The labels in one file, replayed from its log.

    Attributes:
        path: the file.
        leases: which labeller has which tracklet.

    Raises:
        AnnotateError: the file cannot be opened, or its log is damaged; names the operation.

    """

    def __init__(
        self,
        path: Path,
        *,
        create: bool = True,
        write: bool = True,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """Open the labels.

        Args:
            path: the file.
            create: make one where there is none.
            write: False: take a copy in memory. The files stay as they are, and what is decided is not kept.
            now: gives the time of a decision.

        """
        self.path = path
        self._now = now or (lambda: datetime.now(UTC))
        self._lock = threading.RLock()
        self._history = History()
        self._chains: list[str] = []  # the hash of each entry
        self._write = write
        self._text = TextLog(path)
        self._watch = database.Watch(path if write else None)
        number, chain = self._text.last()  # before the database: others may be at work
        if number and not path.exists():
            raise Unusable(
                f"{path}: missing, but {self._text.path.name} has its {number:,} operations: {how_to_recover(path)}"
                "; to begin again without them, delete that file"
            )
        self._connection = database.connect(path, create=create) if write else database.copy_in_memory(path)
        try:
            self._files = database.files_of(path)
            self.leases = Leases(self._connection, self._lock, path, self._now, self._watch)
            self.refresh()
            self._text.check(number, chain, self.entries, self._chains)
            self._watch.check()
            self._finish()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "LabelStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @property
    def state(self) -> State:
        """The labels as this process knows them; `refresh` takes in what others decided."""
        return self._history.state

    @property
    def entries(self) -> list[Entry]:
        """The log as this process knows it."""
        return self._history.entries

    def labeller(self, tracklet: str) -> str | None:
        """The labeller who gave `tracklet` its label; None where nobody did."""
        entry = self.decision(tracklet)
        return entry.user if entry else None

    def decision(self, tracklet: str) -> Entry | None:
        """The entry that gave `tracklet` its label; None where there is no such tracklet."""
        return self._history.written(Cell("labels", tracklet))

    def creator(self, identity: int) -> Entry | None:
        """The entry that created `identity`; None where there is no such identity."""
        return self._history.written(Cell("exists", identity))

    def second_look(self, tracklet: str) -> Entry | None:
        """The last second look at `tracklet`; None where there was none."""
        return self._history.written(Cell("second_looks", tracklet))

    def review(self, tracklet: str) -> Entry | None:
        """The last review of `tracklet`; None where there was none."""
        return self._history.written(Cell("reviews", tracklet))

    def about(self, table: Literal["notes", "tags"], identity: int) -> Entry | None:
        """The entry that wrote the note or the tags of `identity` last; None where none did."""
        return self._history.written(Cell(table, identity))

    def linked(self, flight: str) -> AddFlight | Relink | None:
        """The operation that gave `flight` its tracklets; None where there is no such flight."""
        return self._history.linked.get(flight)

    @property
    def chain(self) -> str:
        """Hash over the whole log: equal for equal logs."""
        return self._chains[-1] if self._chains else ""

    @contextmanager
    def reading(self) -> Iterator[State]:
        """The labels up to date, which no other thread changes before the end of the `with`.

        Where another program keeps the file for itself, they are as they were known before.
        """
        with self._lock:
            with suppress(Busy):
                self.refresh()
            yield self.state

    def refresh(self) -> None:
        """Take in what other processes wrote.

        Raises:
            AnnotateError: the log is damaged, or does not follow from itself (names the operation); or its file
                was deleted or replaced.

        """
        with self._lock, database.database_errors(self.path):
            # What were written now, nobody would find again.
            if self._write and database.files_of(self.path) != self._files:
                raise Unusable(
                    f"{self.path}: deleted, moved or replaced while it was in use; nothing more is written: "
                    "end this program, put the file back, and start again"
                )
            for entry, chain in database.read_rows(self._connection, self.path, len(self.entries), self.chain):
                try:
                    effect = self._history.plan(entry.operation, entry.user)
                except Refused as error:
                    raise Unusable(f"{self.path}: operation {entry.sequence} cannot follow: {error}") from None
                self._history.perform(entry, effect)
                self._chains.append(chain)

    def add_flight(self, flight: str, tracklets: Iterable[Tracklet], user: str = "uavpipe") -> None:
        """Add the tracklets of `flight`; nothing happens where they are known.

        Raises:
            AnnotateError: other tracklets are known by these names: they were made again meanwhile.

        """
        operation = AddFlight(flight=flight, tracklets=contents_of(tracklets))
        identifier = f"add-flight-{sha256(flight.encode()).hexdigest()[:32]}"
        with self._deciding():
            known = self.linked(flight)
            if known is None:
                self._append(self._entry(operation, user, identifier))
            elif known.tracklets != operation.tracklets:
                raise Refused(
                    f"{self.path}: the tracklets of {flight} are not those that were labelled; restore them, or "
                    "label the new ones in another workspace"
                )

    def apply(self, operation: Decision, *, user: str, id: str, seen: int | None = None) -> Outcome:
        """Decide `operation`; it is on the disk when this returns.

        Args:
            operation: what is decided.
            user: the labeller.
            id: the client's name for this request; the same request again changes nothing and answers the same.
            seen: the last entry of the log that the client knew of; if anybody changed since then what this
                operation concerns, it is refused. None: do not check.

        Raises:
            Refused: it does not fit the labels as they are now; nothing was changed.
            AnnotateError: `user` or `id` is invalid, or the file cannot be written.

        """
        return self._decide(operation, user, id, seen)

    @contextmanager
    def together(self, *, user: str, id: str) -> Iterator[Decide]:
        """Several decisions, applied all or none.

            with store.together(user="ann", id="import-7") as decide:
                decide(Assign(tracklets=(decide(Split(tracklet="flight01/7", frame=120)),), identity=3))

        They are named ID.1, ID.2 and so on; `decide` gives what the decision creates, and takes another user.

        Raises:
            Refused: one does not fit, or `id` was used; none of them was applied.

        """
        _check("id", _ID, f"{id}.1")
        with self._deciding():
            numbers = count(1)

            def decide(operation: Decision | Relink, by: str = user) -> int | str | None:
                _check("user", _USER, by)
                entry = self._entry(operation, by, f"{id}.{next(numbers)}")
                if entry.id in self._history.by_id:
                    raise Refused(f"id {entry.id} was used before; give each its own")
                self._append(entry)
                return self._history.created[entry.sequence]

            yield decide

    def undo(self, *, user: str, id: str, own: Own | None = None) -> Outcome:
        """Take back the last operation of `user` in effect; as `apply`.

        Args:
            user: the labeller.
            id: as in `apply`.
            own: whether an operation is the client's; that of another window of the same labeller is refused.

        """
        return self._decide(Undo, user, id, own=own)

    def redo(self, *, user: str, id: str, own: Own | None = None) -> Outcome:
        """Apply again what `user` undid last; as `undo`."""
        return self._decide(Redo, user, id, own=own)

    def take_log(self, entries: Sequence[Entry]) -> int:
        """Append what `entries`, a log that begins as this one does, has beyond it: all or nothing.

        Returns:
            How many entries were added.

        Raises:
            Refused: the logs diverge before this one ends, or an entry cannot follow; names it.

        """
        with self._deciding():
            for mine, theirs in zip(self.entries, entries, strict=False):
                if mine != theirs:
                    raise Refused(
                        f"{self.path}: operation {mine.sequence} is another one there ({mine.operation.op} by "
                        f"{mine.user}, {mine.time}): these labels have diverged; import into a new file"
                    )
            more = entries[len(self.entries) :]
            for entry in more:
                try:
                    self._append(entry)
                except Refused as error:
                    raise Refused(f"operation {entry.sequence} cannot follow: {error}") from None
            return len(more)

    def _decide(
        self, request: _Request, user: str, identifier: str, seen: int | None = None, own: Own | None = None
    ) -> Outcome:
        _check("user", _USER, user)
        _check("id", _ID, identifier)
        with self._deciding():
            known = self._history.by_id.get(identifier)
            if known is not None:
                if known.user != user or not _is_request(known.operation, request):
                    raise Refused(f"id {identifier} was used for operation {known.sequence}; give each its own")
                return self._outcome(known, repeated=True)
            entry = self._entry(self._resolve(request, user, own), user, identifier)
            self._append(entry, seen)
            return self._outcome(entry, repeated=False)

    def _resolve(self, request: _Request, user: str, own: Own | None) -> Operation:
        if not isinstance(request, type):
            return request
        target = self._history.last_decision(user) if request is Undo else self._history.last_undone(user)
        if own is not None and not own(self.entries[target - 1]):
            raise Refused(f"operation {target}, the last of {user}, was made in another window; take it back there")
        return request(target=target)

    def _entry(self, operation: Operation, user: str, identifier: str) -> Entry:
        time = self._now().isoformat(timespec="milliseconds")
        return Entry(len(self.entries) + 1, identifier, user, time, operation)

    def _append(self, entry: Entry, seen: int | None = None) -> None:
        effect = self._history.plan(entry.operation, entry.user)
        if seen is not None:
            self._history.check_unseen(effect, seen)
        chain = entry.chained(self.chain)
        database.append_row(self._connection, entry, chain)
        if isinstance(entry.operation, SetMark) and entry.operation.mark is Mark.SKIPPED:
            self.leases.end(entry.operation.tracklets)  # no window shows it: "Look again" may be in another
        self._history.perform(entry, effect)
        self._chains.append(chain)

    def _outcome(self, entry: Entry, repeated: bool) -> Outcome:
        return Outcome(entry, self._history.created.get(entry.sequence), repeated)

    @contextmanager
    def _deciding(self) -> Iterator[None]:
        """A transaction on the log as it is on the disk; where it fails, memory is restored from the disk."""
        with database.database_errors(self.path), database.alone(self._connection, self._lock):
            known: int | None = None  # until the caller begins: what was read so far is right
            try:
                with database.committed(self._connection):
                    self._watch.check()
                    self.refresh()
                    known = len(self.entries)
                    yield
            except BaseException as error:
                if known is not None and (not isinstance(error, Refused) or len(self.entries) != known):
                    self._history, self._chains = History(), []
                    self.refresh()
                raise
            self._finish()

    def _finish(self) -> None:
        """What was committed is in the text, too."""
        self._watch.note()
        if self._write:
            self._text.append(self.entries, self._chains)


def _is_request(operation: Operation, request: _Request) -> bool:
    return isinstance(operation, request) if isinstance(request, type) else operation == request


def _check(field: str, adapter: TypeAdapter[str], value: str) -> None:
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        raise AnnotateError(f"{field}: {describe(error)}") from None
