"""`uavpipe reid export`: export of a network as ONNX."""

from pathlib import Path

import click

from pipeline.cli.options import PATH, WEIGHTS
from pipeline.cli.outputs import writes


@click.command()
@click.argument("weights", type=WEIGHTS)
@click.option("--out", type=PATH, required=True, help="Write the model to this file, as drone.onnx.")
@writes("out")
def export(weights: Path, out: Path) -> None:
    """Export the network WEIGHTS (a checkpoint, or 'embedded') as ONNX, and compare both in ONNX Runtime.

    The model takes bytes, (n, 3, height, width) RGB, and gives features, (n, dimension). The other commands accept
    it as --weights.
    """
    if out.suffix != ".onnx":
        raise click.UsageError(f"--out {out}: expected a name that ends in .onnx")

    from pipeline.workspace.atomic import atomic_file
    from reid.onnx_export import export_onnx

    with atomic_file(out) as temporary:
        difference = export_onnx(weights, temporary)
    click.echo(f"{out}: features differ from the checkpoint's by {difference:.1e} of their length")
