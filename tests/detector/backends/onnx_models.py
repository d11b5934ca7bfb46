"""Small ONNX models whose outputs are written down: they answer the same to every image."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEIGHT = 96, 64  # px of their input
_TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float16): TensorProto.FLOAT16,
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.uint8): TensorProto.UINT8,
}


def write_model(
    path, outputs, *, shape=(1, 3, HEIGHT, WIDTH), dtype=np.float32, metadata=None, sizes=False, seen=()
):
    """A model that gives `outputs`, arrays by name of one image, to each image of a batch.

    Args:
        path: of the file.
        outputs: an array without a first axis of 1 is given once, for the whole batch.
        shape: of its input.
        dtype: of its input.
        metadata: texts by name.
        sizes: whether it also takes sizes, as RT-DETR does.
        seen: (weights of the channels, indices in the first output): the weighted mean of the image is added there.

    """
    nodes, constants = [], [numpy_helper.from_array(np.array([0, 1, 1], np.int64), "shape")]

    def node(kind, given, made, **attributes):
        nodes.append(helper.make_node(kind, given, [made], **attributes))
        return made

    def constant(array, name):
        constants.append(numpy_helper.from_array(array, name))
        return name

    node("Cast", ["images"], "values", to=TensorProto.FLOAT)
    node("ReduceMean", ["values"], "means", axes=[2, 3], keepdims=0)
    weights, place = seen or (np.zeros(shape[1]), ())
    node("MatMul", ["means", constant(np.array(weights, np.float32)[:, None], "weights")], "sum")
    node("Reshape", ["sum", "shape"], "each")
    for number, (name, array) in enumerate(outputs.items()):
        marked = np.zeros(array.shape, np.float32)
        if number == 0 and place:
            marked[place] = 1
        if array.shape[0] != 1:
            node("Identity", [constant(array, f"{name}_all")], name)
            continue
        marked = marked.reshape(1, *marked.shape[1:], *[1] * (3 - array.ndim))
        scale = node("Mul", ["each", constant(marked, f"{name}_at")], f"{name}_seen")
        if array.ndim < 3:
            scale = node("Squeeze", [scale, constant(np.array([2], np.int64), f"{name}_axis")], f"{name}_less")
        scale = node("Cast", [scale], f"{name}_cast", to=_TYPES[array.dtype])
        node("Add", [scale, constant(array, f"{name}_is")], name)
    inputs = [helper.make_tensor_value_info("images", _TYPES[np.dtype(dtype)], shape)]
    if sizes:
        inputs.append(helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, ["n", 2]))
    ends = [helper.make_tensor_value_info(name, _TYPES[array.dtype], None) for name, array in outputs.items()]
    graph = helper.make_graph(nodes, "written", inputs, ends, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


def cells(strides=(8, 16, 32), anchors=1):
    """Column, row and stride of the cells of all levels, as the rows of an output are ordered."""
    return np.array(
        [
            (column, row, stride)
            for stride in strides
            for _ in range(anchors)
            for row in range(-(-HEIGHT // stride))
            for column in range(-(-WIDTH // stride))
        ],
        np.float32,
    )
