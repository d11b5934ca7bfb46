"""The command `recipe` of `uavpipe detector` and `uavpipe reid`: the recipes that come with uavpipe."""

from pathlib import Path

import click


def recipe_command(package: str) -> click.Command:
    """`uavpipe detector recipe` or `uavpipe reid recipe`.

    Args:
        package: "detector" or "reid".

    """

    @click.command("recipe")
    @click.argument("name", required=False)
    def recipe(name: str | None) -> None:
        """Print the recipe NAME, to adapt it; without NAME, list the recipes.

        A name is enough for `train --config`. To adapt one, write it to a file, as by `recipe NAME > mine.yaml`,
        and train with `--config mine.yaml`.
        """
        if package == "reid":
            from reid.training.recipes import recipe_file, recipe_names
        else:
            from detector.training.recipes import recipe_file, recipe_names

        if name is not None:
            click.echo(recipe_file(Path(name)).read_text("utf-8"), nl=False)
            return
        width = max(map(len, recipe_names()))
        for each in recipe_names():
            click.echo(f"{each:{width}}  {_first_line(recipe_file(Path(each)))}")

    return recipe


def _first_line(recipe: Path) -> str:
    return recipe.read_text("utf-8").split("\n", 1)[0].removeprefix("# ")
