"""`uavpipe annotate embed | retrain`: what the labelling app's suggestions are made from."""

import sys
from pathlib import Path

import click

from pipeline.cli.options import PATH

_WORKSPACE = click.option(
    "--workspace", type=PATH, default=Path("runs"), show_default=True, help="Folder of the flights and labels."
)
_WEIGHTS = click.option(
    "--weights", type=PATH, help="A checkpoint of 'uavpipe reid train', or ONNX.  [default: the embedded network]"
)
_DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")


@click.command()
@_WORKSPACE
@_WEIGHTS
@_DEVICE
def embed(workspace: Path, weights: Path | None, device: str) -> None:
    """Look at all tracklets with a re-id model, so that the labelling app suggests by it."""
    from pipeline.engine.progress import progress_bar
    from pipeline.labelling.suggestions import embed_flights
    from reid.weights import EMBEDDED

    count = embed_flights(workspace, weights or EMBEDDED, progress_bar, device)
    click.echo(f"{workspace}: {f'{count:,} crops looked at' if count else 'up to date'}")


@click.command()
@_WORKSPACE
@_WEIGHTS
@click.option("--iterations", type=click.IntRange(1), default=400, show_default=True)
@_DEVICE
def retrain(workspace: Path, weights: Path | None, iterations: int, device: str) -> None:
    """Let a re-id model learn from the labels so far, and make the suggestions anew."""
    from pipeline.engine.progress import progress_bar, training_bar
    from pipeline.labelling.suggestions import RUN, retrain
    from reid.weights import EMBEDDED

    def tell(done: int, text: str) -> None:
        advance(done, text)
        if not sys.stderr.isatty():  # no bar there: the labelling app shows the last line
            click.echo(f"iteration {done} of {iterations}: {text}")

    with training_bar("learning from the labels", iterations) as advance:
        identities = retrain(
            workspace, weights or EMBEDDED, progress_bar, iterations=iterations, device=device, advance=tell
        )
    click.echo(f"{workspace / RUN}: learnt from {identities} identities; the suggestions are made anew")
