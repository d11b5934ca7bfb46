"""Without memory, whatever a library says about it, a command ends with one line that names the work."""

import errno
import os

import av.error
import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from detector.errors import DetectorError
from pipeline.cli import main
from pipeline.cli.memory import ran_out
from pipeline.simulate import simulate_flight

TOO_MUCH = 2**60


def import_fails():
    raise ImportError("libtorch_cpu.so: failed to map segment from shared object")


def numpy_allocates():
    np.empty(TOO_MUCH, np.uint8)


def torch_allocates():
    torch.empty(TOO_MUCH, dtype=torch.uint8)


def opencv_allocates():
    raise cv2.error("OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 99 bytes")


def kernel_refuses():
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


def no_thread_starts():
    raise RuntimeError("can't start new thread")


def onednn_refuses():
    raise RuntimeError("could not create a primitive")


def x264_allocates():
    raise av.error.ExternalError(542398533, "Generic error in an external library", 'avcodec_open2("libx264", {})')


def python_loses_the_error():
    raise SystemError("error return without exception set")


def c_function_loses_the_error():
    raise SystemError("<built-in function compile> returned NULL without setting an exception")


def taken_for_damage():
    try:
        torch_allocates()
    except Exception as error:
        raise DetectorError(f"a.pth: not weights ({error})") from None


KINDS = [
    import_fails,
    numpy_allocates,
    torch_allocates,
    opencv_allocates,
    kernel_refuses,
    no_thread_starts,
    onednn_refuses,
    x264_allocates,
    python_loses_the_error,
    c_function_loses_the_error,
    taken_for_damage,
]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("flight") / "a.mp4"
    simulate_flight(path, people=1, seconds=1, seed=1, size=(64, 64), fps=4)
    return path


@pytest.mark.parametrize("fail", KINDS, ids=lambda fail: fail.__name__)
def test_it_is_one_line(fail, video, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.run.flight.load_predictor", lambda *_: fail())
    settings = ["--set", "detector.weights=embedded", "--workspace", str(tmp_path / "runs")]
    shown = CliRunner().invoke(main, ["detect", str(video), *settings])
    assert shown.exit_code == 1, shown.output
    assert shown.output.splitlines()[-1] == (
        "uavpipe: memory ran out during a: frames, detect; finished work is kept: free some memory, "
        "or set detector.batch_size=1 or a smaller detector.resize, and run again"
    )


@pytest.mark.parametrize(
    "error",
    [
        ValueError("out of memory"),
        RuntimeError("shapes do not match"),
        ImportError("libgomp.so.1: cannot allocate memory in static TLS block"),  # a matter of the order of imports
        av.error.ExternalError(542398533, "Generic error in an external library", "avcodec_send_packet()"),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    ],
)
def test_other_errors_are_others(error):
    assert not ran_out(error)


def test_errors_that_name_each_other_end():
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first
    assert not ran_out(first)
