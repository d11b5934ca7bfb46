from types import SimpleNamespace

import pytest

from detector.backends.batches import batched


def image(pieces):
    return SimpleNamespace(pieces=range(pieces)) if pieces else object()


def each(items, closed):
    try:
        yield from items
    finally:
        closed.append(True)


@pytest.mark.parametrize(
    ("pieces", "size", "expected"),
    [
        ([0] * 5, 2, [2, 2, 1]),
        ([0] * 3, 1, [1, 1, 1]),
        ([3] * 12, 16, [5, 5, 2]),  # a sixth image would make 18 pieces
        ([9] * 3, 16, [1, 1, 1]),
        ([33] * 2, 16, [1, 1]),  # more than a batch: the detector divides it
        ([4] * 4, 16, [4]),
        ([], 16, []),
    ],
)
def test_a_batch_has_as_many_images_as_fit_with_all_their_pieces(pieces, size, expected):
    closed, images = [], [image(count) for count in pieces]
    batches = list(batched(each(images, closed), size))
    assert [len(batch) for batch in batches] == expected
    assert [item for batch in batches for item in batch] == images
    assert closed


def test_a_batch_ends_where_it_has_to_and_one_that_is_left_closes_its_source():
    closed = []
    batches = batched(each("abcdefg", closed), 3, ends=lambda item: item == "d")
    assert [next(batches), next(batches)] == [["a", "b", "c"], ["d"]]
    assert not closed
    batches.close()
    assert closed
