"""What all parts of the report are made of: figures that lead to how they were made."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """A figure.

    Attributes:
        name: what it is.
        value: as it is shown.
        made: id of the `Made` that it leads to; "" where there is none.

    """

    name: str
    value: str
    made: str = ""


@dataclass(frozen=True)
class Made:
    """How something was made.

    Attributes:
        id: what facts lead to.
        title: what was made.
        command: that makes it again; "" where no command does.
        facts: names and texts: hashes, settings, versions.

    """

    id: str
    title: str
    command: str
    facts: tuple[tuple[str, str], ...]


def clock(seconds: float) -> str:
    """`1:02.3`, and `1:01:02.3` from an hour on."""
    tenths = round(10 * abs(seconds))
    minutes, rest = divmod(tenths, 600)
    text = f"{minutes}:{rest // 10:02d}.{rest % 10}"
    if minutes >= 60:
        text = f"{minutes // 60}:{minutes % 60:02d}:{rest // 10:02d}.{rest % 10}"
    return f"-{text}" if seconds < 0 and tenths else text
