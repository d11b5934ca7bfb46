"""A GPU for machines that have none: tensors that say `cuda:0`, computed on the CPU.

Operators get the real operands, so that results are the CPU's. What goes wrong on a GPU alone goes wrong here too:
tensors of two devices do not mix, nothing reads a GPU's tensor without a copy, autocast takes CUDA's lists. The
ledger has every operator: how often, in which precision, and with which line of ours the host waits for a result.
"""

import contextlib
import sys
import threading
from collections import Counter
from pathlib import Path
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

ROOT = Path(__file__).parents[2]
OURS = tuple(str(ROOT / package) for package in ("detector", "pipeline", "reid"))
TORCH = (f"{Path(torch.__file__).parent}/", __file__, contextlib.__file__)
GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
HALF = (torch.float16, torch.bfloat16)
# The size or the value of their results is known to the GPU alone.
WAITING = {
    "_local_scalar_dense", "_unique2", "bincount", "equal", "histc", "is_nonzero", "item", "masked_select", "nms",
    "nonzero", "repeat_interleave", "unique_consecutive", "unique_dim",
}  # fmt: skip
MASKS = (torch.bool, torch.uint8)
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}


class Ledger:
    """What was asked of the GPU.

    Attributes:
        launches: operators by name.
        waits: how often the host waited, by who asked (`detector/x.py:12` or a library's folder) and operator.
        precisions: floating-point types of the operands, by operator: (name, type) -> count.

    """

    def __init__(self):
        self.launches, self.waits, self.precisions = Counter(), Counter(), Counter()
        self._lock = threading.Lock()

    def clear(self):
        for counter in (self.launches, self.waits, self.precisions):
            counter.clear()

    def launch(self, name, operands):
        with self._lock:
            self.launches[name] += 1
            for kind in {tensor.dtype for tensor in operands if tensor.is_floating_point()}:
                self.precisions[name, kind] += 1

    def wait(self, name):
        with self._lock:
            self.waits[_who_asked(), name] += 1

    def own_waits(self, folder):
        """Waits that our own code in `folder` asks for, by file and operator: {"detector/x.py to host": 1}."""
        ours = Counter()
        for (who, name), count in self.waits.items():
            if who.startswith(folder) and ".py:" in who:
                ours[f"{who.split(':')[0]} {name}"] += count
        return dict(ours)

    def kinds(self, *names):
        """The floating-point types of the operands of these operators."""
        return {kind for name, kind in self.precisions if name in names}


def _who_asked():
    """The line of ours that called torch; else the library that did."""
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith(TORCH):
        frame = frame.f_back
    path = Path(frame.f_code.co_filename if frame else "?")
    return f"{path.relative_to(ROOT)}:{frame.f_lineno}" if str(path).startswith(OURS) else path.parts[-2]


class OnGpu(torch.Tensor):
    """A tensor on the pretended GPU; `held` has its numbers."""

    @staticmethod
    def __new__(cls, held, ledger):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=GPU,
        )

    def __init__(self, held, ledger):
        self.held, self.ledger = held, ledger

    def __repr__(self):
        return f"OnGpu({self.held!r})"

    def __tensor_flatten__(self):  # with it, `Module.to` puts the tensor itself in a parameter's place
        return ["held"], self.ledger

    @staticmethod
    def __tensor_unflatten__(inner, ledger, size, stride):
        return OnGpu(inner["held"], ledger)

    def __reduce_ex__(self, protocol):
        return self.held.detach().__reduce_ex__(protocol)

    def numpy(self, **_):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")

    __array__ = numpy

    def tolist(self):
        return self.detach().cpu().tolist()

    def data_ptr(self):
        return self.held.data_ptr()

    @classmethod
    def __torch_dispatch__(cls, operator, types, args=(), kwargs=None):
        ledger = next(each.ledger for each in tree_leaves((args, kwargs or {})) if isinstance(each, OnGpu))
        return _run(ledger, operator, args, kwargs or {})


class _Dispatch(TorchDispatchMode):
    """Sees the operators without a tensor of the GPU too: those that make one."""

    def __init__(self, ledger):
        super().__init__()
        self._ledger = ledger

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        return _run(self._ledger, operator, args, kwargs or {})


