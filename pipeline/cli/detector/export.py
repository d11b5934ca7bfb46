"""`uavpipe detector export`: export of detectors to ONNX and OpenVINO."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.detector.frames import spread
from pipeline.cli.errors import UserError
from pipeline.cli.options import PATH, settings_option
from pipeline.cli.outputs import writes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from detector.config import DetectorConfig
    from detector.models.weights import WeightsSource

_COMPARED = 3  # pictures


@click.command()
@click.argument("weights")
@click.option("--out", type=PATH, required=True, help="Write small.onnx, or small.xml for OpenVINO.")
@click.option("--calibrate", type=PATH, metavar="VIDEO", help="Quantise to int8 with its frames (.xml only).")
@click.option("--frames", default=300, show_default=True, type=click.IntRange(1), help="Use this many of VIDEO.")
@settings_option("floor=0.02")
@writes("out", ".bin")
def export(weights: str, out: Path, calibrate: Path | None, frames: int, settings: tuple[str, ...]) -> None:
    """Export the detector WEIGHTS (a checkpoint, 'auto' or 'embedded') as an ONNX or OpenVINO model.

    The input is a scaled image, bytes (1, 3, h, w) RGB of any size; the outputs are boxes (n, 4) xyxy in its pixels
    and scores (n,). An .onnx is compared with the checkpoint in ONNX Runtime. An .xml is for detector.backend:
    openvino. --calibrate makes it faster and less accurate; VIDEO should resemble the flights to come.
    """
    if out.suffix not in (".onnx", ".xml"):
        raise click.UsageError(f"--out {out}: expected a name that ends in .onnx or .xml")
    if calibrate and out.suffix != ".xml":
        raise click.UsageError("--calibrate needs an --out that ends in .xml: only OpenVINO has int8")

    from detector.config import DetectorConfig
    from detector.models.weights import source_of
    from pipeline.config.yaml import apply_settings, validate

    config = validate(apply_settings({"weights": weights}, settings), DetectorConfig, "--set")
    source = source_of(config)
    if source.kind in ("onnx", "openvino"):
        raise UserError(
            f"{source.path}: is exported already, and runs as it is; expected a checkpoint, 'auto' or 'embedded'"
        )
    if out.suffix == ".xml":
        _openvino(config, source, out, calibrate, frames)
    else:
        _onnx(config, source, out)


def _openvino(
    config: "DetectorConfig", source: "WeightsSource", out: Path, calibrate: Path | None, frames: int
) -> None:
    from detector.backends.openvino_export import export_openvino
    from pipeline.workspace.atomic import atomic_file

    # The weights are beside the .xml, and get their name before it does.
    with atomic_file(out) as temporary, atomic_file(out.with_suffix(".bin")):
        export_openvino(config, source, temporary, spread(calibrate, frames) if calibrate else None)
    precision = f"int8 by at most {frames} frames of {calibrate}" if calibrate else "not quantised"
    click.echo(f"{out}: {source.description}, {precision}; set detector.weights to it")


def _onnx(config: "DetectorConfig", source: "WeightsSource", out: Path) -> None:
    from detector.backends.onnx_export import compare_onnx, export_onnx
    from pipeline.workspace.atomic import atomic_file

    with atomic_file(out) as temporary:
        export_onnx(config, source, temporary)
        count, boxes, scores = compare_onnx(temporary, config, source, _simulated())
    click.echo(
        f"{out}: {source.description}; same {count} boxes as the checkpoint in {_COMPARED} simulated images, "
        f"within {boxes:.1e} px, scores within {scores:.1e}"
    )


def _simulated() -> "Iterator[NDArray[np.uint8]]":
    import numpy as np

    from pipeline.simulate.stills import render_still

    return (render_still(np.random.default_rng(number), (960, 540 + 4 * number))[0] for number in range(_COMPARED))
