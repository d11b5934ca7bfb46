"""`uavpipe doctor`: a check of the environment, with suggestions."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Literal

import click

from pipeline.cli.options import JSON
from pipeline.cli.outputs import print_json

_GOOD, _NOTE, _BAD = "ok  ", "note", "FAIL"
_WIDTH, _HEIGHT, _FPS = 1920, 1080, 30  # of most drones
_TIMED_S = 3.0
_CPUINFO = Path("/proc/cpuinfo")
_LIBGL = "apt-get install libgl1 libglib2.0-0 libxcb1 (Debian, Ubuntu) or the same of your system"


@dataclass(frozen=True)
class Finding:
    """One line of the report: its mark, what was found, what to do about it."""

    mark: str
    what: str
    advice: str = ""


@click.command()
@click.option("--timing/--no-timing", default=True, show_default=True, help="Time the detector, for a few seconds.")
@JSON
def doctor(timing: bool, as_json: bool) -> None:
    """Check the environment and suggest fixes; say how long a minute of video will take.

    The exit status is 1 if something that every flight needs is broken.
    """
    checks = (_machine, _torch, _opencv, _codecs, _detectron2, _openvino, _onnx, _weights, *[_speed] * timing)
    findings = []
    for finding in chain.from_iterable(map(_guarded, checks)):
        findings.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        print_json([{**asdict(each), "mark": each.mark.strip().lower()} for each in findings])
    if any(each.mark == _BAD for each in findings):
        raise SystemExit(1)


def _show(finding: Finding) -> None:
    click.echo(f"{finding.mark}  {finding.what}")
    if finding.advice:
        click.echo(f"      → {finding.advice}")


def _guarded(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except ImportError as error:  # a shared library that is missing shows only at import
        name = check.__name__.strip("_")
        yield Finding(_BAD, f"{name}: cannot be imported: {error}", _LIBGL if name == "opencv" else "reinstall it")


def _machine() -> Iterator[Finding]:
    from pipeline.engine.threads import cores

    free = shutil.disk_usage(Path.cwd()).free / 2**30
    yield Finding(_GOOD, f"uavpipe {version('uavpipe')}, {cores()} cores{_memory()}")
    advice = "crops of a long flight take gigabytes; put the workspace on a larger disk" if free < 10 else ""
    yield Finding(_NOTE if advice else _GOOD, f"{free:.0f} GiB free on this disk", advice)


def _memory() -> str:
    if not hasattr(os, "sysconf"):  # Windows
        return ""
    return f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB memory"


def _torch() -> Iterator[Finding]:
    if find_spec("torch") is None:
        yield Finding(
            _NOTE,
            "PyTorch is not installed; detection, embedding, search and training need it",
            "pip install 'uavpipe[detect]', or 'uavpipe[train]' to train, too",
        )
        return
    import torch
    import torchvision

    yield Finding(_GOOD, f"torch {torch.__version__}, torchvision {torchvision.__version__}")
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(number)
            yield Finding(_GOOD, f"CUDA {torch.version.cuda}: {card.name}, {card.total_memory / 2**30:.0f} GiB")
    else:
        reason = "this torch is built without CUDA" if torch.version.cuda is None else "no usable NVIDIA GPU"
        yield Finding(
            _NOTE, f"no CUDA: {reason}", "detection runs on the CPU; the 'small' detector is made for that"
        )


def _opencv() -> Iterator[Finding]:
    import cv2

    yield Finding(_GOOD, f"opencv {cv2.__version__}")
    both = [name for name in ("opencv-python", "opencv-python-headless") if _installed(name)]
    if len(both) > 1:
        yield Finding(
            _NOTE,
            f"{' and '.join(both)} share one folder",
            "pip uninstall both, then reinstall opencv-python",
        )


def _codecs() -> Iterator[Finding]:
    import av
    from av.codec import Codec

    def has(name: str, mode: Literal["r", "w"]) -> bool:
        try:
            Codec(name, mode)
        except ValueError:
            return False
        return True

    wanted = ("h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg", "prores")
    missing = [name for name in wanted if not has(name, "r")]
    yield Finding(
        _NOTE if missing else _GOOD,
        f"PyAV {av.__version__} decodes {', '.join(name for name in wanted if name not in missing)}",
        f"cannot decode {', '.join(missing)}: reinstall the av wheel" if missing else "",
    )
    if not has("libx264", "w"):
        yield Finding(_BAD, "no H.264 encoder: simulate and overlay cannot write", "reinstall the av wheel")


def _detectron2() -> Iterator[Finding]:
    if _installed("detectron2"):
        yield Finding(_GOOD, f"detectron2 {version('detectron2')}")
    else:
        yield Finding(
            _NOTE,
            "detectron2 is not installed; only detector.backend: detectron2 needs it",
            "pip install --no-build-isolation git+https://github.com/facebookresearch/detectron2.git",
        )


def _openvino() -> Iterator[Finding]:
    if _installed("openvino"):
        yield Finding(_GOOD, f"OpenVINO {version('openvino')}")
    else:
        yield Finding(
            _NOTE,
            "OpenVINO is not installed; only detector.backend: openvino needs it",
            "pip install 'uavpipe[openvino]'",
        )


def _onnx() -> Iterator[Finding]:
    if find_spec("onnx") and find_spec("onnxruntime"):
        import onnxruntime

        import detector  # noqa: F401 - before ONNX Runtime, which then reports nothing to its maker

        where = "CUDA and CPU" if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else "CPU"
        yield Finding(_GOOD, f"ONNX Runtime {onnxruntime.__version__}, {where}")
    else:
        advice = "pip install 'uavpipe[onnx]'"
        yield Finding(_NOTE, "no ONNX Runtime; detector.backend: onnx runs the detectors of other tools", advice)


def _weights() -> Iterator[Finding]:
    from detector.models.weights import resolve
    from reid.header import read_header as read_embedder
    from reid.weights import EMBEDDED

    source = resolve("auto", None, download=False)  # a check sends nothing
    yield Finding(
        _NOTE if source.warning else _GOOD, f"detector weights: {source.description}", source.warning or ""
    )
    yield from _terms("detector", source.terms)
    yield Finding(_GOOD, "embedder weights: the bundled network; --weights takes others")
    yield from _terms("embedder", read_embedder(EMBEDDED).terms)


def _terms(network: str, terms: str) -> Iterator[Finding]:
    if terms:
        yield Finding(_NOTE, f"terms of the {network}'s weights: {terms}")


def _speed() -> Iterator[Finding]:
    """The time that the detector takes, which takes most of a run's."""
    if find_spec("torch") is None:
        return
    import numpy as np
    import torch

    from detector.backends.load import load_predictor
    from detector.config import DetectorConfig
    from detector.models.weights import resolve
    from pipeline.engine.progress import announce

    announce(f"timing the detector, for {_TIMED_S:.0f} seconds or a few frames …")
    detector = load_predictor(DetectorConfig(), resolve("auto", None, download=False))
    image = np.random.default_rng(0).integers(0, 256, (_HEIGHT, _WIDTH, 3), np.uint8)

    def detect(_: int) -> int:
        return len(detector.predict([detector.preprocess(image)] * detector.batch_size))

    def rate(seconds: float) -> float:
        """Frames a second, over at least `seconds`."""
        begun, frames = time.monotonic(), 0
        with ThreadPoolExecutor(detector.workers) as pool:
            while not frames or time.monotonic() - begun < seconds:
                frames += sum(pool.map(detect, range(detector.workers)))
        return frames / (time.monotonic() - begun)

    rate(0)  # the first batch also allocates memory
    measured = rate(_TIMED_S)
    minute = _FPS * 60 / measured
    took = f"{minute:.0f} seconds" if minute < 100 else f"{minute / 60:.0f} minutes"
    slow = minute > 60 and not torch.cuda.is_available()
    yield Finding(
        _NOTE if slow else _GOOD,
        f"detection: {measured:.1f} frames/s of {_WIDTH}x{_HEIGHT}; a minute of video with {_FPS} frames/s takes "
        f"about {took}",
        _openvino_gain() if slow else "",
    )


def _openvino_gain() -> str:
    """What OpenVINO is known to gain on this machine's CPU; docs/benchmarks.md."""
    try:
        amx = "amx_tile" in _CPUINFO.read_text("utf-8")
    except OSError:  # not Linux
        amx = False
    if amx:
        return "detector.backend: openvino is three to four times as fast on a CPU with AMX, as this one"
    return "detector.backend: openvino gains most on CPUs with AMX; this one has none: compare on a short clip"


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
