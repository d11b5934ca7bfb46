"""The command that makes a stage again, derived from the inputs and settings in its manifest."""

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from detector.errors import DetectorError
from detector.models.public import COCO
from detector.models.weights import EMBEDDED, WeightsSource, source_in
from pipeline.chain.table import CROPS, DETECT, FRAMES, ChainStage, Scope, made_together
from pipeline.config.models import FlightConfig
from pipeline.stages.detect import IMPORTED, source_of_import
from pipeline.workspace.folders import video_words
from pipeline.workspace.manifest import StageFolder

_OF_IMPORT = "floor", "max_detections"  # settings of the detector that count for an import


def stage_of(flight: Path, stage: ChainStage) -> dict[str, Any] | None:
    """Inputs, settings, counts, versions of `stage` of `flight`, and the command that makes it again.

    None where it is not there or not finished.
    """
    folder = flight / stage.folder
    manifest = StageFolder(folder).manifest()
    if manifest is None:
        return None
    found = {key: manifest.get(key) for key in ("fingerprint", "inputs", "section", "counts", "versions")}
    return found | {"command": command_of(stage, folder, manifest)}


def command_of(stage: ChainStage, folder: Path, manifest: Mapping[str, Any]) -> str:
    """The command that makes `stage` in `folder` again.

    It repeats the settings that are not the defaults, as far as manifests hold them, also those of the stages that
    the command runs as well.
    """
    words = ["uavpipe", *stage.command.split()]
    source = source_of_import(StageFolder(folder)) if stage is DETECT else None
    if source is not None:
        words = ["uavpipe", "detections", "import", *_of_import(source)]
    if stage.takes_video:
        flight, workspace = folder.parent, folder.parents[1]
        words += video_words(flight)
        manifests = {each: StageFolder(flight / each.folder).manifest() or {} for each in made_together(stage)}
    else:
        workspace = folder.parent if stage.scope is Scope.WORKSPACE else folder.parents[1]
        manifests = {stage: dict(manifest)}
    settings = dict.fromkeys(text for each, content in manifests.items() for text in _settings(each, content))
    set_each = (word for text in settings for word in ("--set", text))
    return shlex.join([*words, "--workspace", str(workspace), *set_each])


def _of_import(source: Mapping[str, Any]) -> Iterator[str]:
    """The words that import detections again; of the file its name is known, not its folder."""
    yield str(source["file"])
    if isinstance(source.get("first_frame"), int):
        yield from ("--first-frame", str(source["first_frame"]))
    for name in source.get("persons") or ():
        yield from ("--person", str(name))
    if source.get("task"):
        yield from ("--task", str(source["task"]))


def _settings(stage: ChainStage, manifest: Mapping[str, Any]) -> Iterator[str]:
    """What was not the default where a stage was made, as `section.key=value`."""
    inputs, section = manifest.get("inputs") or {}, manifest.get("section") or {}
    if inputs.get("telemetry") == "off":
        yield "telemetry=off"
    yield from _differing(FRAMES.section, inputs)  # how the video is read is an input of every segment stage
    if "weights" in inputs and stage is DETECT and IMPORTED not in section:
        yield f"{DETECT.section}.weights={weights_file(str(inputs['weights'])) or 'FILE_WITH_THAT_HASH'}"
    if stage is DETECT and IMPORTED in section:
        kept = section[IMPORTED]
        yield from _differing(DETECT.section, {key: kept[key] for key in _OF_IMPORT if key in kept})
    if stage is CROPS:
        yield from _differing(DETECT.section, {key: section[key] for key in ("threshold",) if key in section})
        yield from _differing("camera", section.get("camera", {}))
    yield from _differing(stage.section, section)


def _differing(section: str | None, settings: Mapping[str, Any]) -> Iterator[str]:
    """`section.key=value` for each of `settings` that is known and not the default."""
    if section is None:
        return
    model = getattr(FlightConfig(), section)
    current = {former: name for name, former in getattr(model, "former_names", {}).items()}
    defaults = model.model_dump(mode="json")
    for name, value in settings.items():
        key = current.get(name, name)
        if key in defaults and not _is_default(value, defaults[key]):
            yield f"{section}.{key}={json.dumps(value)}"


def _is_default(value: Any, default: Any) -> bool:
    """Whether they agree, in a section within a section as far as `value` says something."""
    if isinstance(value, dict) and isinstance(default, dict):
        return all(_is_default(inner, default.get(key)) for key, inner in value.items())
    return bool(value == default)


def weights_file(sha256: str) -> str | None:
    """The detector's weights of that hash: `embedded`, or a file in `weights/`; None where neither has it."""
    source = weights_of(sha256)
    return None if source is None else "embedded" if source.path == EMBEDDED else str(source.path)


def weights_of(sha256: str) -> WeightsSource | None:
    """The detector's weights of that hash: bundled, in `weights/`, or torchvision's; None where none has it."""
    for path in (EMBEDDED, *sorted(Path("weights").glob("*")), COCO.path):
        with suppress(DetectorError, OSError):  # files of other kinds
            source = source_in(path)
            if source.sha256 == sha256:
                return source
    return None
