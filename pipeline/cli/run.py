"""`uavpipe run`: the whole chain over one or many flights."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.chain.table import DATASET, FRAMES, LABEL, REPORT, STEPS, TRACKS, ChainStage, is_before, stage_named
from pipeline.cli.options import DRY_RUN, Given, flight_options, shard_option
from pipeline.cli.verbosity import announce_start
from pipeline.words import counted

if TYPE_CHECKING:
    from pipeline.config.models import FlightConfig
    from pipeline.labelling.progress import LabellingProgress
    from pipeline.run.shards import Shard

_NAMES = click.Choice([stage.name for stage in STEPS])


@click.command()
@flight_options
@click.option(
    "--from",
    "first",
    type=_NAMES,
    default=FRAMES.name,
    show_default=True,
    help="Start at this stage and reuse earlier results.",
)
@click.option("--until", "last", type=_NAMES, default=REPORT.name, show_default=True, help="Stop after this stage.")
@shard_option("Fill only the I-th of N parts of the segments; see docs/cluster.md.")
@click.option(
    "--ray",
    is_flag=False,
    flag_value="",
    metavar="[ADDRESS]",
    help="Fill the segments on a Ray cluster: of ADDRESS, or auto, or RAY_ADDRESS, or one begun here.",
)
@click.option(
    "--start",
    metavar="TIME",
    help="Date and time of VIDEO's first frame: 2024-09-17T14:30:00+02:00.  [default: from the video]",
)
@click.option(
    "--alert/--no-alert",
    default=True,
    show_default=True,
    help="Where people are labelled, say who of them is probably in a new flight.",
)
@click.option("--verify", is_flag=True, help="Read all crops and the data set, and repair files that were changed.")
@DRY_RUN
def run(
    given: Given,
    first: str,
    last: str,
    shard: "Shard | None",
    ray: str | None,
    start: str | None,
    alert: bool,
    verify: bool,
    dry_run: bool,
) -> None:
    """Run the pipeline on all flights. Stages whose inputs and settings are unchanged are skipped.

    The run stops when labels are needed, and prints how to resume. `--from dataset` uses the labels that are there.
    `--from crops` keeps the detections even if newer detector weights are available. A flight that fails does not
    stop the others; the exit code is then 1.

    If reid.recipe is set, train a re-ID model on the data set; otherwise evaluate the bundled model.

    With `--shard`, several processes or machines share the work on one workspace. When all have ended, run again
    without it: the parts are found, and the run is finished.
    """
    from pipeline.run.named_files import check_named_files

    begin, end = stage_named(first), stage_named(last)
    if is_before(end, begin):
        raise click.UsageError(f"--from {first} comes after --until {last}")
    if shard is not None and ray is not None:
        raise click.UsageError("--shard and --ray are two ways to share a run; give one")
    if shard is not None and (dry_run or not is_before(begin, TRACKS)):
        raise click.UsageError("--shard fills segments of video: leave out --dry-run, and begin before tracks")
    given = replace(given, start=start)
    if verify:
        given = replace(given, settings=(*given.settings, "crops.verify=true", "dataset.verify=true"))
    if ray is not None:
        given = replace(given, settings=(*given.settings, *_on_ray(ray)))
    config = given.load()
    check_named_files(config, begin, end)
    if dry_run:
        _show_plan(config, begin, end)
        return
    if shard is not None:
        _run_shard(config, shard, begin, end, _command(given, end, begin))
        return
    failed = _run_chain(config, begin, end, partial(_command, given, end))
    if alert and is_before(begin, LABEL) and not is_before(end, TRACKS):
        _say_who_is_known(config)
    if failed:
        raise click.exceptions.Exit(1)


def _run_chain(
    config: "FlightConfig", begin: ChainStage, end: ChainStage, again: Callable[[ChainStage], str]
) -> Mapping[Path, str]:
    """Run the chain, and print what it reports; the videos that failed, and why."""
    announce_start()
    from pipeline.cli.stages import report_stage
    from pipeline.engine.progress import progress_bar, training_bar
    from pipeline.run.chain import Reports, run_chain

    failed: dict[Path, str] = {}

    def report_failed(reasons: Mapping[Path, str]) -> None:
        failed.update(reasons)
        _report_failed(config, reasons)

    reports = Reports(report_stage, report_failed, partial(_report_labels, config.workspace, again, begin))
    run_chain(config, progress_bar, training_bar, reports, begin, end)
    return failed


def _say_who_is_known(config: "FlightConfig") -> None:
    """Print for each new flight which known people are probably in it; what prevents it is a warning."""
    from annotate.errors import AnnotateError
    from annotate.log.store import LABELS

    if not (config.workspace / LABELS).exists():  # most runs: nothing heavy is imported
        return
    from pipeline.cli.errors import explained
    from pipeline.engine.progress import progress_bar
    from pipeline.errors import PipelineError
    from reid.errors import ReidError

    flights = [config.name_of(video) for video in config.flights]
    try:
        from pipeline.find.alerts import find_known  # torch: perhaps it is not installed

        alerts = find_known(config.workspace, flights, progress_bar, config.detector.device)
    except (AnnotateError, PipelineError, ReidError, ModuleNotFoundError) as error:
        if (line := explained(error)) is None:
            raise
        click.echo(f"not compared with the known people: {line}", err=True)
        return
    for each in alerts:
        are = "is" if len(each.known) == 1 else "are"
        click.echo(f"{each.flight}: {len(each.known)} of the known people {are} probably in it")
        for known in each.known:
            who = f"{known.number} {known.name}".strip()
            click.echo(f"  {who}: {known.score:.0%}, {', '.join(known.tracklets)}")
        others = counted(len(each.others), "tracklet")
        click.echo(f"  nobody who is known: {others} {_first(each.others)}".rstrip())
    if alerts:
        click.echo(f"note: the percentages are by {alerts[0].origin}; they are no proof", err=True)


def _first(names: Sequence[str], most: int = 8) -> str:
    return f"({', '.join(names[:most])}{', …' if len(names) > most else ''})" if names else ""


def _on_ray(address: str) -> list[str]:
    """The settings of `--ray`."""
    if Path(address).exists() and address:
        raise click.UsageError(f"--ray {address}: expected the address of a Ray cluster; give --ray last")
    return ["engine.name=ray", *([f"engine.address={address}"] if address else [])]


def _report_failed(config: "FlightConfig", failed: Mapping[Path, str]) -> int:
    for reason in failed.values():
        click.echo(f"failed: {reason}", err=True)
    if failed:
        click.echo(
            f"{len(failed)} of {len(config.flights)} flights failed; repair or remove them, then run again",
            err=True,
        )
    return len(failed)


def _run_shard(config: "FlightConfig", shard: "Shard", begin: ChainStage, end: ChainStage, again: str) -> None:
    """Fill the segments of `shard`; `again` is the command that finishes the run."""
    from pipeline.engine.progress import progress_bar
    from pipeline.run.shards import Filled, run_shard

    def report(filled: Filled) -> None:
        did = f"{filled.segments} of {filled.of} segments, {filled.frames:,} frames" if filled.of else "up to date"
        click.echo(f"shard {shard}  {did}  → {filled.folder}")

    failed = run_shard(config, shard, progress_bar, report, min(end, TRACKS, key=STEPS.index), begin)
    if _report_failed(config, failed):
        raise click.exceptions.Exit(1)
    click.echo(f"shard {shard} is done. When all {shard.count} are:\n  {again}")


def _report_labels(
    workspace: Path, again: Callable[[ChainStage], str], begin: ChainStage, done: "LabellingProgress"
) -> None:
    """Say whether all tracklets have a label, and how to resume where not."""
    if done.is_complete:
        click.echo(f"{LABEL.name:10} all {counted(done.tracklets, 'tracklet has', 'tracklets have')} a label")
        return
    click.echo(f"{LABEL.name:10} {done}. Label them, then resume:")
    click.echo(f"  uavpipe label --workspace {shlex.quote(str(workspace))}")
    click.echo(f"  {again(begin)}")
    if done.labelled:
        click.echo(f"or use only the labelled ones:\n  {again(DATASET)}")


def _command(given: Given, end: ChainStage, begin: ChainStage) -> str:
    words = ["uavpipe", "run", *given.words()]
    words += ["--from", begin.name] * (begin is not STEPS[0])
    words += ["--until", end.name] * (end is not STEPS[-1])
    return shlex.join(words)


def _show_plan(config: "FlightConfig", begin: ChainStage, end: ChainStage) -> None:
    from pipeline.cli.stages import show_plan
    from pipeline.run.plan import plan_flights, plan_from_labels

    planned = [plan_flights(config, min(end, TRACKS, key=STEPS.index), begin)] if is_before(begin, LABEL) else []
    planned += [plan_from_labels(config, end, begin)] if is_before(LABEL, end) else []
    show_plan(chain.from_iterable(planned))
