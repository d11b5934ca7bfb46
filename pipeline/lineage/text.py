"""A trace for people to read."""

from collections.abc import Iterator
from typing import Any

_ONLY_JSON = {
    "fingerprint",
    "inputs",
    "section",
    "counts",
    "versions",
    "operation",
}  # of a stage: the command says it
_SHORT = 90  # characters


def as_text(content: dict[str, Any]) -> str:
    """`content` as lines, what is inside of something indented below it; of a stage only its command."""
    return "\n".join(_lines(content, ""))


def _lines(content: Any, indent: str) -> Iterator[str]:
    for name, value in content.items() if isinstance(content, dict) else enumerate(content, 1):
        if value in (None, "", [], {}) or (name in _ONLY_JSON and "command" in content):
            continue
        if isinstance(value, dict) and "command" in value and set(value) - _ONLY_JSON == {"command"}:
            yield f"{indent}{name}: {value['command']}"
        elif isinstance(value, dict | list) and not _is_short(value):
            yield f"{indent}{name}:"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{name}: {_one_line(value)}"


def _is_short(value: Any) -> bool:
    """Whether it fits behind its name: nothing nested, and few of it."""
    inner = list(value.values()) if isinstance(value, dict) else value
    return not any(isinstance(each, dict | list) for each in inner) and len(_one_line(value)) <= _SHORT


def _one_line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_one_line(each)}" for name, each in value.items() if each not in (None, ""))
    if isinstance(value, list):
        return ", ".join(map(_one_line, value))
    text = str(value)
    return text if text.isprintable() else repr(text)
