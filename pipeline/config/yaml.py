"""YAML from outside, read so that it can neither run code nor fill the memory, and checked against a model.

Errors are one line: the file, the field, what was expected.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from pipeline.errors import PipelineError
from pipeline.files import read_regular

MAX_BYTES = 1_000_000  # a configuration is a page or two; more is a mistake or an attack
MAX_DEPTH = 30

Model = TypeVar("Model", bound=BaseModel)


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that also refuses aliases (their expansion can be exponential), depth and double keys."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            problem = "aliases (*name) are not accepted; write the value out"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_scalar(self, node: Any) -> Any:
        value = super().construct_scalar(node)
        if "\0" in value:
            problem = "a null character, which no name or path can have"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return value

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key '{key.value}' appears twice", problem_mark=key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, source: str) -> Any:
    """Parse YAML `text`; `source` names it in errors.

    Raises:
        PipelineError: not YAML, aliases, too deep, or a key twice; names the line.

    """
    try:
        return yaml.load(text, _StrictLoader)  # noqa: S506 - a SafeLoader with more refusals
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" line {mark.line + 1}:" if mark else ""
        raise PipelineError(f"{source}:{line} {error.problem or 'not valid YAML'}") from None
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:  # as "!!int ''" raises
        raise PipelineError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from None


def read_yaml_mapping(path: Path) -> dict[str, Any]:
    """The top-level mapping of the YAML file `path`; an empty file is an empty mapping.

    Raises:
        PipelineError: missing, unreadable, larger than 1 MB, not UTF-8, not YAML, or not a mapping.

    """
    try:
        content = read_regular(path)
        if len(content) > MAX_BYTES:
            raise PipelineError(f"{path}: {len(content)} bytes; a configuration has at most {MAX_BYTES}")
        text = content.decode("utf-8")
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such configuration file") from None
    except UnicodeDecodeError:
        raise PipelineError(f"{path}: not a text file in UTF-8; expected a YAML configuration") from None
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}") from None
    mapping = parse_yaml(text, str(path))
    if mapping is None:
        return {}
    if not isinstance(mapping, dict) or not all(isinstance(key, str) for key in mapping):
        raise PipelineError(f"{path}: expected 'key: value' lines, found {type(mapping).__name__}")
    return mapping


def apply_settings(content: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """A copy of `content` with each `section.key=value` of `settings` laid over it; values are YAML.

    Raises:
        PipelineError: a setting is not of that form, or a key in its path holds a value already.

    """
    result: dict[str, Any] = {
        key: dict(value) if isinstance(value, dict) else value for key, value in content.items()
    }
    for setting in settings:
        name, equals, text = setting.partition("=")
        keys = name.split(".")
        if not equals or not all(keys):
            raise PipelineError(f"--set {setting}: expected section.key=value, as in detector.threshold=0.6")
        target = result
        for key in keys[:-1]:
            inner = target.get(key) or {}
            if not isinstance(inner, dict):
                raise PipelineError(f"--set {setting}: '{key}' is a value, not a section")
            target[key] = dict(inner)
            target = target[key]
        target.pop(keys[-1], None)  # what is set last comes last, whatever it replaces
        target[keys[-1]] = parse_yaml(text, f"--set {name}")
    return result


def validate(content: Mapping[str, Any], model: type[Model], source: str) -> Model:
    """Check `content` against `model`.

    Raises:
        PipelineError: one line with `source`, and for each wrong field its path and what was expected.

    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = [_describe(item, model) for item in error.errors(include_url=False)]
    shown = "; ".join(problems[:3])
    rest = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
    raise PipelineError(f"{source}: {shown}{rest}")


def _describe(error: Any, model: type[BaseModel]) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = _keys_at(model, error["loc"][:-1])
        close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(known)}"
        return f"{path}: unknown key; {hint}"
    message = error["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    given = repr(error["input"])
    shown = f", not {given}" if len(given) <= 60 and not isinstance(error["input"], dict) else ""
    return f"{path}: {message}{shown}" if path else message


def _keys_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    for part in (part for part in path if isinstance(part, str)):
        field = model.model_fields.get(part)
        choices = get_args(field.annotation) or (field.annotation,) if field else ()
        sections = [inner for inner in choices if isinstance(inner, type) and issubclass(inner, BaseModel)]
        if not sections:
            return []
        model = sections[0]
    return list(model.model_fields)
