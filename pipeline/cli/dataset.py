"""`uavpipe dataset`: makes a re-identification data set of the labelled crops."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import PATH
from pipeline.words import counted

if TYPE_CHECKING:
    from pipeline.workspace.stage import StageResult


@click.command()
@click.option("--config", "config_path", type=PATH, help="Read this YAML configuration.")
@click.option("--workspace", type=PATH, help="Use this folder of flights and labels.  [default: runs]")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a value: dataset.train_share=0.7.")
def dataset(config_path: Path | None, workspace: Path | None, settings: tuple[str, ...]) -> None:
    """Make a data set of the labelled crops of all flights: WORKSPACE/dataset, in Market-1501's layout.

    Its dataset.parquet records the provenance of every crop; statistics.html shows the content.
    """
    from pipeline.config.models import load_config
    from pipeline.dataset.stage import run_dataset

    config = load_config(config_path, settings, workspace=workspace)
    report_dataset(run_dataset(config.workspace, config.dataset))


def report_dataset(result: "StageResult") -> None:
    """Print the content of the data set, in a few lines."""
    from pipeline.dataset.statistics import doubt_of_split

    figures = result.counts
    click.echo(
        f"dataset    {'up to date: ' if result.skipped else ''}{counted(figures['crops'], 'crop')} of "
        f"{counted(len(figures['flights']), 'flight')}, protocol {figures['protocol']}  → {result.folder}"
    )
    for split, counts in figures["splits"].items():
        nobody = "".join(f", {counts[name]:,} {name}" for name in ("junk", "distractors") if counts[name])
        click.echo(f"  {split:8} {counted(counts['crops'], 'crop')} of {_people(counts['identities'])}{nobody}")
    if figures["left_out"]:
        reasons = (f"{count:,} {reason.replace('_', ' ')}" for reason, count in figures["left_out"].items())
        click.echo(f"  left out {', '.join(reasons)}")
    if figures["identities"]["seen_once"]:
        click.echo(f"  untested {_people(figures['identities']['seen_once'])}, seen once only")
    chance, doubt = figures.get("chance"), doubt_of_split(figures)
    figures_of_chance = (f"{name} {chance[name]:.3f}" for name in ("mAP", "rank-1") if chance)
    shown = f"random features get {', '.join(figures_of_chance)}" if chance else ""
    if chance or doubt:
        click.echo(f"  chance   {'; '.join(filter(None, (shown, doubt)))}")
    if "query" not in figures["splits"]:
        click.echo("  no query: no test identity has crops in two places, so nothing can be evaluated")
        click.echo("           label people in two flights, or in two tracklets at least dataset.gap_s apart")
    click.echo(f"  see      {result.folder / 'statistics.html'}")


def _people(count: int) -> str:
    return counted(count, "identity", "identities")
