"""Recipes for training re-ID networks that come with uavpipe, by name."""

from pathlib import Path
from typing import Any

import yaml

from reid.config import TrainConfig
from reid.errors import ReidError

_FOLDER = Path(__file__).parent
_FORMER = ("configs", "reid")  # the folder that they were in, which scripts still name


def recipe_names() -> list[str]:
    """The names of the packaged recipes."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def is_packaged(recipe: str) -> bool:
    """Whether `recipe` is the name of a packaged recipe, as `finetune`."""
    return recipe in recipe_names()


def recipe_file(recipe: Path) -> Path:
    """The file `recipe`, or the packaged recipe of this name where there is no such file.

    Raises:
        ReidError: `recipe` is neither a file, nor the name of a packaged recipe, nor ends as a YAML file does.

    """
    if recipe.exists():
        return recipe
    former = recipe.parts[-3:-1] == _FORMER
    name = recipe.stem if former else str(recipe)
    if is_packaged(name):
        return _FOLDER / f"{name}.yaml"
    if not recipe.suffix:
        raise ReidError(f"{recipe}: no such recipe; expected a YAML file, or one of {', '.join(recipe_names())}")
    return recipe


def recipe_content(name: str) -> dict[str, Any]:
    """The content of the packaged recipe `name`."""
    content: dict[str, Any] = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text("utf-8"))
    return content


def read_recipe(name: str, **changes: object) -> TrainConfig:
    """The packaged recipe `name` with `changes` to its top-level settings; a mapping changes parts of a section.

    Example:
        >>> read_recipe("finetune", iterations=400, sampler={"identities": 8}).sampler
        SamplerConfig(identities=8, images=4)

    Raises:
        ValidationError: pydantic's: a change is unknown, of another type, or contradicts another setting.

    """
    content = recipe_content(name)
    for key, value in changes.items():
        content[key] = content.get(key, {}) | value if isinstance(value, dict) else value
    return TrainConfig.model_validate(content)
