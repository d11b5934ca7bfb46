"""Recipes for training detectors that come with uavpipe, by name."""

from pathlib import Path

from detector.errors import DetectorError

_FOLDER = Path(__file__).parent
_FORMER = ("configs", "detector")  # the folder that they were in, which scripts still name


def recipe_names() -> list[str]:
    """The names of the packaged recipes."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def is_packaged(recipe: str) -> bool:
    """Whether `recipe` is the name of a packaged recipe, as `finetune`."""
    return recipe in recipe_names()


def recipe_file(recipe: Path) -> Path:
    """The file `recipe`, or the packaged recipe of this name where there is no such file.

    Raises:
        DetectorError: `recipe` is neither a file, nor the name of a packaged recipe, nor ends as a YAML file does.

    """
    if recipe.exists():
        return recipe
    former = recipe.parts[-3:-1] == _FORMER
    name = recipe.stem if former else str(recipe)
    if is_packaged(name):
        return _FOLDER / f"{name}.yaml"
    if not recipe.suffix:
        raise DetectorError(
            f"{recipe}: no such recipe; expected a YAML file, or one of {', '.join(recipe_names())}"
        )
    return recipe
