"""`uavpipe reid table1`: the paper's Table 1 on your data."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.extras import trains
from pipeline.cli.options import PATH, output_option, shard_option
from pipeline.cli.outputs import writes

if TYPE_CHECKING:
    from pipeline.run.shards import Shard
    from reid.training.table1 import Run


@click.command()
@click.option(
    "--config",
    "config_path",
    type=PATH,
    required=True,
    help="Read the grid from this YAML file; 'table1' is the paper's.",
)
@output_option("Write all runs to this folder; resume those that it has.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting of the grid, as in seeds=[0]."
)
@shard_option("Train only the I-th of N parts of the grid, and write no table.")
@trains
@writes("output", inside=("table1.md", "table1.csv"))
def table1(config_path: Path, output: Path, settings: tuple[str, ...], shard: "Shard | None") -> None:
    """Train and evaluate the paper's grid: sources by margins by losses, with several seeds.

    After each run the table so far is written to OUTPUT/table1.md, and the figures of all runs to
    OUTPUT/table1.csv. An interrupted run is resumed.

    With `--shard`, several processes or machines share the grid. When all have ended, run again without it: the
    finished runs are found, and the table is written.
    """
    from pipeline.config.yaml import apply_settings, read_yaml_mapping, validate
    from pipeline.engine.progress import training_bar
    from pipeline.workspace.atomic import atomic_file
    from reid.training.recipes import recipe_file
    from reid.training.table1 import Table1, Table1Config, table

    content = apply_settings(read_yaml_mapping(recipe_file(config_path)), settings)
    config = validate(content, Table1Config, str(config_path))
    grid = Table1(config, output)
    for name, spec in grid.missing.items():
        click.echo(f"uavpipe: no data for {name}: {spec} does not exist; its row stays empty", err=True)
    output.mkdir(parents=True, exist_ok=True)
    if shard is not None:
        count = sum(1 for _ in grid.runs(training_bar, shard.number, shard.count))
        click.echo(f"{output}: {count} runs of shard {shard}; run without --shard when all have ended")
        return
    done: list[Run] = []
    for run in grid.runs(training_bar):
        done.append(run)
        with atomic_file(output / "table1.md") as temporary:
            temporary.write_text(table(config, done, grid.missing, grid.chance), "utf-8")
        _write_runs(output / "table1.csv", done)
    click.echo(table(config, done, grid.missing, grid.chance), nl=False)
    click.echo(f"{output}: table1.md, and each run's figures in table1.csv")


def _write_runs(path: Path, runs: "list[Run]") -> None:
    import pandas as pd

    from pipeline.workspace.atomic import atomic_file

    rows = [
        {
            "source": run.cell.source,
            "loss": run.cell.loss,
            "margin": run.cell.margin,
            "seed": run.seed,
            **run.figures,
        }
        for run in runs
    ]
    with atomic_file(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
