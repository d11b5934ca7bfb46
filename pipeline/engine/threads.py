"""Overlapping the steps of a stream of frames: each step in threads of its own, bounded queues between them.

The heavy steps (FFmpeg, OpenCV, PyTorch) release the interpreter lock, so threads are enough.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


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
