"""The log of operations as JSON lines, to keep, to send and to compare.

The first line says what it is and how many operations follow, each later line is one of them, with a hash over
itself and all before it: nothing can be changed, left out or cut off unnoticed.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from annotate.errors import AnnotateError, Refused
from annotate.files import temporary_beside, write_text
from annotate.log.history import Entry
from annotate.log.store import LabelStore
from annotate.operations import Operation, OperationId, UserName, describe, write_operation

_VERSION = 1


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Head(_Line):
    format: Literal["uavpipe labels"] = "uavpipe labels"
    version: int
    operations: int


class _Row(_Line):
    sequence: int
    id: OperationId
    user: UserName
    time: Annotated[str, Field(max_length=40)]
    operation: Annotated[Operation, Field(discriminator="op")]
    hash: str


def write_log(path: Path, entries: Sequence[Entry]) -> None:
    """Write `entries`, a log from its beginning, to `path` atomically."""
    lines = [_Head(version=_VERSION, operations=len(entries)).model_dump_json()]
    chain = ""
    for entry in entries:
        chain = entry.chained(chain)
        fields = {name: getattr(entry, name) for name in ("sequence", "id", "user", "time")}
        operation = json.loads(write_operation(entry.operation))
        lines.append(json.dumps({**fields, "operation": operation, "hash": chain}, ensure_ascii=False))
    write_text(path, "\n".join(lines) + "\n")


def read_log(path: Path) -> list[Entry]:
    """The entries in `path`.

    Raises:
        AnnotateError: not a log, of a newer version, cut off, or changed; names the line and the field.

    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise AnnotateError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        head = _Head.model_validate_json(lines[0] if lines else b"")
    except ValidationError as error:
        raise AnnotateError(f"{path} line 1: not a log of labels: {describe(error)}") from None
    if head.version != _VERSION:
        raise AnnotateError(
            f"{path}: a log of format {head.version}, this uavpipe knows {_VERSION}; install a newer one"
        )
    entries: list[Entry] = []
    chain = ""
    for number, line in enumerate(lines[1:], start=2):
        entry, chain = _read_row(f"{path} line {number}", line, chain)
        if entry.sequence != len(entries) + 1:
            raise AnnotateError(f"{path} line {number}: operation {entry.sequence}, expected {len(entries) + 1}")
        entries.append(entry)
    if len(entries) != head.operations:
        raise AnnotateError(
            f"{path}: {len(entries)} operations, expected {head.operations}: cut off; export the log again"
        )
    return entries


def _read_row(where: str, line: bytes, before: str) -> tuple[Entry, str]:
    try:
        row = _Row.model_validate_json(line)
    except ValidationError as error:
        raise AnnotateError(f"{where}: {describe(error)}") from None
    entry = Entry(row.sequence, row.id, row.user, row.time, row.operation)
    chain = entry.chained(before)
    if chain != row.hash:
        raise AnnotateError(f"{where}: not as it was written, or a line before it is missing; export the log again")
    return entry, chain


def replay(log: Path, out: Path) -> int:
    """Rebuild the labels in `out` from the text `log`; `out` appears when all is done.

    Returns:
        The number of operations.

    Raises:
        AnnotateError: as `read_log`, an operation cannot follow, or `out` exists.

    """
    if out.exists():
        raise AnnotateError(f"{out}: already exists; choose another name or remove it")
    entries = read_log(log)
    with temporary_beside(out) as temporary:
        try:
            with LabelStore(temporary) as store:
                store.take_log(entries)
        except Refused as error:
            raise AnnotateError(f"{log}: {error}") from None
        temporary.replace(out)
    return len(entries)
