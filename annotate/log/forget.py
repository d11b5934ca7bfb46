"""The log of labels without one identity, for erasing a person."""

from collections import defaultdict
from collections.abc import Mapping

from annotate.log.history import Entry
from annotate.log.store import LabelStore
from annotate.operations import (
    Accept,
    AddFlight,
    AnswerBatch,
    Assign,
    Mark,
    NewIdentity,
    Operation,
    SecondLook,
    Seen,
    SetMark,
    SetNote,
    SetTags,
    Undo,
    flight_of,
    tracklet_id,
)

_NOBODY = "uavpipe"  # the user of operations that no labeller decided


def contents_without(
    store: LabelStore, gone: Mapping[str, frozenset[Seen]], ranks: Mapping[str, Mapping[Seen, int]]
) -> dict[str, dict[int, tuple[Seen, ...]]]:
    """The tracklets as they are now, by flight and number, without some detections.

    Args:
        store: the labels.
        gone: detections to leave out, by flight.
        ranks: new ranks of those that stay, by flight, where they change.

    """
    found: dict[str, dict[int, tuple[Seen, ...]]] = {flight: {} for flight in store.state.flights}
    for name, content in store.state.tracklets.items():
        flight, _, number = name.rpartition("/")
        without, renumbered = gone.get(flight, frozenset()), ranks.get(flight, {})
        kept = tuple(Seen(each.frame, renumbered.get(each, each.rank)) for each in content if each not in without)
        if kept:
            found[flight][int(number)] = kept
    return found


def log_without(
    store: LabelStore, identity: int, contents: Mapping[str, Mapping[int, tuple[Seen, ...]]]
) -> list[Entry]:
    """A log from which the labels follow as they are now, without `identity`.

    The identities keep their numbers, and no number is given again. Each label keeps who gave it, and when. What
    was decided before and is no longer in effect, undo included, is left out: it could reveal the erased person.

    Args:
        store: the labels.
        identity: the one to leave out.
        contents: the tracklets of every flight, as `contents_without` gives them.

    """
    log = _Log()
    state = store.state
    for entry in store.entries:
        if isinstance(entry.operation, AddFlight):
            flight = entry.operation.flight
            tracklets = {
                number: tuple((each.frame, each.rank) for each in content)
                for number, content in contents[flight].items()
            }
            log.add(AddFlight(flight=flight, tracklets=tracklets), entry.user, entry.time, entry.id)
    time = store.entries[0].time
    for number in range(1, state.last_identity + 1):
        creator = store.creator(number)
        if number in state.exists and number != identity and creator is not None:
            log.add(NewIdentity(name=state.identities[number]), creator.user, creator.time)
        else:  # what is undone keeps its number
            log.add(NewIdentity(), _NOBODY, time)
            log.add(Undo(target=len(log.entries)), _NOBODY, time)
    _add_what_is_known(log, store, identity)
    names = {tracklet_id(flight, number) for flight, those in contents.items() for number in those}
    _add_labels(log, store, names)
    for name, (label, answer) in sorted(state.second_looks.items()):
        looked = store.second_look(name)
        if name in names and answer != identity and label == state.labels[name] and looked is not None:
            log.add(SecondLook(tracklet=name, answer=answer), looked.user, looked.time)
    _add_reviews(log, store, names)
    left = [(name, answer) for name, answer in sorted(state.taken_out.items()) if name in names]
    if left:
        # That one was taken for the erased person says what they look like: then only that it was taken out.
        out = tuple((name, "skipped" if answer == identity else answer) for name, answer in left)
        log.add(AnswerBatch(taken_out=out), _NOBODY, time)
    gone = set(state.tracklets) - names | {str(identity)}
    for finding in sorted(state.accepted):
        if not gone & set(finding.split()):
            log.add(Accept(finding=finding), _NOBODY, time)
    return log.entries


def _add_what_is_known(log: "_Log", store: LabelStore, identity: int) -> None:
    """The notes and tags of the others."""
    for number, text in sorted(store.state.notes.items()):
        written = store.about("notes", number)
        if number != identity and written is not None:
            log.add(SetNote(identity=number, text=text), written.user, written.time)
    for number, tags in sorted(store.state.tags.items()):
        written = store.about("tags", number)
        if number != identity and written is not None:
            log.add(SetTags(identity=number, tags=tags), written.user, written.time)


def _add_reviews(log: "_Log", store: LabelStore, names: set[str]) -> None:
    """The reviews of labels that are still as they were; `decision` is the number that it has in `log`."""
    numbers = {
        name: entry.sequence
        for entry in log.entries
        if isinstance(entry.operation, Assign | SetMark)
        for name in entry.operation.tracklets
    }
    for name, (label, review) in sorted(store.state.reviews.items()):
        written = store.review(name)
        if name in names and label == store.state.labels[name] and name in numbers and written is not None:
            kept = review.model_copy(update={"decision": numbers[name]})
            log.add(kept, written.user, written.time)


def _add_labels(log: "_Log", store: LabelStore, names: set[str]) -> None:
    together: dict[tuple[int, str], list[str]] = defaultdict(list)
    for name in sorted(names, key=lambda name: (flight_of(name), len(name), name)):
        entry, label = store.decision(name), store.state.labels[name]
        if entry is not None and label != Mark.OPEN:
            together[(entry.sequence, str(label))].append(name)
    for (sequence, _), members in sorted(together.items()):
        entry, label = store.entries[sequence - 1], store.state.labels[members[0]]
        what: Operation
        if isinstance(label, Mark):
            what = SetMark(tracklets=tuple(members), mark=label)
        else:
            what = Assign(tracklets=tuple(members), identity=label)
        log.add(what, entry.user, entry.time)


class _Log:
    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, operation: Operation, user: str, time: str, identifier: str = "") -> None:
        sequence = len(self.entries) + 1
        self.entries.append(Entry(sequence, identifier or f"kept-{sequence}", user, time, operation))
