"""`uavpipe doctor`: a check of the environment, with suggestions."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import click

_GOOD, _NOTE, _BAD = "ok  ", "note", "FAIL"
_LIBGL = "apt-get install libgl1 libglib2.0-0 libxcb1 (Debian, Ubuntu) or the same of your system"


@dataclass(frozen=True)
class Finding:
    """One line of the report: its mark, what was found, what to do about it."""

    mark: str
    what: str
    advice: str = ""


@click.command()
def doctor() -> None:
    """Check the environment and suggest fixes.

    The exit status is 1 if something that every flight needs is broken.
    """
    failed = False
    for check in (_machine, _torch, _opencv, _codecs, _detectron2, _openvino, _weights):
        for finding in _guarded(check):
            failed |= finding.mark == _BAD
            click.echo(f"{finding.mark}  {finding.what}")
            if finding.advice:
                click.echo(f"      → {finding.advice}")
    if failed:
        raise SystemExit(1)


def _guarded(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except ImportError as error:  # a shared library that is missing shows only at import
        name = check.__name__.strip("_")
        yield Finding(_BAD, f"{name}: cannot be imported: {error}", _LIBGL if name == "opencv" else "reinstall it")


def _machine() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    yield Finding(_GOOD, f"uavpipe {version('uavpipe')}, {cores} cores, {memory:.0f} GiB memory")
    advice = "crops of a long flight take gigabytes; put the workspace on a larger disk" if free < 10 else ""
    yield Finding(_NOTE if advice else _GOOD, f"{free:.0f} GiB free on this disk", advice)


def _torch() -> Iterator[Finding]:
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
            _NOTE, "detectron2 is not installed; only detector.backend: detectron2 needs it", "make detectron2"
        )


def _openvino() -> Iterator[Finding]:
    if _installed("openvino"):
        yield Finding(_GOOD, f"OpenVINO {version('openvino')}")
    else:
        yield Finding(
            _NOTE, "OpenVINO is not installed; detector.backend: openvino is faster on CPUs", "make openvino"
        )


def _weights() -> Iterator[Finding]:
    from detector.models.weights import resolve

    source = resolve("auto", None, download=False)  # a check sends nothing
    yield Finding(
        _NOTE if source.warning else _GOOD, f"detector weights: {source.description}", source.warning or ""
    )


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
