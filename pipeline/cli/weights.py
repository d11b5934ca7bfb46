"""`uavpipe weights`: public weights, by name."""

from dataclasses import asdict
from pathlib import Path

import click

from pipeline.cli.options import JSON, PATH
from pipeline.cli.outputs import print_json


@click.group()
def weights() -> None:
    """List and download public weights."""


@weights.command("list")
@JSON
def list_weights(as_json: bool) -> None:
    """List public weights: size, licence, SHA-256, what they are good for, and whether they are here."""
    from detector.models.public import PUBLIC

    if as_json:
        print_json(
            [
                {**asdict(each), "sha256": each.sha256, "path": each.path, "here": each.path.exists()}
                for each in PUBLIC
            ]
        )
        return
    for each in PUBLIC:
        place = f"here: {each.path}" if each.path.exists() else f"uavpipe weights get {each.name}"
        click.echo(f"{each.name}  {each.megabytes:.0f} MiB, {each.licence}, SHA-256 {each.sha256}…")
        click.echo(f"  {each.use}\n  {each.url}\n  {place}")


@weights.command("get")
@click.argument("name")
@click.option("--out", type=PATH, help="Write this file.  [default: in torch's cache, where uavpipe looks for it]")
def get_weights(name: str, out: Path | None) -> None:
    """Download the weights NAME, and check their SHA-256.

    An interrupted download is resumed. A file that is there is checked, and never replaced.
    """
    from detector.models.public import get, public_weights
    from pipeline.engine.progress import download_bar

    chosen = public_weights(name)
    path = out or chosen.path
    with download_bar(name, round(chosen.megabytes * 2**20)) as advance:
        new = get(chosen, path, advance)
    click.echo(f"{path}: {'downloaded' if new else 'here already'}, its SHA-256 begins with {chosen.sha256}")
