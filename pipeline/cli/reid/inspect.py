"""`uavpipe reid inspect`: how a network is used, and which input it knows persons best with."""

from pathlib import Path

import click

from pipeline.cli.options import WEIGHTS
from pipeline.cli.reid.options import data_option, device_option, given_input, input_option


@click.command()
@click.argument("model", type=WEIGHTS)
@data_option()
@click.option(
    "--persons", type=click.IntRange(2), default=20, show_default=True, help="With --data: use this many persons."
)
@input_option
@device_option
def inspect(model: Path, data: str | None, persons: int, settings: tuple[str, ...], device: str) -> None:
    """Show how MODEL is used: size, range and order of colours, batch, length of the features.

    MODEL is an ONNX model, OpenVINO's .xml, a checkpoint, or 'embedded'.
    With --data, a data set with queries and a gallery, evaluate a foreign model (ONNX, OpenVINO) on some of its
    persons with each range and order of colours: the right one knows most of them again.
    """
    from pipeline.engine.progress import progress_bar
    from reid.embedder import Embedder, ForeignEmbedder
    from reid.evaluation.input_choice import by_metric, choices, metric_verdict, some_persons, verdict

    embedder = Embedder.load(model, device, given_input(settings))
    what = embedder.what if isinstance(embedder, ForeignEmbedder) else "a network of uavpipe; its input is inside"
    metric = embedder.metric
    click.echo(f"{model}: {what}\nmetric {metric.name}: {metric.reason}")
    if data is None:
        return
    evaluation = some_persons(data, persons)
    crops = evaluation.candidates
    with progress_bar(model.name, 8 * (len(crops.query) + len(crops.gallery))) as advance:
        found = choices(embedder, evaluation, advance)
    click.echo(f"\n{'colours':9}{'range':10}{'mAP':>8}{'rank-1':>8}{'mean cosine':>13}")
    for choice in found:
        used = "  used" if choice.is_used else ""
        click.echo(
            f"{choice.colours:9}{choice.range:10}{choice.precision:8.3f}{choice.rank1:8.3f}{choice.cosine:13.3f}{used}"
        )
    click.echo(f"\n{verdict(found)}\n{metric_verdict(by_metric(embedder, evaluation), metric.name)}")
