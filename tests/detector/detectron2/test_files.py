import os
import pickle
import subprocess
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from detector.detectron2.files import read_detectron2
from detector.errors import DetectorError


def write(path, content, protocol=2):
    with path.open("wb") as file:
        pickle.dump(content, file, protocol=protocol)
    return path


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6, dtype=">f4"),
        np.array(7),
        np.zeros((0, 4), np.float16),
        np.array([True, False]),
        np.float64(0.5),
    ],
)
def test_arrays_come_back_as_numpy_itself_reads_them(tmp_path, array, protocol):
    path = write(tmp_path / "model.pkl", {"model": OrderedDict(a=array), "__author__": "x"}, protocol)
    found = read_detectron2(path)["a"].numpy()
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=")


def test_an_array_as_python_2_wrote_it(tmp_path):
    # {'model': {'a': numpy.arange(3, dtype='<i2')}} by Python 2.7: strings for bytes, numpy.core's old names
    text = (
        b"\x80\x02}q\x00U\x05modelq\x01}q\x02U\x01aq\x03cnumpy.core.multiarray\n_reconstruct\nq\x04cnumpy\nndarray\n"
        b"q\x05K\x00\x85U\x01bq\x06\x87q\x07Rq\x08(K\x01K\x03\x85cnumpy\ndtype\nq\x09U\x02i2q\x0aK\x00K\x01\x87q\x0bRq"
        b"\x0c(K\x03U\x01<q\x0dNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0eb\x89U\x06\x00\x00\x01\x00\x02\x00q\x0f"
        b"tq\x10bss."
    )
    path = tmp_path / "model.pkl"
    path.write_bytes(text)
    assert read_detectron2(path)["a"].tolist() == [0, 1, 2]


def test_a_checkpoint_of_a_training_is_read(tmp_path):
    path = tmp_path / "model_final.pth"
    torch.save({"model": {"a": torch.ones(2)}, "optimizer": {"state": {}}, "iteration": 3}, path)
    assert read_detectron2(path).keys() == {"a"}


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("suffix", [".pkl", ".pth"])
@pytest.mark.parametrize("function", [os.system, subprocess.check_call, eval, Path.touch, np.load, torch.load])
def test_a_pickle_that_would_run_code_is_refused_unrun(tmp_path, suffix, function):
    trap = tmp_path / "ran"
    argument = {Path.touch: trap, eval: f"open({str(trap)!r}, 'w')"}.get(function, f"touch {trap}")
    content = {"model": {"a": np.ones(2), "b": Calls(function, argument)}, "__author__": "x"}
    path = write(tmp_path / f"evil{suffix}", content)
    with pytest.raises(
        DetectorError, match=r"evil\.p..: not a checkpoint of plain arrays.*; nothing in it was run"
    ):
        read_detectron2(path)
    assert not trap.exists()


@pytest.mark.parametrize(
    "content",
    [
        {"model": {"a": np.array([print], dtype=object)}},  # objects, not numbers
        {"model": {"a": np.array(["text"])}},
        {"model": {"a": np.zeros(2, [("x", "f4"), ("y", "O")])}},  # records
        {"model": {"a": Calls(np.dtype, "O")}},
        {"model": {"a": "text"}},
        {"model": {"a": {"b": np.ones(1)}}},
        {"model": 3},
        {"blobs": {"conv1_w": np.ones(1)}},
        [np.ones(2)],
    ],
)
def test_what_is_no_model_is_one_line(tmp_path, content):
    with pytest.raises(DetectorError, match=r"model\.pkl: ") as caught:
        read_detectron2(write(tmp_path / "model.pkl", content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(10**6, 10**6), (3,), "x"])
def test_an_array_whose_bytes_do_not_fit_its_shape_is_refused(tmp_path, shape):
    content = {"model": {"a": Reshaped(shape)}}
    with pytest.raises(DetectorError, match=r"model\.pkl: a: a damaged array"):
        read_detectron2(write(tmp_path / "model.pkl", content))


class Reshaped:
    """Pickles as an array of two float32 that claims another shape."""

    def __init__(self, shape):
        self.shape = shape

    def __reduce__(self):
        build, arguments, state = np.ones(2, np.float32).__reduce__()
        return build, arguments, (state[0], self.shape, *state[2:])


@pytest.mark.parametrize("suffix", [".pkl", ".pth"])
@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"<html>"])
def test_a_torn_file_is_one_line(tmp_path, suffix, damage):
    path = tmp_path / f"model{suffix}"
    if suffix == ".pkl":
        write(path, {"model": {"a": np.ones(1000)}})
    else:
        torch.save({"model": {"a": torch.ones(1000)}}, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DetectorError, match=rf"model\{suffix}: not a checkpoint of plain arrays") as caught:
        read_detectron2(path)
    assert "\n" not in str(caught.value)


def test_what_an_unpickler_says_of_no_pickle_is_left_out(tmp_path):
    for name, data in (("README.md", b"# Words\n"), ("model.pkl", b"\x80\x63."), ("model.pth", b"# Words\n")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DetectorError, match="not a checkpoint of plain arrays; nothing in it was run"):
            read_detectron2(tmp_path / name)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(DetectorError, match="no such checkpoint"):
        read_detectron2(tmp_path / "model.pkl")
