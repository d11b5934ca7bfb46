"""The choice of a detector's weights, made without torch so that a skipped stage is fast."""

import logging
import os
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from detector.config import DetectorConfig
from detector.errors import DetectorError
from detector.files import atomic_file, sha256_of, sha256_of_all
from detector.models.exported import read_openvino_header
from detector.models.header import ForeignCheckpointError, read_header
from detector.models.onnx_files import files_of, metadata_of
from detector.models.presets import DETECTRON2, TORCHVISION, Architecture
from detector.models.public import COCO, OFFLINE

EMBEDDED = Path(__file__).parents[1] / "embedded" / "small.safetensors"
DETECTRON2_SUFFIXES = (".pkl", ".pth")
_CONNECT_SECONDS = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WeightsSource:
    """The weights that a configuration chooses.

    Attributes:
        path: the file.
        sha256: of its content.
        kind: "uavpipe": safetensors with a description; "torchvision": a state dict, `.pth`; "detectron2": a file
            for that backend; "openvino": an exported model; "onnx": a model of any tool.
        architecture: of the model; with detectron2 its usual one; None: not one of uavpipe's.
        description: one line for the user.
        warning: why results may be poor; None if there is no reason.
        terms: of the weights and of the data that they were trained on, as the file states them, on one line.

    """

    path: Path
    sha256: str
    kind: Literal["uavpipe", "torchvision", "detectron2", "openvino", "onnx"]
    architecture: Architecture | None
    description: str
    warning: str | None = None
    terms: str = ""

    @property
    def checkpoint_architecture(self) -> Architecture:
        """The architecture of a checkpoint.

        Raises:
            DetectorError: they are an ONNX model, which may have any.

        """
        if self.architecture is None:
            raise DetectorError(f"{self.path}: an ONNX model; expected a checkpoint")
        return self.architecture


def source_of(config: DetectorConfig) -> WeightsSource:
    """The weights that `config` names; the hash covers detectron2's config.yaml, OpenVINO's .bin and an ONNX
    model's external data too.

    Raises:
        DetectorError: they do not exist, are of another architecture, or the backend cannot run them.

    """
    if config.backend == "openvino" and Path(config.weights).suffix == ".xml":
        return _checked(_exported(Path(config.weights)), config.preset)
    if config.backend == "onnx":
        return _onnx(Path(config.weights))
    if config.backend != "detectron2":
        return resolve(config.weights, config.preset)
    files = [Path(config.weights), *filter(None, [config.detectron2.config_file])]
    if files[0].suffix not in DETECTRON2_SUFFIXES:
        raise DetectorError(
            f"backend detectron2: weights is '{config.weights}'; expected detectron2's .pkl or .pth"
        )
    for path in files:
        if not path.is_file():
            raise DetectorError(f"{path}: no such file; backend detectron2 needs it")
    return WeightsSource(
        files[0], sha256_of_all(files), "detectron2", DETECTRON2["fpn"], f"detectron2's {files[0]}"
    )


def source_in(path: Path) -> WeightsSource:
    """The weights in a file of any kind, as a flight's manifest names them by their hash.

    Raises:
        DetectorError: there is no such file, or it is damaged.

    """
    read = {".xml": _exported, ".onnx": _onnx}.get(path.suffix)
    return read(path) if read else _file(path, None)


def resolve(
    weights: str, preset: str | None, folder: Path = Path("weights"), *, download: bool = True
) -> WeightsSource:
    """Find the weights that a configuration names.

    `auto` takes the newest checkpoint in `folder`; else torchvision's COCO weights of `fpn` (from torch's
    cache, or downloaded); else the embedded small model, with a warning. A preset narrows the choice.

    Args:
        weights: `auto`, `embedded`, `coco`, or the path of a checkpoint.
        preset: required architecture; None: any.
        folder: where `auto` searches first.
        download: whether COCO weights that are not on this machine may be downloaded.

    Raises:
        DetectorError: they do not exist, or are of another architecture.

    """
    if weights == "auto":
        return _automatic(preset, folder, download)
    if weights == "embedded":
        return _checked(replace(_embedded(), warning=None), preset)  # chosen by name: no warning needed
    if weights == "coco":
        found = _coco(download)
        if found is None:
            why = f"{OFFLINE} is set" if os.environ.get(OFFLINE) else "they could not be downloaded"
            raise DetectorError(
                f"torchvision's COCO weights are not on this machine, and {why}; copy {COCO.url} to {COCO.path}"
            )
        return _checked(found, preset)
    return _checked(_file(Path(weights), preset), preset)


