"""Checkpoints on disk: safetensors with a description; no format that can run code."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from reid.config import NetworkConfig
from reid.errors import ReidError
from reid.files import atomic_file
from reid.header import describe, read_header
from reid.network import Network


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights, their architecture and their origin.

    Attributes:
        network: the architecture.
        state: names and tensors of the network, backbone and heads.
        training: provenance of the weights: configuration, data, iteration, metrics.

    """

    network: NetworkConfig
    state: Mapping[str, Tensor]
    training: Mapping[str, Any]


def save_checkpoint(
    path: Path, state: Mapping[str, Tensor], *, network: NetworkConfig, training: Mapping[str, object]
) -> None:
    """Write the `state` of a network to `path` (`….safetensors`), atomically.

    Matrices and kernels are stored as float16, which halves the file; vectors keep their type, since the variance
    of a batch norm may not fit into float16.
    """
    tensors = {
        name: (value.half() if value.is_floating_point() and value.ndim > 1 else value).detach().cpu().contiguous()
        for name, value in state.items()
    }
    with atomic_file(path) as temporary:
        save_file(tensors, temporary, metadata=describe(network, training))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of this project; floats come back as float32.

    Raises:
        ReidError: missing, damaged, or not a re-id network of uavpipe.

    """
    header = read_header(path)
    try:
        with safe_open(path, "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (SafetensorError, OSError) as error:
        raise ReidError(
            f"{path}: not a safetensors file, or a damaged one ({error}); copy or download it again"
        ) from None
    return Checkpoint(header.network, _float32(state), header.training)


def load_foreign(path: Path) -> dict[str, Tensor]:
    """The tensors of a foreign `.pth`; a pickle with anything but tensors is refused, not run.

    Raises:
        ReidError: missing, or not such a file.

    """
    if not path.is_file():
        raise ReidError(f"{path}: no such checkpoint")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks about pickle protocols
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch passes on what its unpickler raises; all of it means "not weights"
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise ReidError(
            f"{path}: not a checkpoint of plain tensors ({reason}); nothing in it was run. "
            "Expected a state dict, or a uavpipe .safetensors file"
        ) from None
    for wrapper in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict):
        raise ReidError(f"{path}: expected a state dict of tensors, found {type(state).__name__}")
    return _float32({str(name): value for name, value in state.items() if isinstance(value, Tensor)})


def load_network(path: Path) -> Network:
    """The trained network in `path`, ready for inference on the CPU.

    Raises:
        ReidError: missing, damaged, or with weights that are not finite.

    """
    checkpoint = load_checkpoint(path)
    network = Network(checkpoint.network)
    for name, value in checkpoint.state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise ReidError(
                f"{path}: {name} has values that are not finite; the training diverged, take an earlier checkpoint"
            )
    try:
        network.load_state_dict(dict(checkpoint.state))
    except RuntimeError as error:
        raise ReidError(
            f"{path}: weights and description do not match: {' '.join(str(error).split())[:150]}"
        ) from None
    return network.eval()


def _float32(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
