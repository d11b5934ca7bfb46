"""Records that the parts of the report share: figures, and the provenance that each links to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """A figure.

    Attributes:
        name: what it is.
        value: as it is shown.
        provenance: id of the `Provenance` that it links to; "" where there is none.

    """

    name: str
    value: str
    provenance: str = ""


@dataclass(frozen=True)
class Provenance:
    """Where the result of a stage, the data set or an evaluation comes from.

    Attributes:
        id: that facts link to.
        title: of the result.
        command: that makes it again.
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
