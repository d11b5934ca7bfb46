"""The operations of a labeller: records that check themselves, and their JSON.

A tracklet is named `FLIGHT/NUMBER`, as in "flight01/7"; an identity is a number from 1 up. A frame is the index in
the video, from 0.
"""

import json
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from annotate.errors import AnnotateError

MAX_NAME = 200  # characters of a name
MAX_NOTE = 4000  # characters of a note
MAX_TAGS = 50  # of an identity
LAST = 2**31 - 1  # number of a frame, a rank or an identity
MAX_TRACKLETS = 10**9  # of a flight


class Mark(StrEnum):
    """The label of a tracklet that has no identity."""

    OPEN = "open"  # not decided yet
    SKIPPED = "skipped"  # passed over: it comes after the open ones
    JUNK = "junk"  # shows no person, several, or too little of one
    DISTRACTOR = "distractor"  # a person without a match


class Seen(NamedTuple):
    """A detection of a flight: its frame, and its rank within the frame."""

    frame: int
    rank: int


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("expected printable characters without space around them")
    return text


def _note(text: str) -> str:
    if not all(line.isprintable() for line in text.split("\n")) or text != text.strip():
        raise ValueError("expected lines of printable characters without space around them")
    return text


def _tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    if list(tags) != sorted(set(tags)):
        raise ValueError("expected tags in order, each once")
    return tags


def check_flight(name: str) -> str:
    """`name`, if it can name a flight.

    Raises:
        ValueError: it is not the name of one folder, or too long.

    """
    if len(name) > MAX_NAME:
        raise ValueError(f"flight {name[:20]}…: a name of {len(name)} characters, expected {MAX_NAME} at most")
    if _printable(name) in ("", ".", "..") or "/" in name or "\\" in name:
        raise ValueError(f"flight {name!r}: expected the name of a folder")
    return name


def tracklet_id(flight: str, number: int) -> str:
    """The name of tracklet `number` of `flight`."""
    return f"{flight}/{number}"


def flight_of(tracklet: str) -> str:
    """The flight that `tracklet` is of."""
    return tracklet.rpartition("/")[0]


Name = Annotated[str, Field(max_length=MAX_NAME), AfterValidator(_printable)]
NoteText = Annotated[str, Field(max_length=MAX_NOTE), AfterValidator(_note)]
# Without commas, which separate tags where they are typed and in tables.
Tag = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^,;]*$"), AfterValidator(_printable)]
Tags = Annotated[tuple[Tag, ...], Field(max_length=MAX_TAGS), AfterValidator(_tags)]
FlightName = Annotated[str, AfterValidator(check_flight)]
UserName = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_printable)]
OperationId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,100}$")]
TrackletId = Annotated[str, Field(pattern=r"^[^/]+/[0-9]{1,9}$", max_length=MAX_NAME + 10)]
Index = Annotated[int, Field(ge=0, le=LAST)]
Identity = Annotated[int, Field(ge=1, le=LAST)]
# An identity, a new one, or a mark.
Answer = Identity | Literal["new", "junk", "distractor", "skipped"]
_Linked = dict[Annotated[int, Field(ge=0, lt=MAX_TRACKLETS, strict=False)], tuple[tuple[Index, Index], ...]]
Tracklets = Annotated[tuple[TrackletId, ...], Field(min_length=1, max_length=100_000)]


