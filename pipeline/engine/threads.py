"""Overlapping the steps of a stream of frames: each step in threads of its own, bounded queues between them.

The heavy steps (FFmpeg, OpenCV, PyTorch) release the interpreter lock, so threads are enough.
"""

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_END = object()


def prefetch(items: Iterable[T], depth: int) -> Generator[T]:
    """Run the iteration of `items` in a thread, at most `depth` items ahead of the consumer.

    Order is kept; an exception in `items` is raised here after the items before it. Closing the generator
    stops the thread and closes `items`.
    """
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(kind: str, value: Any) -> bool:
        while not stop.is_set():
            try:
                waiting.put((kind, value), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        iterator = iter(items)
        try:
            for item in iterator:
                if not put("item", item):
                    break
            else:
                put("end", None)
        except BaseException as error:  # handed over: the consumer raises it
            put("error", error)
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value
    finally:
        stop.set()
        thread.join()


def ordered_map(function: Callable[[T], R], items: Iterable[T], workers: int, depth: int) -> Iterator[R]:
    """`map(function, items)` by `workers` threads, results in order, at most `depth` of them in flight."""
    running: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix=getattr(function, "__name__", "map")) as pool:
        try:
            for item in items:
                running.append(pool.submit(function, item))
                if len(running) >= max(depth, workers):
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
            if isinstance(items, Generator):
                with closing(items):
                    pass


def fan_out(items: Iterable[T], functions: Sequence[Callable[[T], None]], depth: int) -> None:
    """Call each of `functions` with every one of `items`, in order: a thread a function, `depth` items waiting.

    Of several errors the one is raised that would have come first in one thread: by the order of the items, then of
    the functions. Until it is raised, the other functions get what was given out by then. Where `items` is
    interrupted (KeyboardInterrupt), they get nothing more.
    """
    lanes: list[_Lane[T]] = []
    try:
        for function in functions:
            lanes.append(_Lane(function, depth))
        for item in items:
            for lane in lanes:
                lane.put(item)
            if any(lane.failed for lane in lanes):
                break
        _end(lanes)
    except Exception:
        _end(lanes)
        _raise_first(lanes)
        raise
    except BaseException:
        for lane in lanes:
            lane.stop()
        _end(lanes)
        raise
    _raise_first(lanes)


def _end(lanes: "Sequence[_Lane[Any]]") -> None:
    for lane in lanes:
        lane.end()
    for lane in lanes:
        lane.join()


def _raise_first(lanes: "Sequence[_Lane[Any]]") -> None:
    failures = [lane.failed for lane in lanes if lane.failed]
    if failures:
        raise min(failures, key=lambda failure: failure[0])[1]


class _Lane(Generic[T]):
    """A thread that calls `function` with what is put.

    Attributes:
        failed: after how many items, and how.

    """

    def __init__(self, function: Callable[[T], None], depth: int) -> None:
        self.failed: tuple[int, BaseException] | None = None
        self._function = function
        self._waiting: queue.Queue[Any] = queue.Queue(depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="lane", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Wait for room; after a failure items vanish, so that nobody waits for ever."""
        self._waiting.put(item)

    def stop(self) -> None:
        """Leave out what was put and is not begun."""
        self._stopped.set()

    def end(self) -> None:
        """Nothing more is put."""
        self._waiting.put(_END)

    def join(self) -> None:
        """Wait until all that was put is done; `end` comes before."""
        self._thread.join()

    def _work(self) -> None:
        for count, item in enumerate(iter(self._waiting.get, _END)):
            if self.failed or self._stopped.is_set():
                continue
            try:
                self._function(item)
            except BaseException as error:  # handed over: `fan_out` raises it
                self.failed = count, error


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
