"""Writes docs/configuration.md from the configuration's own models: every section, key, default and meaning.

python -m docs.configuration
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from detector.config import TrainConfig as DetectorTraining
from pipeline.config.models import FlightConfig
from reid.config import TrainConfig as ReidTraining

PAGE = Path(__file__).with_suffix(".md")
_PARTS = {
    "The flight": (
        FlightConfig,
        "`flight.yaml`, for `--config`; any key also as `--set section.key=value`. `uavpipe init FOLDER` writes a\n"
        "first one for the videos in a folder.",
    ),
    "Training a detector": (
        DetectorTraining,
        "A recipe of `uavpipe detector train`, printed by `uavpipe detector recipe fpn`.",
    ),
    "Training a re-id network": (
        ReidTraining,
        "A recipe of `uavpipe reid train`, printed by `uavpipe reid recipe drone`.",
    ),
}


def reference() -> str:
    """The page, Markdown."""
    lines = ["# Configuration", "", "Written by `python -m docs.configuration`; unknown keys are errors."]
    for title, (model, about) in _PARTS.items():
        lines += [
            "",
            f"## {title}",
            "",
            about,
            "",
            "| key | type | default | |",
            "|---|---|---|---|",
            *_rows(model),
        ]
    return "\n".join(lines) + "\n"


def _rows(model: type[BaseModel], prefix: str = "") -> list[str]:
    properties = model.model_json_schema()["properties"]
    rows = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            rows += _rows(inner, f"{prefix}{name}.")
            continue
        default = "" if field.is_required() else _shown(field.get_default(call_default_factory=True))
        meaning = (field.description or "").replace("|", "\\|")
        rows.append(f"| `{prefix}{name}` | {_type(properties[name])} | {default} | {meaning} |")
        for part in _parts(inner):
            rows += _rows(part, f"{prefix}{name}.")
    return rows


def _parts(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that lists of an annotation, which may be optional, are of."""
    for part in get_args(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield part
        else:
            yield from _parts(part)


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1]
    if schema.get("format") == "path":
        return "path"
    return {"null": "null", "array": "list", "object": "mapping"}.get(
        schema.get("type", ""), schema.get("type", "any")
    )


def _shown(value: Any) -> str:
    if value is PydanticUndefined:
        return ""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_defaults=True)
    return f"`{json.dumps(value, default=str)}`"


if __name__ == "__main__":
    PAGE.write_text(reference(), "utf-8")
