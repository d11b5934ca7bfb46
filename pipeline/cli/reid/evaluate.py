"""`uavpipe reid evaluate`: evaluation of a network on a data set, or of features from files."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from pipeline.cli.options import PATH
from pipeline.cli.outputs import writes
from pipeline.cli.reid.options import (
    data_option,
    flip_option,
    given_input,
    input_option,
    protocol_option,
    weights_option,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reid.evaluation.evaluate import Options, Result
    from reid.evaluation.measure import LabelTables
    from reid.evaluation.metrics import AveragePrecision
    from reid.evaluation.protocols import ProtocolName
    from reid.evaluation.summary import Summary
    from reid.metric import Metric

_TWO = (PATH, PATH)


@click.command()
@weights_option()
@data_option()
@click.option(
    "--features", type=_TWO, metavar="QUERY.npy GALLERY.npy", help="Evaluate the features in these files."
)
@click.option(
    "--labels",
    type=_TWO,
    metavar="QUERY.csv GALLERY.csv",
    help="Read identities from these tables.  [default: .csv beside the features]",
)
@click.option("--images", type=_TWO, metavar="QUERY/ GALLERY/", help="Look up the labels' paths in these folders.")
@click.option("--train-labels", type=PATH, help="Check for leaks against these labels of the training set.")
@protocol_option
@click.option(
    "--metric",
    type=click.Choice(("auto", "euclidean", "cosine")),
    default="auto",
    show_default=True,
    help="Rank by this distance; auto: as --input or MODEL.input.yaml says, else as suits the network; the output "
    "says why.",
)
@click.option(
    "--ap",
    type=click.Choice(("step", "trapezoid")),
    default="step",
    show_default=True,
    help="Compute average precision in this form; Market-1501's script has 'trapezoid'.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Draw the gallery this many times (single-shot).",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed these draws.")
@click.option("--rerank", is_flag=True, help="Apply k-reciprocal re-ranking (not in the paper).")
@click.option(
    "--multi-query",
    is_flag=True,
    help="Pool the queries of one person and camera, with those of the gallery that the protocol leaves out.",
)
@click.option("--tracklets", is_flag=True, help="Pool the crops of each tracklet, in queries and gallery.")
@input_option
@flip_option
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Compute on auto, cpu or cuda; auto ranks --features on the CPU.",
)
@click.option(
    "--pictures",
    type=click.IntRange(0),
    default=60,
    show_default=True,
    help="Draw the ranked lists of this many queries, worst first.",
)
@click.option(
    "--out", type=PATH, required=True, help="Write metrics.json, queries.parquet and ranked lists to this folder."
)
@writes("out", inside=("metrics.json", "queries.parquet", "pairs.parquet", "ranked.parquet"))
def evaluate(out: Path, pictures: int, **options: Any) -> None:
    """Evaluate a network or features: CMC, mAP and mINP, metrics of each query, pictures of ranked lists.

    Give a network (--weights) or two matrices of features (--features), and a data set (--data) or two tables of
    labels (--labels) with a row for each crop. Columns are identity, camera, flight, tracklet and path. Only
    identity is needed; if absent, identities are parsed from Market-1501 file names.

    The figures that random features and shuffled identities get on the same crops are shown below; figures that are
    not above them say nothing.
    """
    from pipeline.stages.evaluation import write_evaluation
    from reid.evaluation.summary import summary_of

    asked = _Asked(**options)
    asked.check()
    out.mkdir(parents=True, exist_ok=True)  # an error now costs less than one after the evaluation
    result = asked.result()
    how = result.options
    summary = summary_of(result, how)
    drawn = write_evaluation(
        out, result, summary, how, asked.inputs(result.input), flip=asked.flip, pictures=pictures
    )
    _show(result, summary, how)
    pictures_too = ", ranked.parquet, ranked/ (worst queries first)" if drawn else ""
    click.echo(f"{out}: metrics.json, queries.parquet, pairs.parquet{pictures_too}")


@dataclass(frozen=True)
class _Asked:
    """The command's options; see there."""

    weights: Path | None
    data: str | None
    features: tuple[Path, Path] | None
    labels: tuple[Path, Path] | None
    images: tuple[Path, Path] | None
    train_labels: Path | None
    protocol: "ProtocolName | None"
    metric: "Literal['auto'] | Metric"
    ap: "AveragePrecision"
    repeats: int
    seed: int
    rerank: bool
    multi_query: bool
    tracklets: bool
    settings: tuple[str, ...]
    flip: bool
    device: str

    def check(self) -> None:
        if bool(self.weights) == bool(self.features):
            raise click.UsageError("give either --weights or --features")
        if self.weights and not self.data and not (self.labels and self.images):
            raise click.UsageError("--weights needs --data, or --labels with --images")
        if self.multi_query and self.tracklets:
            raise click.UsageError("give either --multi-query or --tracklets")
        if self.features and (self.data or self.flip):
            raise click.UsageError("--data and --flip go with --weights; give --features with --labels")
        if self.features and self.settings:
            raise click.UsageError("--input goes with --weights")
        if self.data and (self.labels or self.images or self.train_labels):
            raise click.UsageError(
                "--data has labels and images of its own; leave out --labels, --images and --train-labels"
            )

    def options(self) -> "Options":
        from pipeline.dataset.protocol import protocol_of
        from reid.evaluation.evaluate import Options
        from reid.evaluation.reranking import Reranking

        return Options(
            protocol=self.protocol or protocol_of(self.data),
            metric=self.metric,
            average_precision=self.ap,
            repeats=self.repeats,
            seed=self.seed,
            reranking=Reranking() if self.rerank else None,
            pooling="multi-query" if self.multi_query else "tracklets" if self.tracklets else "none",
            device="cpu" if self.device == "auto" else self.device,
        )

    def result(self) -> "Result":
        from pipeline.engine.progress import progress_bar
        from reid.evaluation.measure import evaluate_features, evaluate_network

        options = self.options()
        if self.features:
            return evaluate_features(*self.features, self._tables(), options)
        assert self.weights is not None  # `check` has seen to it
        data = self.data or self._tables()
        return evaluate_network(
            self.weights,
            data,
            options,
            flip=self.flip,
            device=self.device,
            given=given_input(self.settings),
            bar=progress_bar,
        )

    def _tables(self) -> "LabelTables":
        from reid.evaluation.measure import LabelTables

        query, gallery = self.labels or [file.with_suffix(".csv") for file in self.features or ()]
        return LabelTables(query, gallery, self.images, self.train_labels)

    def inputs(self, taken: str) -> dict[str, Any]:
        """What was measured, for `metrics.json`; `taken` is the input of a foreign model."""
        from pipeline.stages.evaluation import identified

        query, gallery = self.features or (None, None)
        files = {"weights": self.weights, "query": query, "gallery": gallery}
        names = {name: getattr(self, name) for name in ("data", "labels", "images", "train_labels")}
        names["input"] = taken
        return {name: identified(file) for name, file in files.items() if file} | {
            name: value for name, value in names.items() if value
        }


