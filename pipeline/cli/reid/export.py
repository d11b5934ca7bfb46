"""`uavpipe reid export`: a network for use without torch."""

from pathlib import Path

import click

from pipeline.cli.options import PATH


@click.command()
@click.argument("weights", type=PATH)
@click.option("--out", type=PATH, required=True, help="The model, as drone.onnx.")
def export(weights: Path, out: Path) -> None:
    """Write the network in the checkpoint WEIGHTS as ONNX, and check in ONNX Runtime that it gives the same.

    It takes bytes, (n, 3, height, width) RGB, and gives features, (n, dimension); --weights of the other commands
    take it as well.
    """
    if out.suffix != ".onnx":
        raise click.UsageError(f"--out {out}: expected a name that ends in .onnx")

    from pipeline.workspace.atomic import atomic_file
    from reid.onnx_export import export_onnx

    with atomic_file(out) as temporary:
        difference = export_onnx(weights, temporary)
    click.echo(f"{out}: gives the checkpoint's features, to {difference:.1e} of their length")
