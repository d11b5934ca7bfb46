"""`uavpipe reid transfer`: evaluation of several networks on several data sets."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from pipeline.cli.options import PATH
from pipeline.cli.outputs import writes
from pipeline.cli.reid.options import PROTOCOL_NAMES, device_option, flip_option

if TYPE_CHECKING:
    from reid.evaluation.protocols import ProtocolName

Matrix = dict[str, dict[str, dict[str, float]]]  # source, target, name of the figure
_SHOWN = "mAP", "rank-1"


def _named(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` options as a mapping."""
    pairs = [value.partition("=") for value in values]
    if not all(name and value for name, _, value in pairs) or len({name for name, _, _ in pairs}) < len(pairs):
        raise click.BadParameter(f"{' '.join(values)}: expected NAME=VALUE, each with its own name")
    return {name: value for name, _, value in pairs}


@click.command()
@click.option(
    "--weights",
    "sources",
    multiple=True,
    required=True,
    metavar="NAME=WEIGHTS",
    callback=_named,
    help="Evaluate this network, embedded or a file; repeat for more.",
)
@click.option(
    "--data",
    "targets",
    multiple=True,
    required=True,
    metavar="NAME=[FORMAT:]PLACE",
    callback=_named,
    help="Evaluate on this data set; repeat for more.",
)
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    metavar="NAME=PROTOCOL",
    callback=_named,
    help="Evaluate a data set by this protocol.  [default: market]",
)
@flip_option
@device_option
@click.option("--out", type=PATH, required=True, help="Write all figures to this file, as transfer.json.")
@writes("out")
def transfer(
    sources: Mapping[str, str],
    targets: Mapping[str, str],
    protocols: Mapping[str, str],
    flip: bool,
    device: str,
    out: Path,
) -> None:
    """Evaluate each of several networks on each of several data sets.

    Name a network after its training set, as in --weights market=a.safetensors --weights drone=b.onnx
    --data market=data/market1501 --data drone=data/drone --protocol drone=tracklet.
    """
    _check(protocols, targets)

    from pipeline.engine.progress import progress_bar
    from pipeline.workspace.atomic import write_json
    from reid.embedder import Embedder
    from reid.evaluation.measure import evaluation_on
    from reid.weights import weights_file

    # Errors in networks and data are found before the first evaluation.
    embedders = {name: Embedder.load(weights_file(weights), device) for name, weights in sources.items()}
    evaluations = {
        name: evaluation_on(data, cast("ProtocolName", protocols.get(name, "market")))
        for name, data in targets.items()
    }
    figures: Matrix = {source: {} for source in sources}
    counts: dict[str, Mapping[str, int]] = {}
    for source, embedder in embedders.items():
        for target, evaluation in evaluations.items():
            candidates = evaluation.candidates
            with progress_bar(f"{source} on {target}", len(candidates.query) + len(candidates.gallery)) as advance:
                result = evaluation.of(embedder, flip=flip, advance=advance)
            figures[source][target], counts[target] = dict(result.figures), result.counts
    inputs = {"weights": sources, "data": targets, "protocols": protocols, "flip": flip}
    metrics = {source: embedder.metric.name for source, embedder in embedders.items()}
    write_json(out, {"figures": figures, "counts": counts, "metrics": metrics, "inputs": inputs})
    for name in _SHOWN:
        click.echo("\n".join(_table(name, figures)))
    click.echo("metric: " + ", ".join(f"{source} {metric}" for source, metric in metrics.items()))
    click.echo(f"{out}: all figures")


def _check(protocols: Mapping[str, str], targets: Mapping[str, str]) -> None:
    for name, protocol in protocols.items():
        if name not in targets or protocol not in PROTOCOL_NAMES:
            raise click.UsageError(
                f"--protocol {name}={protocol}: expected a name of --data ({', '.join(targets)}), and one of "
                + ", ".join(PROTOCOL_NAMES)
            )


def _table(name: str, figures: Matrix) -> Iterator[str]:
    """Lines: a network a row, a data set a column."""
    targets = next(iter(figures.values()))
    wide = max(len(name), *map(len, figures))
    yield f"{name:{wide}}" + "".join(f"  {target:>8}" for target in targets)
    for source, row in figures.items():
        yield f"{source:{wide}}" + "".join(f"  {row[target][name]:{max(8, len(target))}.4f}" for target in targets)