def _file(path: Path, preset: str | None) -> WeightsSource:
    if not path.is_file():
        raise DetectorError(f"{path}: no such checkpoint; expected a file, 'auto', 'coco' or 'embedded'")
    if path.suffix == ".pkl":
        raise DetectorError(
            f"{path}: a pickle, as detectron2's models are; convert it with 'uavpipe detector import-detectron2', "
            "or set detector.backend: detectron2 to run it directly"
        )
    if path.suffix == ".xml":
        raise DetectorError(f"{path}: an exported model; set detector.backend: openvino to run it")
    if path.suffix == ".onnx":
        raise DetectorError(f"{path}: an ONNX model; set detector.backend: onnx to run it")
    if path.suffix in (".pth", ".pt"):
        architecture = TORCHVISION[preset or "fpn"]
        return WeightsSource(path, sha256_of(path), "torchvision", architecture, f"{path} ({architecture.preset})")
    return _uavpipe(path, str(path))


def _automatic(preset: str | None, folder: Path, download: bool) -> WeightsSource:
    # Hidden files are our unfinished ones; other models may be in the same folder.
    visible = [path for path in folder.glob("*.safetensors") if not path.name.startswith(".")]
    for path in sorted(visible, key=lambda path: (-path.stat().st_mtime_ns, path.name)):
        try:
            source = _uavpipe(path, str(path))
        except ForeignCheckpointError:
            continue
        if preset in (None, source.checkpoint_architecture.preset):
            return source
    if preset in (None, "fpn") and (found := _coco(download)):
        return found
    if preset in (None, "small"):
        return _embedded()
    raise DetectorError(
        f"no weights for '{preset}': put a checkpoint into {folder}/ ('uavpipe detector train' writes one), "
        "or take weights: embedded"
    )


def _embedded() -> WeightsSource:
    if not EMBEDDED.exists():
        raise DetectorError(f"{EMBEDDED}: the embedded weights are missing; install uavpipe again")
    return _uavpipe(
        EMBEDDED,
        "embedded small model",
        "using the small embedded detector, which is for machines without a GPU and a network: it misses persons "
        "that a detector trained on VisDrone finds (see docs/detector.md)",
    )


def _uavpipe(path: Path, name: str, warning: str | None = None) -> WeightsSource:
    header = read_header(path)
    description = f"{name} ({header.architecture.preset})"
    return WeightsSource(path, sha256_of(path), "uavpipe", header.architecture, description, warning, header.terms)


def _exported(path: Path) -> WeightsSource:
    header = read_openvino_header(path)
    sha256 = sha256_of_all([path, path.with_suffix(".bin")])
    description = f"{path} ({header.architecture.preset}, OpenVINO)"
    return WeightsSource(path, sha256, "openvino", header.architecture, description, terms=header.terms)


def _onnx(path: Path) -> WeightsSource:
    if path.suffix != ".onnx":
        raise DetectorError(f"backend onnx: weights is '{path}'; expected an .onnx file")
    terms = metadata_of(path).get("terms", "")
    return WeightsSource(path, sha256_of_all(files_of(path)), "onnx", None, f"{path} (ONNX)", terms=terms)


def _checked(source: WeightsSource, preset: str | None) -> WeightsSource:
    if preset is not None and preset != source.checkpoint_architecture.preset:
        raise DetectorError(
            f"{source.path}: weights of '{source.checkpoint_architecture.preset}', but the configuration says "
            f"preset '{preset}'"
        )
    return source


def _coco(download: bool) -> WeightsSource | None:
    path = COCO.path
    if not path.exists() and not (download and _download(path)):
        return None
    return WeightsSource(
        path,
        sha256_of(path),
        "torchvision",
        TORCHVISION["fpn"],
        f"torchvision's COCO weights ({path})",
        "using weights trained on COCO's street-level photographs: they miss small persons seen from above",
        COCO.terms,
    )


def _download(path: Path) -> bool:
    if os.environ.get(OFFLINE) or not _reachable():
        return False
    _log.warning("downloading torchvision's COCO weights, 160 MB: %s (%s=1 prevents this)", COCO.url, OFFLINE)
    try:
        with atomic_file(path) as temporary:
            answer = urllib.request.urlopen(COCO.url, timeout=60)  # noqa: S310
            with answer, temporary.open("wb") as file:
                shutil.copyfileobj(answer, file)
            if not sha256_of(temporary).startswith(COCO.sha256):
                raise OSError("the downloaded file has another hash")
    except OSError:  # URLError too: without a network the next source is tried
        return False
    return True


@lru_cache(maxsize=1)
def _reachable() -> bool:
    request = urllib.request.Request(COCO.url, method="HEAD")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_CONNECT_SECONDS):  # noqa: S310
            return True
    except (TimeoutError, urllib.error.URLError, OSError):
        return False
