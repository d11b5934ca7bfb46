"""The account of a file: rows read, used, and left out by reason."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_SHOWN = 8  # reasons; a data set has 80 categories, or 1,000


@dataclass
class Account:
    """Every row of a file is used, or left out for a reason.

    Attributes:
        kind: of the rows, in the plural, as "annotations".
        read: number of rows.
        left_out: number of rows by reason, as "of category car".
        notes: whatever else the user has to know, with its number, as "images without a label file".
        remarks: whole sentences, without a number.

    """

    kind: str = "rows"
    read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    remarks: dict[str, None] = field(default_factory=dict)

    @property
    def used(self) -> int:
        """Number of rows that were not left out."""
        return self.read - self.left_out.total()

    def remark(self, sentence: str) -> None:
        """Keep `sentence`, once."""
        self.remarks[sentence] = None

    def reasons(self) -> str:
        """The most frequent reasons for which rows were left out, with their numbers."""
        ranked = sorted((-count, reason) for reason, count in self.left_out.items() if count)
        shown = [f"{-count:,} {reason}" for count, reason in ranked[:_SHOWN]]
        if rest := -sum(count for count, _ in ranked[_SHOWN:]):
            shown.append(f"{rest:,} for {len(ranked) - _SHOWN} other reasons")
        return ", ".join(shown)

    def lines(self, path: Path) -> Iterator[str]:
        """One line with the counts of `path`, then the notes."""
        reasons = self.reasons()
        yield (
            f"{path}: {self.read:,} {self.kind} read, {self.used:,} used, {self.left_out.total():,} left out"
            + (f" ({reasons})" if reasons else "")
        )
        yield from (f"  {count:,} {note}" for note, count in sorted(self.notes.items()) if count)
        yield from (f"  {sentence}" for sentence in self.remarks)
