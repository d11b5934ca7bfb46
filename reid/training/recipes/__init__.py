"""Recipes for training that come with uavpipe, by name."""

from pathlib import Path

import yaml

from reid.config import TrainConfig

_FOLDER = Path(__file__).parent


def recipe_file(recipe: Path) -> Path:
    """The packaged recipe that `recipe` names, as `finetune`; where there is none of that name, `recipe` itself."""
    packaged = _FOLDER / f"{recipe}.yaml"
    return packaged if recipe.name == str(recipe) and not recipe.exists() and packaged.is_file() else recipe


def read_recipe(name: str, **changes: object) -> TrainConfig:
    """The packaged recipe `name` with `changes` to its top-level settings; a mapping changes parts of a section.

    Example:
        >>> read_recipe("finetune", iterations=400, sampler={"identities": 8}).sampler
        SamplerConfig(identities=8, images=4)

    Raises:
        ValidationError: pydantic's: a change is unknown, of another type, or contradicts another setting.

    """
    content = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text("utf-8"))
    for key, value in changes.items():
        content[key] = content.get(key, {}) | value if isinstance(value, dict) else value
    return TrainConfig.model_validate(content)
