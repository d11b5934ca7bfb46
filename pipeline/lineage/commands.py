"""The command that makes a stage again, from what its manifest says of inputs and settings."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detector.models.weights import EMBEDDED
from pipeline.config.models import FlightConfig
from pipeline.workspace.atomic import file_sha256
from pipeline.workspace.folders import read_card
from pipeline.workspace.manifest import StageFolder

# Folder of a stage -> the command, and the stages whose settings it must repeat, as it makes them again too.
_COMMANDS = {
    "frames": "frames",
    "detections": "detect",
    "crops": "crops",
    "motion": "tracks",
    "appearance": "tracks",
    "tracks": "tracks",
    "overlay": "overlay",
}
_ALL = ("detections", "crops", "tracks")
_BUILT_ON = {
    "detections": ("detections",),
    "crops": ("detections", "crops"),
    "motion": _ALL,
    "appearance": _ALL,
    "tracks": _ALL,
    "overlay": ("detections", "overlay"),
}
_READING = ("segment_frames", "image_fps")  # settings of `frames` that are inputs of every pixel stage


def stage_of(flight: Path, name: str) -> dict[str, Any] | None:
    """What the finished stage in folder `name` of `flight` was made from, and how to make it again.

    None where it is not there or not finished.

    The command repeats the settings that are not the defaults, as far as the manifest holds them.
    """
    manifest = StageFolder(flight / name).manifest()
    if manifest is None:
        return None
    found = {key: manifest.get(key) for key in ("fingerprint", "inputs", "section", "counts", "versions")}
    if name in _COMMANDS:
        found["command"] = _command(flight, name, manifest)
    elif name == "clip":
        found["command"] = shlex.join(["uavpipe", "report", "--workspace", str(flight.parent)])
    elif name == "embeddings":
        found["command"] = shlex.join(["uavpipe", "annotate", "embed", "--workspace", str(flight.parent)])
    return found


def dataset_command(folder: Path, manifest: Mapping[str, Any]) -> str:
    """The command that makes the data set in `folder` again."""
    settings = _differing("dataset", manifest.get("section") or {})
    words = ["uavpipe", "dataset", "--workspace", str(folder.parent)]
    return shlex.join([*words, *settings])


def _command(flight: Path, name: str, manifest: Mapping[str, Any]) -> str:
    card = read_card(flight) or {}
    words = ["uavpipe", _COMMANDS[name], str(card.get("video", "VIDEO")), "--workspace", str(flight.parent)]
    inputs = manifest["inputs"]
    if ((StageFolder(flight / "frames").manifest() or {}).get("inputs") or {}).get("telemetry") == "off":
        words += ["--set", "telemetry=off"]
    words += _differing("frames", {key: inputs[key] for key in _READING if key in inputs})
    if name == "frames":
        return shlex.join([*words, *_differing("frames", manifest.get("section") or {})])
    for stage in _BUILT_ON[name]:
        words += _settings(stage, StageFolder(flight / stage).manifest() or {})
    return shlex.join(words)


def _settings(stage: str, manifest: Mapping[str, Any]) -> list[str]:
    """What `--set` a stage was made with."""
    settings = dict(manifest.get("section") or {})
    if stage == "detections":
        sha256 = (manifest.get("inputs") or {}).get("weights")
        weights = weights_file(str(sha256)) or "FILE_WITH_THAT_HASH"
        return ["--set", f"detector.weights={weights}", *_differing("detector", settings)]
    if stage == "crops":
        threshold = {"threshold": settings.pop("threshold")} if "threshold" in settings else {}
        camera = settings.pop("camera", {})
        return [*_differing("detector", threshold), *_differing("camera", camera), *_differing("crops", settings)]
    return _differing(stage, settings)


def _differing(section: str, settings: Mapping[str, Any]) -> list[str]:
    """`--set` for each of `settings` that is known and not the default."""
    defaults = FlightConfig().model_dump(mode="json")[section]
    words: list[str] = []
    for key, value in settings.items():
        if key in defaults and not _is_default(value, defaults[key]):
            words += ["--set", f"{section}.{key}={json.dumps(value)}"]
    return words


def _is_default(value: Any, default: Any) -> bool:
    """Whether they agree, in a section within a section as far as `value` says something."""
    if isinstance(value, dict) and isinstance(default, dict):
        return all(_is_default(inner, default.get(key)) for key, inner in value.items())
    return bool(value == default)


def weights_file(sha256: str) -> str | None:
    """The detector's weights of that hash: `embedded`, or a file in `weights/`; None where they are not at hand."""
    if sha256_of(EMBEDDED) == sha256:
        return "embedded"
    return next((str(path) for path in sorted(Path("weights").glob("*")) if sha256_of(path) == sha256), None)


def sha256_of(path: Path) -> str | None:
    """The sha256 (hex) of a file; None where there is none."""
    return file_sha256(path) if path.is_file() else None
