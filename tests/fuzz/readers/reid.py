"""Readers of `reid`: data sets as they are published, features, networks, the folder of a training."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.torch import save

from reid.checkpoint import load_checkpoint, load_foreign
from reid.config import NetworkConfig, TrainConfig
from reid.crops import read_crop
from reid.datasets.cuhk03 import read_new_protocol, read_single_shot
from reid.datasets.cuhk03_mat import extract
from reid.datasets.cuhk_sysu import cut_out
from reid.datasets.msmt17 import LISTS, read_msmt17
from reid.datasets.table import read_csv
from reid.embedder import Embedder
from reid.evaluation.features import read_features
from reid.labels import read_labels
from reid.records import ReidData, Samples
from reid.sources import image_files
from reid.training.run_folder import RunFolder, forget_after
from reid.training.table1 import FIGURES, stored_figures
from tests.fuzz.readers.reader import IMAGE, STATE, Reader, reads, together, torch_file, written


def _npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.ones((3, 4), np.float32))
    return out.getvalue()


def _onnx() -> bytes:
    """The mean colour of an image as its feature."""
    from onnx import TensorProto, helper

    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 16, 8])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 3])
    mean = helper.make_node("ReduceMean", ["images"], ["features"], axes=[2, 3], keepdims=0)
    graph = helper.make_graph([mean], "g", [given], [features])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return model.SerializeToString()


def _cuhk03_mat(folder: Path) -> None:
    import h5py

    with h5py.File(folder / "cuhk-03.mat", "w") as file:

        def cells(arrays: list[list[np.ndarray]]) -> np.ndarray:
            found = np.empty((len(arrays), len(arrays[0])), h5py.ref_dtype)
            for row, each in enumerate(arrays):
                for column, array in enumerate(each):
                    name = f"#refs#/{len(file.get('#refs#', ()))}"
                    found[row, column] = file.create_dataset(name, data=array.T, dtype=array.dtype).ref
            return found

        red = np.full((6, 4, 3), 99, np.uint8)
        for kind in ("labeled", "detected"):
            data = cells([[cells([[red] * 10])]]).T
            file.create_dataset(kind, data=data, dtype=h5py.ref_dtype)
        file.create_dataset("testsets", data=cells([[np.array([[1.0, 1.0]])]]).T, dtype=h5py.ref_dtype)


def _mat(**content: object) -> bytes:
    from scipy.io import savemat

    out = io.BytesIO()
    savemat(out, content)
    return out.getvalue()


def _cuhk03_config() -> bytes:
    names = np.array([["1_001_1_01.png"], ["1_001_2_02.png"]], object)
    index = {f"{part}_idx": [[1, 2]] for part in ("train", "query", "gallery")}
    return _mat(filelist=names, labels=[[1, 1]], **index)


def _cuhk_sysu(folder: Path) -> None:
    box = {"imname": "s1.jpg", "idlocate": np.array([[1, 1, 5, 5]], np.int32), "ishard": 0}
    tables = "annotation/test/train_test"
    person = {"idname": "p7", "nAppear": 1, "scene": box}
    test = {"Query": {**box, "idname": "p8"}, "Gallery": box}
    written(f"{tables}/Train.mat", _mat(Train=person))(folder)
    written(f"{tables}/TestG100.mat", _mat(TestG100=test))(folder)
    written("Image/SSM/s1.jpg", IMAGE)(folder)


def _cut_out(folder: Path) -> None:
    shutil.rmtree(folder / "out", ignore_errors=True)
    cut_out(folder, folder / "out")


_MSMT17_LINE = "0000/0000_000_01_0303morning_0008_0.jpg 0\n"


def _msmt17(folder: Path) -> None:
    for part in ("train", "test"):
        written(f"{part}/{_MSMT17_LINE.split()[0]}", IMAGE)(folder)
    for name in LISTS:
        written(name, 2 * _MSMT17_LINE)(folder)


NOBODY = Samples(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
NO_DATA = ReidData("none", NOBODY, NOBODY, NOBODY)


def _run_folder(folder: Path) -> RunFolder:
    return RunFolder(folder, TrainConfig(), NO_DATA, writes=True)


_CUHK03_SPLITS = json.dumps([{part: [["/x/1_001_1_01.png", 1, 0]] for part in ("train", "query", "gallery")}])
_CSV = "path,identity,camera,flight,tracklet,split\na.jpg,1,0,f,t,train\nb.jpg,-1,1,,,\n"
_CROPS = together(written("a.jpg", IMAGE), written("b.jpg", IMAGE))
_NETWORK = {"format": "uavpipe.reid.1", "network": NetworkConfig().model_dump_json(), "training": "{}"}
_FIGURES = json.dumps(
    {"figures": dict.fromkeys(FIGURES, 0.5), "made_of": {"training": {}, "measured_on": [1, 2, "market"]}}
)
_LOG = '{"iteration": 1, "loss": 0.5}\n{"iteration": 2, "loss": 0.25}\n'

REID: dict[str, Reader] = {
    "re-id network": reads(load_checkpoint, "w.safetensors", save(STATE, _NETWORK)),
    "foreign weights": reads(load_foreign, "w.pth", torch_file({"state_dict": STATE})),
    "ONNX network": reads(Embedder.load, "m.onnx", _onnx()),
    "features": reads(read_features, "f.npy", _npy()),
    "crop": reads(lambda path: read_crop(path, 16, 8), "a.jpg", IMAGE),
    "table of labels": Reader(
        "l.csv",
        together(written("l.csv", _CSV), _CROPS),
        lambda folder: read_labels([folder / "l.csv"], folders=[folder]),
    ),
    "data set as a table": Reader(
        "l.csv",
        together(
            written("l.csv", _CSV.replace(",,,", ",,,query")), written("a.jpg", IMAGE), written("b.jpg", IMAGE)
        ),
        lambda folder: read_csv(folder / "l.csv"),
    ),
    "list of images": Reader(
        "l.txt",
        together(written("l.txt", "a.jpg\na.jpg\n"), written("a.jpg", IMAGE)),
        lambda folder: image_files(folder / "l.txt"),
    ),
    "MSMT17": Reader("list_train.txt", _msmt17, read_msmt17),
    "CUHK-SYSU": Reader("annotation/test/train_test/Train.mat", _cuhk_sysu, _cut_out),
    "CUHK03 splits": Reader(
        "splits_classic_labeled.json",
        together(
            written("splits_classic_labeled.json", _CUHK03_SPLITS),
            written("images_labeled/1_001_1_01.png", IMAGE),
        ),
        lambda folder: read_single_shot(folder, "labeled"),
        json=True,
    ),
    "CUHK03 configuration": Reader(
        "cuhk03_new_protocol_config_labeled.mat",
        together(
            written("cuhk03_new_protocol_config_labeled.mat", _cuhk03_config()),
            *(written(f"images_labeled/1_001_{view}_0{view}.png", IMAGE) for view in (1, 2)),
        ),
        lambda folder: read_new_protocol(folder, "labeled"),
    ),
    "CUHK03": Reader("cuhk-03.mat", _cuhk03_mat, lambda folder: extract(folder / "cuhk-03.mat", folder / "out")),
    "run of a training": Reader(
        "run.json", lambda folder: _run_folder(folder).describe(None), lambda folder: _run_folder(folder), json=True
    ),
    "state of a training": Reader(
        "resume.pt", written("resume.pt", torch_file({"iteration": 1})), lambda folder: _run_folder(folder).state()
    ),
    "log of a training": reads(lambda path: forget_after(path, 1), "log.jsonl", _LOG),
    "figures of Table 1": reads(lambda path: stored_figures(path, {}), "table1.json", _FIGURES, json=True),
}
