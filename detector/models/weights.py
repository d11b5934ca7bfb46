"""Where a detector's weights come from, decided without torch so that a skipped stage stays quick."""

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
from detector.models.presets import DETECTRON2, TORCHVISION, Architecture

EMBEDDED = Path(__file__).parents[1] / "embedded" / "small.safetensors"
COCO_URL = "https://download.pytorch.org/models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth"
DETECTRON2_SUFFIXES = (".pkl", ".pth")
OFFLINE = "UAVPIPE_OFFLINE"  # set: never ask the network for weights
_CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class WeightsSource:
    """Weights that were found.

    Attributes:
        path: the file.
        sha256: of its content.
        kind: "uavpipe": safetensors with a description; "torchvision": a state dict, `.pth`; "detectron2": what
            that backend runs; "openvino": an exported model.
        architecture: of the model that the weights belong to; of detectron2's models the usual one.
        description: one line for people.
        warning: what the user should know before trusting them; None if nothing.

    """

    path: Path
    sha256: str
    kind: Literal["uavpipe", "torchvision", "detectron2", "openvino"]
    architecture: Architecture
    description: str
    warning: str | None = None


def source_of(config: DetectorConfig) -> WeightsSource:
    """The weights that `config` means; the hash covers detectron2's config.yaml and OpenVINO's .bin too.

    Raises:
        DetectorError: there are none, they are of another architecture, or the backend cannot run them.

    """
    if config.backend == "openvino" and Path(config.weights).suffix == ".xml":
        return _checked(_exported(Path(config.weights)), config.preset)
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


def resolve(weights: str, preset: str | None, folder: Path = Path("weights")) -> WeightsSource:
    """Find the weights that a configuration means.

    `auto` takes the newest checkpoint in `folder`; else torchvision's COCO weights of `fpn` (from torch's
    cache, or downloaded); else the embedded small model, with a warning. A preset narrows the choice.

    Args:
        weights: `auto`, `embedded`, `coco`, or the path of a checkpoint.
        preset: architecture asked for; None: whatever the weights are.
        folder: where `auto` looks first.

    Raises:
        DetectorError: there are none, or they are of another architecture.

    """
    if weights == "auto":
        return _automatic(preset, folder)
    if weights == "embedded":
        return _checked(replace(_embedded(), warning=None), preset)  # asked for by name: no surprise
    if weights == "coco":
        found = _coco()
        if found is None:
            raise DetectorError(
                f"torchvision's COCO weights are not on this machine and could not be downloaded from {COCO_URL}; "
                f"put that file into {_cache_folder()}"
            )
        return _checked(found, preset)
    return _checked(_file(Path(weights), preset), preset)


def _file(path: Path, preset: str | None) -> WeightsSource:
    if not path.is_file():
        raise DetectorError(f"{path}: no such checkpoint; expected a file, 'auto', 'coco' or 'embedded'")
    if path.suffix == ".pkl":
        raise DetectorError(
            f"{path}: a pickle, as detectron2's models are; 'uavpipe detector import-detectron2' makes a "
            "checkpoint of it, and detector.backend: detectron2 runs it as it is"
        )
    if path.suffix == ".xml":
        raise DetectorError(f"{path}: an exported model; detector.backend: openvino runs it")
    if path.suffix in (".pth", ".pt"):
        architecture = TORCHVISION[preset or "fpn"]
        return WeightsSource(path, sha256_of(path), "torchvision", architecture, f"{path} ({architecture.preset})")
    return _uavpipe(path, str(path))


def _automatic(preset: str | None, folder: Path) -> WeightsSource:
    # Hidden files are ours, half written; other models may lie in the same folder.
    visible = [path for path in folder.glob("*.safetensors") if not path.name.startswith(".")]
    for path in sorted(visible, key=lambda path: (-path.stat().st_mtime_ns, path.name)):
        try:
            source = _uavpipe(path, str(path))
        except ForeignCheckpointError:
            continue
        if preset in (None, source.architecture.preset):
            return source
    if preset in (None, "fpn") and (found := _coco()):
        return found
    if preset in (None, "small"):
        return _embedded()
    raise DetectorError(
        f"no weights for '{preset}': put a checkpoint into {folder}/ (uavpipe detector train makes one), "
        "or take weights: embedded"
    )


def _embedded() -> WeightsSource:
    if not EMBEDDED.exists():
        raise DetectorError(f"{EMBEDDED}: the embedded weights are missing; install uavpipe again")
    return _uavpipe(
        EMBEDDED,
        "embedded small model",
        "using the small embedded detector: made for machines without a GPU and without a network, it misses "
        "persons that a VisDrone-trained one finds (docs/detector.md says how to get one)",
    )


def _uavpipe(path: Path, name: str, warning: str | None = None) -> WeightsSource:
    architecture = read_header(path).architecture
    description = f"{name} ({architecture.preset})"
    return WeightsSource(path, sha256_of(path), "uavpipe", architecture, description, warning)


def _exported(path: Path) -> WeightsSource:
    architecture = read_openvino_header(path).architecture
    sha256 = sha256_of_all([path, path.with_suffix(".bin")])
    return WeightsSource(path, sha256, "openvino", architecture, f"{path} ({architecture.preset}, OpenVINO)")


def _checked(source: WeightsSource, preset: str | None) -> WeightsSource:
    if preset is not None and preset != source.architecture.preset:
        raise DetectorError(
            f"{source.path}: weights of '{source.architecture.preset}', but the configuration says preset "
            f"'{preset}'"
        )
    return source


def _coco() -> WeightsSource | None:
    path = _cache_folder() / COCO_URL.rsplit("/", 1)[1]
    if not path.exists() and not _download(path):
        return None
    return WeightsSource(
        path,
        sha256_of(path),
        "torchvision",
        TORCHVISION["fpn"],
        f"torchvision's COCO weights ({path})",
        "using weights trained on COCO's street-level photographs: they miss small persons seen from above",
    )


def _cache_folder() -> Path:
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def _download(path: Path) -> bool:
    if os.environ.get(OFFLINE) or not _reachable():
        return False
    expected = path.stem.rsplit("-", 1)[1]  # torchvision puts the first digits of the hash into the name
    try:
        with atomic_file(path) as temporary:
            with urllib.request.urlopen(COCO_URL, timeout=60) as answer, temporary.open("wb") as file:
                shutil.copyfileobj(answer, file)
            if not sha256_of(temporary).startswith(expected):
                raise OSError("the file that arrived is not the one expected")
    except OSError:  # includes URLError: no network is no error, the next source is tried
        return False
    return True


@lru_cache(maxsize=1)
def _reachable() -> bool:
    request = urllib.request.Request(COCO_URL, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_CONNECT_SECONDS):  # noqa: S310
            return True
    except (TimeoutError, urllib.error.URLError, OSError):
        return False
