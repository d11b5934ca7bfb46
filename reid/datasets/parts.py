"""The labels of a data set's three parts, as its reader gives them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reid.labels import Label


@dataclass(frozen=True)
class Parts:
    """Labels of the crops of training set, query and gallery."""

    train: Sequence[Label]
    query: Sequence[Label]
    gallery: Sequence[Label]

    def __iter__(self) -> Iterator[Sequence[Label]]:
        return iter((self.train, self.query, self.gallery))
