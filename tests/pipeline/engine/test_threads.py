import threading
import time
from contextlib import closing

import pytest

from pipeline.engine.threads import fan_out, ordered_map, prefetch


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


def test_fan_out_gives_all_items_to_all_in_order():
    taken = [[], [], []]
    fan_out(range(100), [each.append for each in taken], depth=2)
    assert taken == [list(range(100))] * 3


def test_fan_out_works_at_the_same_time():
    together = threading.Barrier(3, timeout=10)  # broken, an error, if a function waits for another
    fan_out(range(3), [lambda _: together.wait()] * 3, depth=1)


def test_fan_out_waits_for_the_slowest():
    go_on, given, taken = threading.Event(), [], []

    def items():
        for number in range(20):
            given.append(number)
            if number == 4:  # one at work, two waiting, one that waits for room
                threading.Timer(0.1, lambda: (taken.append(len(given)), go_on.set())).start()
            yield number

    fan_out(items(), [lambda _: go_on.wait(10), lambda _: None], depth=2)
    assert taken[0] == 5
    assert len(given) == 20


@pytest.mark.parametrize("slow", ["early", "late"])
def test_fan_out_raises_what_would_come_first_in_one_thread(slow):
    """The other function fails later in the order of the items, earlier or later by the clock."""
    done = []

    def fail_at(place, name, seconds):
        def function(item):
            if item == place:
                time.sleep(seconds)
                raise ValueError(name)
            done.append((name, item))

        return function

    early, late = (0.1, 0) if slow == "early" else (0, 0.1)
    functions = [fail_at(6, "late", late), fail_at(5, "early", early), fail_at(5, "after it", 0)]
    before = threading.active_count()
    with pytest.raises(ValueError, match="early"):
        fan_out(iter(range(1000)), functions, depth=3)
    assert threading.active_count() == before
    assert ("early", 6) not in done
    assert max(item for _, item in done) < 20  # none goes on for long


def test_fan_out_does_what_was_given_out_before_the_items_fail():
    done = []

    def items():
        yield from range(5)
        raise ValueError("sixth")

    def slowly(item):
        time.sleep(0.01)
        done.append(item)

    with pytest.raises(ValueError, match="sixth"):
        fan_out(items(), [slowly], depth=10)
    assert done == list(range(5))
    with pytest.raises(ZeroDivisionError):  # it comes before
        fan_out(items(), [lambda item: 1 // (4 - item)], depth=10)


def test_fan_out_leaves_the_rest_out_where_it_is_interrupted():
    begun, done = threading.Event(), []

    def items():
        yield from range(5)
        begun.wait(10)
        raise KeyboardInterrupt

    def slowly(item):
        begun.set()
        time.sleep(0.1)
        done.append(item)

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        fan_out(items(), [slowly], depth=10)
    assert done == [0]
    assert threading.active_count() == before
