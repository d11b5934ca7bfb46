"""What a reader of a data set gives: the labels of its three parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reid.labels import Label


@dataclass(frozen=True)
class Parts:
    """Labels of what is learnt from, of who is looked for, and of those among whom."""

    train: Sequence[Label]
    query: Sequence[Label]
    gallery: Sequence[Label]

    def __iter__(self) -> Iterator[Sequence[Label]]:
        return iter((self.train, self.query, self.gallery))