class _Operation(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _linked(tracklets: _Linked) -> _Linked:
    for number, seen in tracklets.items():
        frames = [frame for frame, _ in seen]
        if not frames or any(first >= second for first, second in pairwise(frames)):
            raise ValueError(f"tracklet {number}: expected detections, each in a later frame than the last")
    detections = [each for seen in tracklets.values() for each in seen]
    if len(detections) != len(set(detections)):
        raise ValueError("a detection is in two tracklets")
    return tracklets


class AddFlight(_Operation):
    """The tracklets of a flight, before they are labelled: number -> detections in order of frames."""

    op: Literal["add_flight"] = "add_flight"
    flight: FlightName
    tracklets: Annotated[_Linked, AfterValidator(_linked)]


class Relink(_Operation):
    """The tracklets of a known flight, linked again: they take the place of all it had, and are open."""

    op: Literal["relink"] = "relink"
    flight: FlightName
    tracklets: Annotated[_Linked, AfterValidator(_linked)]


class NewIdentity(_Operation):
    """Create an identity, and assign the tracklets to it."""

    op: Literal["new_identity"] = "new_identity"
    tracklets: Annotated[tuple[TrackletId, ...], Field(max_length=100_000)] = ()
    name: Name = ""


class Assign(_Operation):
    """Assign the tracklets to an identity."""

    op: Literal["assign"] = "assign"
    tracklets: Tracklets
    identity: Identity


class SetMark(_Operation):
    """Mark the tracklets as junk, distractor or skipped; or open them again."""

    op: Literal["mark"] = "mark"
    tracklets: Tracklets
    mark: Annotated[Mark, Field(strict=False)]


def _each_once(batch: "AnswerBatch") -> "AnswerBatch":
    names = [name for name, _ in (*batch.answers, *batch.taken_out)]
    if not names or len(names) != len(set(names)):
        raise ValueError("expected at least one tracklet, each once")
    return batch


class AnswerBatch(_Operation):
    """Answer for several tracklets at once, as was proposed, but for those that were taken out.

    `taken_out` get no label, for what was proposed is wrong: they are asked about one by one. Every "new" is an
    identity of its own; their numbers follow one another, in the order of `answers`.
    """

    op: Literal["answer_batch"] = "answer_batch"
    answers: Annotated[tuple[tuple[TrackletId, Answer], ...], Field(max_length=100_000)] = ()
    taken_out: Annotated[tuple[tuple[TrackletId, Answer], ...], Field(max_length=100_000)] = ()

    _check = model_validator(mode="after")(_each_once)

    @property
    def names_somebody(self) -> bool:
        """Whether it says of a tracklet who it is."""
        return any(answer == "new" or isinstance(answer, int) for _, answer in self.answers)


class Merge(_Operation):
    """Merge two identities: all tracklets of `source` go to `into`, `source` ceases to exist."""

    op: Literal["merge"] = "merge"
    source: Identity
    into: Identity


class Rename(_Operation):
    """Name an identity; "" removes the name."""

    op: Literal["rename"] = "rename"
    identity: Identity
    name: Name


class SetNote(_Operation):
    """Write what is to be known about an identity; "" removes the note."""

    op: Literal["note"] = "note"
    identity: Identity
    text: NoteText


class SetTags(_Operation):
    """Give an identity these tags, in place of those that it had."""

    op: Literal["tags"] = "tags"
    identity: Identity
    tags: Tags


class Split(_Operation):
    """Split a tracklet: the detections from `frame` on become a new tracklet, which is open."""

    op: Literal["split"] = "split"
    tracklet: TrackletId
    frame: Index


class SwapTails(_Operation):
    """Exchange the detections of two tracklets of one flight from `frame` on."""

    op: Literal["swap_tails"] = "swap_tails"
    first: TrackletId
    second: TrackletId
    frame: Index


class SecondLook(_Operation):
    """Record a second answer for a labelled tracklet, given without its label: measures agreement only."""

    op: Literal["second_look"] = "second_look"
    tracklet: TrackletId
    answer: Answer


class Review(_Operation):
    """Confirm or question the label of a tracklet, as another labeller decided it: the label stays.

    `decision` is the sequence number of the operation that gave the label.
    """

    op: Literal["review"] = "review"
    tracklet: TrackletId
    decision: Identity
    verdict: Literal["confirmed", "questioned"]
    reason: NoteText = ""


class Accept(_Operation):
    """Accept a finding, by its key in `annotate.suggestions.checks`: the labels are right as they are."""

    op: Literal["accept"] = "accept"
    finding: Annotated[str, Field(min_length=1, max_length=3 * MAX_NAME), AfterValidator(_printable)]


class Undo(_Operation):
    """Take back the operation of sequence number `target`."""

    op: Literal["undo"] = "undo"
    target: Identity


class Redo(_Operation):
    """Apply again the operation of sequence number `target`, which was undone."""

    op: Literal["redo"] = "redo"
    target: Identity


Decision = (
    NewIdentity
    | Assign
    | SetMark
    | AnswerBatch
    | Merge
    | Rename
    | SetNote
    | SetTags
    | Split
    | SwapTails
    | SecondLook
    | Review
    | Accept
)
Operation = AddFlight | Relink | Decision | Undo | Redo

_DECISION: TypeAdapter[Decision] = TypeAdapter(Annotated[Decision, Field(discriminator="op")])
_OPERATION: TypeAdapter[Operation] = TypeAdapter(Annotated[Operation, Field(discriminator="op")])


def read_operation(text: str | bytes) -> Operation:
    """The operation in the JSON object `text`, as `{"op": "assign", "tracklets": ["flight01/7"], "identity": 3}`.

    Raises:
        AnnotateError: not JSON, no known operation, or a field is missing, unknown or wrong; names the field.

    """
    try:
        return _OPERATION.validate_json(text)
    except ValidationError as error:
        raise AnnotateError(describe(error)) from None


def read_decision(content: object) -> Decision:
    """The decision in `content`, an object as JSON gives it.

    Raises:
        AnnotateError: as `read_operation`; also where it is an operation that is no labeller's decision.

    """
    try:
        return _DECISION.validate_json(json.dumps(content))
    except ValidationError as error:
        raise AnnotateError(describe(error)) from None


def write_operation(operation: Operation) -> str:
    """`operation` as JSON on one line: always the same text for the same operation."""
    return operation.model_dump_json()


def describe(error: ValidationError) -> str:
    """The first problem in `error`, with its field, on one line."""
    first: Any = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    found = repr(first["input"])
    return f"{field + ': ' if field else ''}{first['msg']}, found {found[:80]}"