def _run(ledger, operator, args, kwargs):
    if _is_composite(operator):  # under inference_mode it comes whole; a GPU would get its parts
        with _Dispatch(ledger):
            return operator.decompose(*args, **kwargs)
    name = operator._overloadpacket.__name__
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
    ours = [each for each in tensors if isinstance(each, OnGpu)]
    device = kwargs.get("device")
    makes_ours = torch.device(device).type == "cuda" if device is not None else bool(ours)
    if not ours and not makes_ours:
        return operator(*args, **kwargs)
    ledger.launch(name, ours)
    _check_devices(ledger, name, args, kwargs, tensors, ours)
    plain_args, plain = tree_map_only(OnGpu, lambda tensor: tensor.held, (args, kwargs))
    plain = {key: CPU if key == "device" and value is not None else value for key, value in plain.items()}
    plain |= {key: False for key in ("non_blocking", "pin_memory") if plain.get(key)}
    result = _compute(operator, plain_args, plain)
    if name == "copy_" or not makes_ours:
        return args[0] if name == "copy_" else result
    known = {id(tensor.held): tensor for tensor in ours}

    def on_gpu(held):
        return known[id(held)] if id(held) in known else OnGpu(held, ledger)

    return tree_map_only(torch.Tensor, on_gpu, result)


def _is_composite(operator):
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    return operator._can_decompose() and has(operator.name(), "CompositeImplicitAutograd")


def _check_devices(ledger, name, args, kwargs, tensors, ours):
    """Raise where two devices mix, and note where the host waits."""
    if name == "_to_copy":
        to_host = bool(ours) and kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "cpu"
        from_host = not ours
        late = kwargs.get("non_blocking") and getattr(args[0], "is_pretended_pinned", False)
        if to_host or (from_host and not late):
            ledger.wait("to host" if to_host else "to the GPU")
        return
    if name == "copy_":
        if len(ours) == 1:
            ledger.wait("copy between devices")
        return
    indices = [each for each in args[1] if each is not None] if name in INDEXING else []
    for tensor in tensors:
        if not isinstance(tensor, OnGpu) and tensor.ndim and not any(tensor is index for index in indices):
            devices = (
                "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"
            )
            raise RuntimeError(f"{devices} ({name} {tuple(tensor.shape)})")
    if name in WAITING or any(not isinstance(each, OnGpu) or each.dtype in MASKS for each in indices):
        ledger.wait(name)


def _compute(operator, args, kwargs):
    try:
        return operator(*args, **kwargs)
    except (RuntimeError, NotImplementedError) as error:
        if "not implemented for" not in str(error):
            raise
    # A CPU lacks some kernels in half precision: rounded afterwards, float32 gives the same.
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
    kind = next(each.dtype for each in tensors if each.dtype in HALF)

    def wide(each):
        return each.float() if each.dtype in HALF else each

    def narrow(each):
        return each.to(kind) if each.dtype is torch.float32 else each

    args, kwargs = tree_map_only(torch.Tensor, wide, (args, kwargs))
    return tree_map_only(torch.Tensor, narrow, operator(*args, **kwargs))


class _Properties:
    name, total_memory, major, minor, multi_processor_count = "pretended", 2**37, 9, 0, 132


@contextlib.contextmanager
def pretended_gpu():
    """Within the block every thread finds one GPU, `cuda:0`; gives its ledger.

    Backward passes need `no_accelerator.c` loaded before torch.
    """
    ledger, run = Ledger(), threading.Thread.run

    def run_thread(thread):
        torch._C._set_only_lift_cpu_tensors(True)
        with _Dispatch(ledger), torch.autograd.set_multithreading_enabled(False):
            run(thread)

    def pin(tensor, device=None):
        assert not isinstance(tensor, OnGpu), "cannot pin a tensor of the GPU"
        pinned = tensor.clone(memory_format=torch.preserve_format)
        pinned.is_pretended_pinned = True
        return pinned

    answers = {
        "is_available": True, "device_count": 1, "current_device": 0, "is_initialized": True, "_lazy_init": None,
        "set_device": None, "synchronize": None, "empty_cache": None, "manual_seed": None, "manual_seed_all": None,
        "get_device_properties": _Properties, "get_device_capability": (9, 0), "get_device_name": "pretended",
        "is_bf16_supported": True,
    }  # fmt: skip
    lifts = torch._C._only_lift_cpu_tensors()
    with contextlib.ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, lambda *_, answer=answer, **__: answer))
        stack.enter_context(mock.patch.object(threading.Thread, "run", run_thread))
        stack.enter_context(mock.patch.object(torch.Tensor, "pin_memory", pin))
        # By name, batch norm would pick a kernel of cuDNN's.
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        stack.callback(torch._C._set_only_lift_cpu_tensors, lifts)
        torch._C._ensureCUDADeviceGuardSet()
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(…, device="cuda") is then made here and moved
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        stack.enter_context(_Dispatch(ledger))
        yield ledger
