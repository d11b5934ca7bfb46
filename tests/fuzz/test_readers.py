"""A reader of bytes from outside reads them, or says on one line what is wrong with which file.

A short run is part of the tests: the same examples each time. `make fuzz MINUTES=60` goes on with new ones.
"""

import os
import random
import resource
import signal
import time
import warnings
from contextlib import contextmanager

import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from annotate.errors import AnnotateError
from detector.errors import DetectorError
from pipeline.cli.errors import UserError, one_line_errors
from pipeline.errors import PipelineError
from reid.errors import ReidError
from tests.fuzz.mutations import mutated, rewritten
from tests.fuzz.readers import READERS

EXAMPLES = 30  # of each reader in the short run
SECONDS = 10  # of CPU for one file of a few hundred bytes: more is a hang
MEMORY = 3 << 30  # bytes beyond what the process has
OURS = (AnnotateError, DetectorError, PipelineError, ReidError)
MINUTES = float(os.environ.get("UAVPIPE_FUZZ_MINUTES", "0"))
pytestmark = pytest.mark.timeout(300 + 90 * MINUTES)


class HangError(Exception):
    """A reader that does not come to an end."""


@contextmanager
def bounded():
    """Stop what takes too long or too much memory."""

    def hang(*_):
        raise HangError(f"more than {SECONDS} s")

    now = psutil.Process().memory_info().vms
    limits, handler = resource.getrlimit(resource.RLIMIT_AS), signal.signal(signal.SIGPROF, hang)
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, limits[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.parametrize("name", READERS)
def test_a_sound_sample_is_read(name, tmp_path):
    READERS[name].sample(tmp_path)
    READERS[name].read(tmp_path)


FOUND = {
    "configuration": [b"workspace: !!int ''", b"detector: !!timestamp x", b'workspace: "a\\0b"'],
    "labels": [b""],
    "run of a detector's training": [b"{", b"[1]"],
    "figures of Table 1": [b"{}", b"[" * 100_000],
    "journal of forgetting": [b"", b'{"step": "delete", "delete": ["."], "move": [], "flights": []}'],
    "who is forgotten": [
        b'{"frames": {"1": [[1, 2, 3, 1' + b"0" * 400 + b"]]}}",
        b'{"frames": {"1": [[NaN, 2, 3, 4]]}}',
    ],
    "detections, to hide": [b"PAR1"],
    "detections, to forget": [b"PAR1"],
    "CUHK-SYSU": [b"MATLAB"],
    "detectron2 configuration": [b"MODEL: !!int ''"],
    "COCO": [b"[" * 100_000, b'{"images": [1], "annotations": [], "categories": []}'],
    "COCO results": [
        b"[" * 100_000,
        b'[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1' + b"0" * 400 + b"}]",
        b'[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 1' + b"0" * 400 + b'], "score": 1}]',
    ],
    "MOTChallenge": [b"1e999,1,2,3,4,5"],
    "CVAT": [b"<?xml version='1.0' encoding='utf-88'?><annotations/>", b"<annotations>\xff</annotations>"],
    "truth, MOTChallenge": [b"1e999,1,10,20,30,40,1,1,1"],
    "features": [b"\x93NUMPY\x01\0\x10\0{'descr': '<f4'\n\n\n"],
}


@pytest.mark.parametrize(("name", "content"), [(name, each) for name, those in FOUND.items() for each in those])
def test_what_broke_a_reader_once_is_told_on_one_line(name, content, tmp_path):
    READERS[name].sample(tmp_path)
    (tmp_path / READERS[name].file).write_bytes(content)
    with pytest.raises(OURS, match=str(tmp_path)):
        READERS[name].read(tmp_path)


@pytest.mark.parametrize("name", READERS)
def test_damage_is_told_on_one_line(name, tmp_path):
    reader = READERS[name]
    reader.sample(tmp_path)
    file = tmp_path / reader.file
    sample = file.read_bytes()
    damaged = mutated(sample) | rewritten(sample) if reader.json else mutated(sample)

    def check(content):
        file.write_bytes(content)
        try:
            with bounded(), warnings.catch_warnings(), one_line_errors():
                warnings.simplefilter("ignore")
                reader.read(tmp_path)
        except UserError as error:
            names = (file.name, str(tmp_path), "File name too long")
            assert any(name in error.message for name in names), error.message

    for numbers in _runs():
        options = settings(
            max_examples=EXAMPLES if numbers is None else 500,
            derandomize=numbers is None,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        test = options(given(damaged)(check))
        (test if numbers is None else seed(numbers)(test))()


def _runs():
    """None for the short run; seeds until the time of this reader is over."""
    if not MINUTES:
        yield None
        return
    end = time.monotonic() + 60 * MINUTES / len(READERS)
    while time.monotonic() < end:
        yield random.getrandbits(32)