def _show(result: "Result", summary: "Summary", how: "Options") -> None:
    from pipeline.stages.evaluation import group_limits
    from reid.evaluation.chance import KINDS

    counts = result.counts
    skipped = f", {counts['queries_skipped']:,} of them without a right answer" if counts["queries_skipped"] else ""
    apart = [
        f"{counts[f'gallery_{kind}']:,} {kind}" for kind in ("junk", "distractors") if counts[f"gallery_{kind}"]
    ]
    click.echo(
        f"protocol {how.protocol}, metric {how.metric}: {counts['queries']:,} queries{skipped}; "
        f"{counts['gallery']:,} gallery crops" + (f" ({', '.join(apart)})" if apart else "")
    )
    if result.metric_reason:
        click.echo(f"metric {how.metric}: {result.metric_reason}")
    chance = summary.chance
    _show_table(summary, result.figures, 9, chance.doubt(result.figures["mAP"]))
    for kind, figures in chance.figures.items():
        click.echo(f"{_line(figures.values())}  {KINDS[kind]}")
    _show_table(summary, [name for name in summary.figures if name not in result.figures], 14)
    for groups, what in ((summary.by_height, "height"), (summary.by_altitude, "altitude")):
        if len(groups) > 1:
            click.echo("".join(f"{name:>9}" for name in (*groups[0].figures, "queries")) + f"  by {what}")
            for group in groups:
                limits = group_limits(group.least, group.below, "px" if what == "height" else "m")
                click.echo(f"{_line(group.figures.values())}{group.queries:9,}  {limits}")


def _show_table(summary: "Summary", names: "Iterable[str]", width: int, remark: str = "") -> None:
    """The figures of these names, and their interval."""
    names = list(names)
    if not names:
        return
    click.echo("".join(f"{name:>{width}}" for name in names))
    click.echo(_line((summary.figures[name] for name in names), width) + (f"  {remark}" if remark else ""))
    for bound, end in enumerate(("from", "to")) if summary.intervals else ():
        click.echo(_line((summary.intervals[name][bound] for name in names), width) + f"  {end} (95 %)")


def _line(figures: "Iterable[float]", width: int = 9) -> str:
    return "".join(f"{value:{width}.4f}" for value in figures)
