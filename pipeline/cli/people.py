"""`uavpipe people`: how many different people there are."""

from pathlib import Path

import click

from pipeline.cli.options import LABELLED_WORKSPACE, embedder_option, format_option
from pipeline.words import counted


@click.command()
@LABELLED_WORKSPACE
@embedder_option("that of the suggestions, else embedded")
@click.option("--device", default="auto", show_default=True, help="Run the network on auto, cpu or cuda.")
@format_option("text", "json")
def people(workspace: Path, weights: Path | None, device: str, form: str) -> None:
    """Estimate how many different people WORKSPACE shows, from similarities and the labels so far.

    The interval holds the number with a probability of 95 %. Decisions in the labelling app make it narrower. The
    number is kept for `uavpipe status` and the report.
    """
    from pipeline.engine.progress import progress_bar
    from pipeline.find.people import count_in_workspace

    found = count_in_workspace(workspace, progress_bar, weights=weights, device=device)
    if form == "json":
        import json
        from dataclasses import asdict

        click.echo(json.dumps(asdict(found), indent=2))
        return
    click.echo(f"{found.text}; {found.decided} labelled, {counted(found.open, 'tracklet')} open")
    if found.without:
        click.echo(f"note: not counted: {counted(found.without, 'open tracklet')} without a crop", err=True)
    if found.open:
        click.echo(f"note: similarities by {found.origin}; see docs/find.md", err=True)
