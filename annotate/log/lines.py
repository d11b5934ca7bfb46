"""One entry of the log as a line of JSON, with a hash over itself and all before it."""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from annotate.errors import AnnotateError
from annotate.log.history import Entry
from annotate.operations import Operation, OperationId, UserName, describe, write_operation

VERSION = 1


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Head(_Line):
    format: Literal["uavpipe labels"] = "uavpipe labels"
    version: int
    operations: int | None = None


class _Row(_Line):
    sequence: int
    id: OperationId
    user: UserName
    time: Annotated[str, Field(max_length=40)]
    operation: Annotated[Operation, Field(discriminator="op")]
    hash: str


def write_head(operations: int | None = None) -> str:
    """The first line; `operations`: how many lines follow, None where the text grows."""
    return _Head(version=VERSION, operations=operations).model_dump_json(exclude_none=True)


def read_head(where: str, line: bytes) -> int | None:
    """How many lines follow `line`, the first one; None where the text grows.

    Raises:
        AnnotateError: it begins no log, or one of a newer version; begins with `where`.

    """
    try:
        head = _Head.model_validate_json(line)
    except ValidationError as error:
        raise AnnotateError(f"{where} line 1: not a log of labels: {describe(error)}") from None
    if head.version != VERSION:
        raise AnnotateError(
            f"{where}: a log of format {head.version}, this uavpipe knows {VERSION}; install a newer one"
        )
    return head.operations


def write_line(entry: Entry, chain: str) -> str:
    """`entry` with its hash, `chain`."""
    fields = {name: getattr(entry, name) for name in ("sequence", "id", "user", "time")}
    operation = json.loads(write_operation(entry.operation))
    return json.dumps({**fields, "operation": operation, "hash": chain}, ensure_ascii=False)


def parse_line(where: str, line: bytes) -> tuple[Entry, str]:
    """The entry in `line`, and the hash beside it, not compared with what is before it.

    Raises:
        AnnotateError: it is not an entry; names the field.

    """
    try:
        row = _Row.model_validate_json(line)
    except ValidationError as error:
        raise AnnotateError(f"{where}: {describe(error)}") from None
    return Entry(row.sequence, row.id, row.user, row.time, row.operation), row.hash
