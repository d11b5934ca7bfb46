"""`uavpipe reid evaluate`: a network on a data set, or features from elsewhere, by any of the protocols."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import PATH

if TYPE_CHECKING:
    from reid.evaluation.evaluate import Options, Result
    from reid.records import Samples

_TWO = (PATH, PATH)
PROTOCOL_NAMES = ("market", "single-shot", "flight", "tracklet", "strict")
protocol_option = click.option(
    "--protocol",
    type=click.Choice(PROTOCOL_NAMES),
    default="market",
    show_default=True,
    help="Which crops of the gallery count.",
)


@click.command()
@click.option("--weights", type=PATH, help="A checkpoint of 'uavpipe reid train', or ONNX.")
@click.option(
    "--data", metavar="[FORMAT:]PLACE", help="As market1501:data/market1501, or a Market-1501-style folder."
)
@click.option("--features", type=_TWO, metavar="QUERY.npy GALLERY.npy", help="Features from elsewhere.")
@click.option(
    "--labels", type=_TWO, metavar="QUERY.csv GALLERY.csv", help="Whose they are.  [default: beside them]"
)
@click.option("--images", type=_TWO, metavar="QUERY/ GALLERY/", help="Folders that the labels' paths lie in.")
@click.option("--train-labels", type=PATH, help="What the features' network has learnt from, to check for leaks.")
@protocol_option
@click.option("--metric", type=click.Choice(("euclidean", "cosine")), default="euclidean", show_default=True)
@click.option("--ap", type=click.Choice(("step", "trapezoid")), default="step", show_default=True)
@click.option("--repeats", type=click.IntRange(1), default=10, show_default=True, help="Of single-shot's draws.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of single-shot's draws.")
@click.option("--rerank", is_flag=True, help="k-reciprocal re-ranking (not in the paper).")
@click.option("--flip", is_flag=True, help="With --weights: average with the mirror image (not in the paper).")
@click.option(
    "--device", default="auto", show_default=True, help="auto, cpu or cuda; auto leaves --features to the CPU."
)
@click.option(
    "--pictures", type=click.IntRange(0), default=60, show_default=True, help="Queries to draw, worst first."
)
@click.option("--out", type=PATH, required=True, help="Folder for metrics.json, queries.parquet and ranked lists.")
def evaluate(out: Path, pictures: int, **options: Any) -> None:
    """How well persons are found again: CMC, mAP and mINP, each query's figures, pictures of the ranked lists.

    Give a network (--weights) or two matrices of features (--features), and what they are measured on: a data set
    (--data), or two tables of labels (--labels) with a row for each crop. Their columns are identity, camera,
    flight, tracklet, path, of which identity is needed; without it, the paths' names tell as Market-1501's do.
    """
    from pipeline.stages.evaluation import write_evaluation

    _check(options)
    out.mkdir(parents=True, exist_ok=True)  # fails now, not when all is measured
    result, inputs = _measured(options)
    inputs |= {name: options[name] for name in ("data", "labels", "images", "train_labels") if options[name]}
    how = _options(options, "cpu")
    drawn = write_evaluation(out, result, how, inputs, flip=options["flip"], pictures=pictures)
    _show(result, options["protocol"])
    pictures_too = ", ranked.parquet, ranked/ (worst queries first)" if drawn else ""
    click.echo(f"{out}: metrics.json, queries.parquet{pictures_too}")


def _check(options: dict[str, Any]) -> None:
    weights, features, data, listed = (bool(options[n]) for n in ("weights", "features", "data", "labels"))
    if weights == features:
        raise click.UsageError("give either --weights or --features")
    if weights and not data and not (listed and options["images"]):
        raise click.UsageError("--weights needs --data, or --labels with --images")
    if features and (data or options["flip"]):
        raise click.UsageError("--data and --flip go with --weights; give --features with --labels")
    if data and any(options[name] for name in ("labels", "images", "train_labels")):
        raise click.UsageError("--data tells labels and images by itself; leave --labels, --images, --train-labels")


def _options(options: dict[str, Any], device: str) -> "Options":
    from reid.evaluation.evaluate import Options
    from reid.evaluation.reranking import Reranking

    return Options(
        protocol=options["protocol"],
        metric=options["metric"],
        average_precision=options["ap"],
        repeats=options["repeats"],
        seed=options["seed"],
        reranking=Reranking() if options["rerank"] else None,
        device=device,
    )


def _measured(options: dict[str, Any]) -> "tuple[Result, dict[str, Any]]":
    """What came out, and of what."""
    from pipeline.stages.evaluation import identified
    from reid.evaluation.evaluate import Evaluation

    query, gallery, *train = _samples(options)
    if options["weights"]:
        from pipeline.engine.progress import progress_bar
        from reid.embedder import Embedder

        weights = options["weights"]
        embedder = Embedder.load(weights, options["device"])
        evaluation = Evaluation(query, gallery, _options(options, embedder.device), *train)
        with progress_bar(weights.name, len(query) + len(gallery)) as advance:
            result = evaluation.of(embedder, flip=options["flip"], advance=advance)
        return result, {"weights": identified(weights)}
    from reid.evaluation.features import read_features

    files = options["features"]
    device = "cpu" if options["device"] == "auto" else options["device"]
    evaluation = Evaluation(query, gallery, _options(options, device), *train)
    own, others = (read_features(file) for file in files)
    result = evaluation(own, others, (str(files[0]), str(files[1])))
    return result, {name: identified(file) for name, file in zip(("query", "gallery"), files, strict=True)}


def _samples(options: dict[str, Any]) -> "list[Samples]":
    """Query, gallery and, where that is known, what was learnt from."""
    from reid.datasets.load import load
    from reid.evaluation.protocols import PROTOCOLS
    from reid.labels import read_labels

    cameras = PROTOCOLS[options["protocol"]].cameras
    if options["data"]:
        data = load(options["data"], cameras)
        return [data.query, data.gallery, data.train]
    tables = options["labels"] or [file.with_suffix(".csv") for file in options["features"]]
    learnt = [options["train_labels"]] if options["train_labels"] else []
    folders = [*(options["images"] or (None, None)), *(None for _ in learnt)]
    return read_labels([*tables, *learnt], cameras, folders)


def _show(result: "Result", protocol: str) -> None:
    counts = result.counts
    skipped = f", {counts['queries_skipped']:,} of them without a right answer" if counts["queries_skipped"] else ""
    apart = [
        f"{counts[f'gallery_{kind}']:,} {kind}" for kind in ("junk", "distractors") if counts[f"gallery_{kind}"]
    ]
    click.echo(
        f"protocol {protocol}: {counts['queries']:,} queries{skipped}; {counts['gallery']:,} gallery crops"
        + (f" ({', '.join(apart)})" if apart else "")
    )
    click.echo("".join(f"{name:>9}" for name in result.figures))
    click.echo("".join(f"{value:9.4f}" for value in result.figures.values()))
