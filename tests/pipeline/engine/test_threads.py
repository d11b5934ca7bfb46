import threading
import time
from contextlib import closing

import pytest

from pipeline.engine.threads import ordered_map, prefetch


def test_prefetch_keeps_order_and_all_items():
    assert list(prefetch(range(100), depth=3)) == list(range(100))


def test_prefetch_runs_ahead_but_only_so_far():
    made = []

    def items():
        for number in range(50):
            made.append(number)
            yield number

    with closing(prefetch(items(), depth=3)) as stream:
        assert next(stream) == 0
        deadline = time.monotonic() + 5
        while len(made) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        assert len(made) == 5  # one taken, three waiting, one in hand


def test_prefetch_hands_an_error_over_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise ValueError("third")

    seen = []
    with pytest.raises(ValueError, match="third"):
        for item in prefetch(items(), depth=1):
            seen.append(item)
    assert seen == [1, 2]


def test_closing_prefetch_ends_its_thread_and_closes_the_source():
    closed = threading.Event()

    def items():
        try:
            yield from range(10**9)
        finally:
            closed.set()

    before = threading.active_count()
    stream = prefetch(items(), depth=2)
    next(stream)
    stream.close()
    assert closed.is_set()
    assert threading.active_count() == before


def test_ordered_map_keeps_order_whoever_finishes_first():
    def slow_first(number):
        time.sleep(0.02 if number % 2 == 0 else 0)
        return number * number

    assert list(ordered_map(slow_first, range(20), workers=3, depth=4)) == [n * n for n in range(20)]


def test_ordered_map_works_at_the_same_time():
    together = threading.Barrier(2, timeout=10)  # broken, an error, if two calls never overlap
    assert len(list(ordered_map(lambda _: together.wait(), range(4), workers=2, depth=2))) == 4


def test_ordered_map_raises_what_the_function_raised():
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(lambda number: 1 // number, [1, 0, 1], workers=2, depth=2))
