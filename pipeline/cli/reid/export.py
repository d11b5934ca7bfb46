"""`uavpipe reid export`: export of a network to ONNX or OpenVINO."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import PATH, WEIGHTS
from pipeline.cli.outputs import writes

if TYPE_CHECKING:
    from reid.onnx_export import Precision


@click.command()
@click.argument("weights", type=WEIGHTS)
@click.option("--out", type=PATH, required=True, help="Write drone.onnx, or drone.xml for OpenVINO.")
@click.option(
    "--precision",
    type=click.Choice(("fp32", "fp16")),
    default="fp32",
    show_default=True,
    help="Store the weights in this precision; with fp16 the model has half the size.",
)
@writes("out", ".bin")
def export(weights: Path, out: Path, precision: "Precision") -> None:
    """Export the network WEIGHTS (a checkpoint, or 'embedded') as an ONNX or OpenVINO model, and compare both.

    The model takes bytes, (n, 3, height, width) RGB, and gives features, (n, dimension). The other commands accept
    it as --weights.
    """
    if out.suffix not in (".onnx", ".xml"):
        raise click.UsageError(f"--out {out}: expected a name that ends in .onnx or .xml")

    from contextlib import ExitStack

    from pipeline.workspace.atomic import atomic_file

    with ExitStack() as files:
        temporary = files.enter_context(atomic_file(out))
        if out.suffix == ".xml":
            from reid.openvino_export import export_openvino

            files.enter_context(atomic_file(out.with_suffix(".bin")))  # gets its name before the .xml does
            difference = export_openvino(weights, temporary, precision)
        else:
            from reid.onnx_export import export_onnx

            difference = export_onnx(weights, temporary, precision)
    click.echo(f"{out}: {precision}; features differ from the checkpoint's by {difference:.1e} of their length")
