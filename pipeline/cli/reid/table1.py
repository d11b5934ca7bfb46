"""`uavpipe reid table1`: the paper's Table 1, on your data."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import PATH

if TYPE_CHECKING:
    from reid.training.table1 import Run


@click.command()
@click.option("--config", "config_path", type=PATH, required=True, help="As configs/reid/table1.yaml.")
@click.option("--output", type=PATH, required=True, help="Folder of all runs; what is found there is resumed.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As in seeds=[0].")
def table1(config_path: Path, output: Path, settings: tuple[str, ...]) -> None:
    """Train and measure the paper's grid: sources by margins by losses, several seeds.

    After each run the table so far goes to OUTPUT/table1.md, and all runs' figures to OUTPUT/table1.csv. What was
    killed goes on where it was.
    """
    from pipeline.config.yaml import apply_settings, read_yaml_mapping, validate
    from pipeline.engine.progress import training_bar
    from pipeline.workspace.atomic import atomic_file
    from reid.training.table1 import Table1, Table1Config, table

    config = validate(apply_settings(read_yaml_mapping(config_path), settings), Table1Config, str(config_path))
    grid = Table1(config, output)
    for name, spec in grid.missing.items():
        click.echo(f"uavpipe: no data for {name}: there is no {spec}; its row stays empty", err=True)
    output.mkdir(parents=True, exist_ok=True)
    done: list[Run] = []
    for run in grid.runs(training_bar):
        done.append(run)
        with atomic_file(output / "table1.md") as temporary:
            temporary.write_text(table(config, done, grid.missing), "utf-8")
        _write_runs(output / "table1.csv", done)
    click.echo(table(config, done, grid.missing), nl=False)
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
