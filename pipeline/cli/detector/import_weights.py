"""`uavpipe detector import-detectron2`: conversion of detectron2's models to checkpoints of ours."""

from pathlib import Path

import click

from pipeline.cli.options import PATH, PERSONS, settings_option
from pipeline.cli.outputs import writes


@click.command("import-detectron2")
@click.argument("model", type=PATH)
@click.option("--out", type=PATH, required=True, help="Write the checkpoint here, as weights/mine.safetensors.")
@click.option("--config-file", type=PATH, help="Read config.yaml of the model.  [default: detectron2's R50]")
@PERSONS
@settings_option("resize.short_side=1200")
@writes("out")
def import_detectron2(
    model: Path, out: Path, config_file: Path | None, persons: tuple[int, ...], settings: tuple[str, ...]
) -> None:
    """Convert detectron2's Faster R-CNN R50-FPN or R50-C4 in MODEL (.pkl or .pth) to a checkpoint of uavpipe.

    It finds the same persons without detectron2. Give `--person 0 --person 1` for VisDrone's pedestrian and people.
    """
    from detector.detectron2.config import read_architecture, read_config
    from detector.detectron2.files import read_detectron2
    from detector.detectron2.import_weights import convert_detectron2, detectron2_preset
    from detector.models.checkpoint import save_checkpoint
    from detector.models.presets import Architecture
    from pipeline.config.yaml import apply_settings, validate

    state = read_detectron2(model)
    config = read_config(config_file) if config_file else {}
    architecture = read_architecture(config, detectron2_preset(state, model), config_file or model)
    if settings:
        content = apply_settings(architecture.model_dump(), settings)
        architecture = validate(content, Architecture, "--set")
    checkpoint = convert_detectron2(state, architecture, persons=persons, source=model)
    save_checkpoint(
        out,
        checkpoint.state,
        architecture=checkpoint.architecture,
        training={
            "imported_from": model.name,
            "terms": f"those of {model.name} and of its data",
        },
        classes=checkpoint.classes,
        exact=True,
    )
    numbers = " and ".join(map(str, persons))
    click.echo(f"{out}: {architecture.preset} from {model}; {checkpoint.classes - 1} classes, person is {numbers}")
