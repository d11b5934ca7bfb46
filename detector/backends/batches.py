"""Batches of prepared images for a detector."""

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, TypeVar

T = TypeVar("T")


def images_in(prepared: Any) -> int:
    """How many images of a batch something prepared is: as many as it has `pieces`, or one."""
    return len(getattr(prepared, "pieces", (prepared,)))


def batched(
    items: Generator[T],
    size: int,
    prepared: Callable[[T], Any] = lambda item: item,
    ends: Callable[[T], bool] = lambda item: False,
) -> Generator[list[T]]:
    """Batches of at most `size` images, unless one item has more: as many as fit if the next is like the last.

    Args:
        items: in order; closed at the end.
        size: of a batch.
        prepared: what the detector prepared of an item.
        ends: whether an item is the last one of its batch.

    """
    batch: list[T] = []
    images = 0
    with closing(items):
        for item in items:
            batch.append(item)
            count = images_in(prepared(item))
            images += count
            if images + count > size or ends(item):
                yield batch
                batch, images = [], 0
        if batch:
            yield batch
