"""`uavpipe annotate embed | retrain`: the embeddings behind the labelling app's suggestions."""

import sys
from pathlib import Path

import click

from pipeline.cli.extras import trains
from pipeline.cli.options import LABELLED_WORKSPACE, WEIGHTS, embedder_option

_DEVICE = click.option("--device", default="auto", show_default=True, help="Run the network on auto, cpu or cuda.")


@click.command()
@LABELLED_WORKSPACE
@embedder_option("embedded")
@_DEVICE
def embed(workspace: Path, weights: Path | None, device: str) -> None:
    """Embed the crops of all tracklets with a re-ID network, for suggestions."""
    from pipeline.engine.progress import progress_bar
    from pipeline.labelling.suggestions import embed_flights
    from reid.weights import EMBEDDED

    count = embed_flights(workspace, weights or EMBEDDED, progress_bar, device)
    click.echo(f"{workspace}: {f'{count:,} crops embedded' if count else 'up to date'}")


@click.command()
@LABELLED_WORKSPACE
@click.option(
    "--weights",
    type=WEIGHTS,
    help="Start from embedded, or this checkpoint of 'uavpipe reid train'.  [default: embedded]",
)
@click.option(
    "--iterations",
    type=click.IntRange(1),
    default=400,
    show_default=True,
    help="Train for this number of iterations.",
)
@_DEVICE
@trains
def retrain(workspace: Path, weights: Path | None, iterations: int, device: str) -> None:
    """Train a re-ID network on the labels, then embed with it."""
    from pipeline.engine.progress import progress_bar, training_bar
    from pipeline.labelling.suggestions import RUN, retrain
    from reid.weights import EMBEDDED

    def report(done: int, text: str) -> None:
        advance(done, text)
        if not sys.stderr.isatty():  # no bar there: the labelling app shows the last line
            click.echo(f"iteration {done} of {iterations}: {text}")

    with training_bar("training on the labels", iterations) as advance:
        identities = retrain(
            workspace, weights or EMBEDDED, progress_bar, iterations=iterations, device=device, advance=report
        )
    click.echo(f"{workspace / RUN}: trained on {identities} identities; the suggestions are up to date")
